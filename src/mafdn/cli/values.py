"""Parsers of the values that options give."""

from pathlib import Path

import typer

from mafdn._support.validate import as_path
from mafdn.errors import UsageError


def option_path(text: str) -> Path:
    """Parse the path that an option gives."""
    return Path(option_text(text))


def option_text(text: str) -> str:
    """Parse the name or path that an option gives; an empty one is refused, naming the option."""
    try:
        as_path("it", text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return text
