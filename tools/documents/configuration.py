"""The reference of training settings in docs/configuration.md, generated from dataclasses and their docstrings."""

import inspect
from dataclasses import MISSING, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mafdn.evaluation.tables import markdown_table
from mafdn.networks.architectures import ARCHITECTURES
from mafdn.training.config import TrainSettings, attribute_docstrings, toml_value

NAMES: dict[type[Any], str] = {str: "string", int: "integer", float: "number"}
"""Names of the types in TOML."""


def settings_tables() -> str:
    """Return a heading and a Markdown table for each table of a configuration except `[network]`."""
    hints = get_type_hints(TrainSettings)
    parts: list[str] = []
    for entry in fields(TrainSettings):
        if entry.name != "network":
            kind = hints[entry.name]
            parts += [f"## `[{entry.name}]`", inspect.getdoc(kind) or "", _table(kind)]
    return "\n\n".join(parts)


def network_table() -> str:
    """Return a Markdown table with the default of every key of every architecture."""
    defaults = {name: {f.name: f.default for f in fields(kind)} for name, (_, kind) in ARCHITECTURES.items()}
    keys = dict.fromkeys(key for known in defaults.values() for key in known)
    rows = [
        [f"`{key}`", *(toml_value(known[key]) if key in known else "-" for known in defaults.values())] for key in keys
    ]
    return markdown_table(["key", *(f"`{name}`" for name in defaults)], rows)


def _table(kind: type[Any]) -> str:
    hints, texts = get_type_hints(kind), attribute_docstrings(kind)
    rows: list[list[str]] = []
    for entry in fields(kind):
        default = "required" if entry.default is MISSING else toml_value(entry.default)
        rows.append([f"`{entry.name}`", _type(hints[entry.name]), default, texts[entry.name]])
    return markdown_table(["key", "type", "default", "description"], rows)


def _type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{toml_value(argument)}`" for argument in arguments)
    if origin is tuple:
        if get_origin(arguments[0]) is Literal:
            return f"list of {_type(arguments[0])}"
        inner = NAMES[arguments[0]] + "s"
        return f"list of {inner}" if arguments[-1] is Ellipsis else f"list of {len(arguments)} {inner}"
    if arguments:  # a union
        return " or ".join(map(_type, arguments))
    return NAMES[hint]
