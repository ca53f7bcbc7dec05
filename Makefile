# Development tasks; `make` lists them. Targets use the virtual environment in .venv-dev, which `make setup` creates.
PYTHON ?= python3
BIN := .venv-dev/bin

.PHONY: help setup lint format types test slow browser fuzz coverage figures screenshots reproduce manual packages sbom audit

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):[a-z ]*  *## /\1\t/p' Makefile | expand -t 12

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

fuzz:  ## Send the server ten minutes of requests made of its OpenAPI file
	MAFDN_FUZZ_SECONDS=600 $(BIN)/pytest -n 0 -m slow tests/web/test_fuzz.py

browser:  ## Run the tests of both pages in Chromium (apt-get install chromium npm)
	$(BIN)/pytest -n 0 -m slow tests/web/browser tests/hosts/test_web_folder.py

coverage:  ## Run the default test suite and enforce the minimum coverage set in pyproject.toml
	$(BIN)/pytest --cov --cov-report=term:skip-covered

figures:  ## Update the figures in README.md and docs from the stored measurements
	$(BIN)/python -m tools.figures

screenshots:  ## Take the pictures of the local page in docs again
	$(BIN)/python -m tools.screenshots

reproduce:  ## Reproduce the figures of README and docs from the shipped weights, and report which differ
	$(BIN)/python -m tools.reproduce

manual:  ## Build the manual into the folder site, which opens from disk; links are checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

packages:  ## Build the wheel and the source distribution into dist, and check them
	$(BIN)/python -m tools.packages dist

sbom: packages  ## List what the wheel ships and installs, and its licenses, in dist
	$(BIN)/python -m tools.sbom dist/mafdn-*.whl dist

audit:  ## Compare the pinned packages with the databases of known vulnerabilities
	$(BIN)/python -m tools.audit
