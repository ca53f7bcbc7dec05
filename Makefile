# Development tasks; `make` lists them. Targets use the virtual environment in .venv-dev, which `make setup` creates.
PYTHON ?= python3
BIN := .venv-dev/bin

.PHONY: help setup lint format types test slow coverage figures reproduce

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):  *## /\1\t/p' Makefile | expand -t 12

setup:  ## Create .venv-dev with the pinned versions of every dependency
	$(PYTHON) -m venv .venv-dev
	$(BIN)/pip install -c constraints.txt -e '.[dev]'

lint:  ## Check style, formatting and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format:  ## Format the code and apply the linter's safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types:  ## Check types in src, tests and tools
	$(BIN)/pyright --pythonpath $(BIN)/python

test:  ## Run the default test suite
	$(BIN)/pytest

slow:  ## Run the slow tests, including the published scores of released weights
	$(BIN)/pytest -m slow

coverage:  ## Run the default test suite and enforce the minimum coverage set in pyproject.toml
	$(BIN)/pytest --cov --cov-report=term:skip-covered

figures:  ## Update the figures in README.md and docs from the stored measurements
	$(BIN)/python -m tools.figures

reproduce:  ## Reproduce the figures of README and docs from the shipped weights, and report which differ
	$(BIN)/python -m tools.reproduce
