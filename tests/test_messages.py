"""Messages of the library say what to do in its own terms; the command line adds its options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import typer

from mafdn.cli import OPTIONS, app
from tests.test_floors import PACKAGE

FACES = ("cli", "web", "fleet")
"""Parts whose users all give options."""
COMMANDS = re.compile(r"\b(mafdn|torchrun) [^');]*")
"""Whole commands, which may have options."""


def library() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in FACES:
            yield path, ast.parse(path.read_text())


def test_the_library_names_no_options() -> None:
    found: list[str] = []
    for path, tree in library():
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                found += [f"{path}:{node.lineno}: {o}" for o in re.findall(r"--[a-z]+", COMMANDS.sub("", node.value))]
    assert found == []


def test_every_setting_that_errors_name_is_an_option() -> None:
    options = set(_options(typer.main.get_command(app)))
    settings = {
        str(part.value)
        for _, tree in library()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "setting"
        for part in ast.walk(node.value)
        if isinstance(part, ast.Constant) and part.value not in ("", "folders")
    }
    assert {"overwrite", "scale", "max_pixels"} <= settings
    assert {f"--{OPTIONS.get(setting, setting).replace('_', '-')}" for setting in settings} <= options


def _options(command: object) -> Iterator[str]:
    for parameter in getattr(command, "params", []):
        yield from parameter.opts
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)
