"""Interpretation of the arguments of `mafdn upscale`: one picture or several, files or standard streams."""

import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from mafdn._support.atomic import printable
from mafdn._support.validate import as_path, is_folder
from mafdn.cli.options.values import expanded
from mafdn.cli.standard import ResultOutput
from mafdn.errors import UsageError
from mafdn.upscaling.folder.discover import WILDCARDS, find_sources

STANDARD = "-"
"""Name of standard input and output."""
QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
"""Quotes that are pasted around a path, with their counterparts."""
FILE_URI = re.compile(r"(?i)file:(?://(?:localhost)?(?=/)|(?=/(?!/)))")
"""How the URI of a local file begins, before its path."""


@dataclass(frozen=True)
class OnePicture:
    """A single picture; `-` stands for standard input or output."""

    source: str
    target: str | None


def as_typed(text: str) -> str:
    """Convert a pasted or dropped text to a path.

    If there is no file of that very name, surrounding quotes, the call operator of PowerShell (`& 'FILE'`), spaces and
    line breaks at the end are removed, a `file:` URI is decoded, and `~` at the start becomes the home folder.
    """
    if text == STANDARD or _exists(text):
        return text
    plain = _unwrapped(text.rstrip())
    unescaped = re.sub(r"\\(.)", r"\1", plain) if os.sep == "/" else plain  # as terminals escape a dropped path
    return next((path for path in (plain, plain.strip(), unescaped) if _exists(path)), expanded(plain))


def _unwrapped(text: str) -> str:
    """Remove PowerShell's call operator and quotes, and decode the URI of a file."""
    if found := re.fullmatch(r"&\s+(['\"].*['\"])", text):
        text = found[1]
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1]:
        quote, text = text[0], text[1:-1]
        if quote == "'" and not _exists(text):
            text = text.replace("''", "'")
    elif text.endswith('"') and text.count('"') == 1:  # what cmd.exe makes of "C:\folder\"
        text = text[:-1]
    found = FILE_URI.match(text)
    return _path_of_uri(text[found.end() :]) if found else text


def one_picture(
    inputs: Sequence[str], output: str | None, batch_options: Sequence[str], *, overwrite: bool
) -> OnePicture | None:
    """Return the picture if the arguments name a single one, `None` for several.

    Args:
        inputs: The inputs, one of which may be the name of the result.
        output: What `--output` gives.
        batch_options: The given options that only batches have.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UsageError: For `-` beside other inputs or options of batches, for a picture and a folder or an existing file,
            which could be two inputs or an input and an output, and for an empty name.
    """
    for text in inputs:
        as_path("INPUT", text)
    if STANDARD in (*inputs, output):
        return _with_standard(inputs, output, batch_options)
    if output is not None:
        from mafdn.upscaling.output import is_picture_name

        single = len(inputs) == 1 and not is_folder(Path(inputs[0])) and not _is_glob(inputs[0])
        if not single or not is_picture_name(output):
            return None
        if batch_options:
            raise UsageError(f"{batch_options[0]} needs a folder for the results: -o FOLDER, not {printable(output)}")
        return OnePicture(inputs[0], output)
    if batch_options or len(inputs) > 2 or is_folder(Path(inputs[0])) or _is_glob(inputs[0]):
        return None
    if len(inputs) == 2 and is_folder(Path(inputs[1])):
        name = printable(inputs[1])
        raise UsageError(f"{name} is a folder: use -o {name} to write there, or -o with another folder to upscale both")
    if len(inputs) == 2 and _is_glob(inputs[1]):
        return None
    if len(set(inputs)) == 2 and not overwrite and _exists(inputs[1]):  # perhaps what a shell made of *.jpg
        source, name = (printable(text) for text in inputs)
        raise UsageError(
            f"{name} exists; -o FOLDER upscales both files, and --overwrite replaces {name} by the result of {source}"
        )
    return OnePicture(inputs[0], inputs[1] if len(inputs) == 2 else None)


def _with_standard(inputs: Sequence[str], output: str | None, batch_options: Sequence[str]) -> OnePicture:
    """Return the picture if standard input or output is given."""
    if batch_options:
        raise UsageError(f"{batch_options[0]} is for folders and files; - is a single picture")
    if len(inputs) + (output is not None) > 2:
        raise UsageError("- is a single picture: give one INPUT and one result (a file called - is ./-)")
    source, target = inputs[0], output or (inputs[1] if len(inputs) > 1 else STANDARD)
    if source != STANDARD and (is_folder(Path(source)) or _is_glob(source)):
        raise UsageError(f"{printable(source)} may be several pictures; only one can be written to standard output")
    if target != STANDARD and (is_folder(Path(target)) or target.endswith(("/", os.sep))):
        raise UsageError(f"standard input has no name: give that of the result, such as {printable(target)}/photo.png")
    return OnePicture(source, target)


def standard_input() -> BinaryIO:
    """Return standard input; raises `UsageError` if it is a terminal or closed."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise UsageError("standard input is closed; give the name of a picture")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; give the name of a picture, or one through a pipe")
    return sys.stdin.buffer


@contextmanager
def standard_output() -> Generator[BinaryIO]:
    """Reserve standard output for a picture; whatever else is printed meanwhile goes to standard error.

    Raises:
        UsageError: If it is a terminal or closed.
        OSError: If it cannot be written.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise UsageError("standard output is closed; give the name of the result")
    if sys.stdout.isatty():
        raise UsageError("a picture is not written to a terminal; use > FILE, or give the name of the result")
    sys.stdout.flush()
    number = sys.stdout.fileno()
    with ExitStack() as stack:
        own = stack.enter_context(ResultOutput(os.dup(number), "wb"))
        stack.callback(os.dup2, own.fileno(), number)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - the name is not a path of its own
            errors = nowhere if sys.stderr is None else sys.stderr  # pyright: ignore[reportUnnecessaryComparison]
            os.dup2(errors.fileno(), number)
        yield own
        sys.stdout.flush()


def _is_glob(text: str) -> bool:
    """Whether a glob pattern is meant; a name with only brackets that matches nothing is that of a missing file."""
    wildcards = WILDCARDS & set(text)
    if not wildcards or os.path.lexists(text):
        return False
    return bool(wildcards - {"["} or find_sources([text]).sources)


def _exists(text: str) -> bool:
    return bool(text) and os.path.lexists(text)


def _path_of_uri(text: str) -> str:
    """Return the path in a `file:` URI, given from its first slash on."""
    if os.name == "nt":
        from urllib.request import url2pathname

        return url2pathname(text)
    return os.fsdecode(unquote_to_bytes(text))
