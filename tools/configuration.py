"""The reference of training settings in docs/configuration.md, generated from dataclasses and their docstrings."""

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mafdn.evaluation.tables import markdown_table
from mafdn.networks.architectures import ARCHITECTURES
from mafdn.training.config import TrainSettings

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
    rows = [[f"`{key}`", *(_toml(known[key]) if key in known else "-" for known in defaults.values())] for key in keys]
    return markdown_table(["key", *(f"`{name}`" for name in defaults)], rows)


def _table(kind: type[Any]) -> str:
    hints, texts = get_type_hints(kind), _attribute_docstrings(kind)
    rows: list[list[str]] = []
    for entry in fields(kind):
        default = "required" if entry.default is MISSING else _toml(entry.default)
        rows.append([f"`{entry.name}`", _type(hints[entry.name]), default, texts[entry.name]])
    return markdown_table(["key", "type", "default", "description"], rows)


def _attribute_docstrings(kind: type[Any]) -> dict[str, str]:
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


def _type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{_toml(argument)}`" for argument in arguments)
    if origin is tuple:
        inner = NAMES[arguments[0]] + "s"
        return f"list of {inner}" if arguments[-1] is Ellipsis else f"list of {len(arguments)} {inner}"
    if arguments:  # a union
        return " or ".join(map(_type, arguments))
    return NAMES[hint]


def _toml(value: Any) -> str:
    """Format a default value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    return str(value)
