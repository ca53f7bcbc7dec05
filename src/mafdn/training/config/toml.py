"""Settings written as TOML: those of a run, and a commented example."""

import ast
import inspect
import json
import textwrap
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast, get_type_hints

from mafdn.networks.architectures import architecture
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.training.config.reading import relative
from mafdn.training.config.settings import TrainSettings, is_path

WIDTH = 100
"""Columns of the comments of the example."""
EXAMPLE = """\
# Every setting of a training run, with its default. Written by 'mafdn train --print-config'.
#   mafdn train FILE                       train, or resume an interrupted run
#   mafdn train FILE run.batch=4           with another value
#   mafdn train FILE --print-config        show the settings in effect
# Paths are relative to this file. extends = "other.toml" in the first line inherits the settings of another file.
"""


def to_toml(settings: TrainSettings, *, base: Path | None = None, folder: Path | None = None, full: bool = True) -> str:
    """Write settings as TOML.

    Args:
        settings: The settings.
        base: The folder that their paths are relative to; with `folder`, the folder that they are written relative to.
        folder: See `base`.
        full: Whether to write default values too, which are then marked by a comment.
    """
    parts: list[str] = []
    for entry in fields(settings):
        table = getattr(settings, entry.name)
        defaults = type(table)()
        lines = [f'architecture = "{architecture(table)}"'] if entry.name == "network" else []
        for key in fields(table):
            value, default = getattr(table, key.name), getattr(defaults, key.name)
            if value == default and not full:
                continue
            if base and folder and is_path(entry.name, key.name, value):
                value = _moved(value, base, folder)
            lines.append(f"{key.name} = {toml_value(value)}" + ("  # default" if value == default else ""))
        if lines:
            parts.append("\n".join([f"[{entry.name}]", *lines]))
    return "\n\n".join(parts) + "\n"


def example_config() -> str:
    """Write a commented TOML file with every setting, in which only `data.folders` is set."""
    hints = get_type_hints(TrainSettings)
    parts = [EXAMPLE]
    for entry in fields(TrainSettings):
        kind: type[Any] = MAFDNSettings if entry.name == "network" else hints[entry.name]
        texts = attribute_docstrings(kind)
        lines = [f"[{entry.name}]"]
        if entry.name == "network":
            lines += ["# The network; the keys below are those of `mafdn`; other architectures have others."]
            lines += ['#architecture = "mafdn"', ""]
        for key in fields(kind):
            lines += textwrap.wrap(texts[key.name], WIDTH, initial_indent="# ", subsequent_indent="# ")
            if (entry.name, key.name) == ("data", "folders"):
                lines += ['folders = ["photos"]', ""]
            elif key.default is not MISSING:
                lines += [f"#{key.name} = {toml_value(key.default)}", ""]
        parts.append("\n".join(lines).rstrip() + "\n")
    return "\n".join(parts)


def toml_value(value: Any) -> str:
    """Write one value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, cast(list[Any], value)))}]"
    return str(value)


def attribute_docstrings(kind: type[Any]) -> dict[str, str]:
    """Return the docstrings below the fields of a dataclass, each on one line.

    Raises:
        ValueError: A field has none.
    """
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    texts: dict[str, str] = {}
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = following.value if isinstance(following, ast.Expr) else None
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                raise ValueError(f"{kind.__name__}.{statement.target.id} has no docstring")
            texts[statement.target.id] = " ".join(value.value.split())
    return texts


def _moved(value: Any, base: Path, folder: Path) -> Any:
    if isinstance(value, tuple | list):
        return [_moved(entry, base, folder) for entry in cast(list[Any], value)]
    return relative(base / value, folder) if value else value
