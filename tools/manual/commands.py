"""The commands of `mafdn` as data, read from their definitions; the manual, man page and completions are made of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_command

from mafdn.cli import app
from mafdn.cli.help import HELP_GROUP

COLUMNS = re.compile(r"^(.*?)(?:\s{2,}(.*))?$")
"""An example, and what it does, separated by two or more spaces."""
VALUES = {"int": "N", "float": "NUMBER", "str": "TEXT", "path": "FILE", "list[str]": "TEXT"}
"""What stands for a value whose option only has a type."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An argument or option.

    Attributes:
        names: Names of an option, such as `-o` and `--output`; empty for an argument.
        value: What stands for its value, such as `FILE`; empty for a flag.
        help: Its help text.
        group: Title of the group on the help page.
    """

    names: tuple[str, ...]
    value: str
    help: str
    group: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command.

    Attributes:
        path: Words that call it, such as `mafdn bank build`.
        usage: What follows them.
        paragraphs: Its description.
        examples: Command lines, and what each does; the latter may be empty.
        parameters: Arguments and options, in the order of the help page.
    """

    path: str
    usage: str
    paragraphs: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    parameters: tuple[Parameter, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """All names of its options."""
        return tuple(name for parameter in self.parameters for name in parameter.names)

    @property
    def summary(self) -> str:
        """The first sentence of the description, without its period."""
        return self.paragraphs[0].split(". ")[0].removesuffix(".")

    def groups(self) -> dict[str, list[Parameter]]:
        """The parameters by the titles of their groups."""
        found: dict[str, list[Parameter]] = {}
        for parameter in self.parameters:
            found.setdefault(parameter.group, []).append(parameter)
        return found


def all_commands() -> tuple[Command, ...]:
    """Return all commands in the order of the help page, those of a group one after the other."""
    return tuple(_walk(get_command(app), "mafdn"))


def _walk(command: Any, path: str) -> Iterator[Command]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _walk(child, f"{path} {name}")
        else:
            yield _read(child, f"{path} {name}")


def _read(command: Any, path: str) -> Command:
    context = typer.Context(command, info_name=path)
    paragraphs, examples = _texts(command.help or "")
    parameters = [_parameter(p, r) for p in command.get_params(context) if (r := p.get_help_record(context))]
    order = ["Arguments", *dict.fromkeys(p.group for p in parameters if p.group not in ("Arguments", "Options"))]
    order.append("Options")
    return Command(
        path=path,
        usage=" ".join(command.collect_usage_pieces(context)),
        paragraphs=paragraphs,
        examples=examples,
        parameters=tuple(sorted(parameters, key=lambda p: order.index(p.group))),
    )


def _parameter(parameter: Any, record: tuple[str, str]) -> Parameter:
    text = re.sub(r"\s+\[(?:required|default: [^\]]*)\]$", "", record[1])
    if parameter.param_type_name == "argument":
        value = parameter.metavar or str(parameter.name).upper()
        return Parameter(names=(), value=value.strip("[]{}."), help=text, group="Arguments")
    shown = [part.strip() for part in re.split(r", | / ", record[0])]
    names = sorted((part.split(" ")[0] for part in shown), key=lambda name: name.startswith("--"))
    value = shown[-1].partition(" ")[2].removesuffix(" range>").strip("<>")
    title = getattr(parameter, HELP_GROUP, None)
    return Parameter(
        names=tuple(names), value=VALUES.get(value, value), help=text, group=f"{title} options" if title else "Options"
    )


def _texts(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The paragraphs of a help text, and the examples in it."""
    paragraphs: list[str] = []
    examples: list[tuple[str, str]] = []
    for part in text.replace("\b\n", "").split("\n\n"):
        lines = part.strip("\n").splitlines()
        if lines and lines[0].strip() in ("Example:", "Examples:"):
            found = [COLUMNS.match(line.strip()) for line in lines[1:]]
            examples += [(match[1], match[2] or "") for match in found if match]
        elif lines:
            paragraphs.append(" ".join(line.strip() for line in lines))
    return tuple(paragraphs), tuple(examples)
