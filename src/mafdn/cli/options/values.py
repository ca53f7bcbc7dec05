"""Parsers of the values that options give."""

import os
from pathlib import Path

import typer

from mafdn._support.validate import as_path
from mafdn.errors import UsageError


def option_path(text: str) -> Path:
    """Parse the path that an option gives."""
    return Path(expanded(option_text(text)))


def expanded(text: str) -> str:
    """Replace `~` at the start of a path by the home folder, which shells leave in `--option=~/FILE`.

    The name of a file that exists is returned unchanged.
    """
    if not text.startswith("~") or os.path.lexists(text):
        return text
    return os.path.expanduser(text)  # noqa: PTH111 - unchanged if there is no such user


def option_text(text: str) -> str:
    """Parse the name or path that an option gives; an empty one is refused, naming the option."""
    try:
        as_path("it", text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return text
