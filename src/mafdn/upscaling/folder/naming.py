"""Names of results: patterns, and a unique name for every result."""

import itertools
import os
import string
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind
from mafdn.errors import UsageError
from mafdn.pictures.formats import Format, format_of_name
from mafdn.upscaling.size import Size

LONGEST_NAME = 255
"""Longest file name, in bytes."""
FIELDS = ("stem", "scale", "width", "height", "ext")
"""The fields of a pattern."""
NAMES_SEARCHED = 50
"""How many of a picture's possible names are searched for an earlier result."""


@dataclass(frozen=True)
class Pattern:
    """A pattern for the names of results, such as `{stem}_x{scale}{ext}`.

    Args:
        text: The pattern. Fields are `{stem}`, `{scale}`, `{width}`, `{height}` (of the result) and `{ext}`, which is
            the source's ending if it fits the result's format, else that of the format.

    Raises:
        UsageError: If `{stem}` is missing, a field is unknown, the name would be hidden or in another folder, or the
            ending is not that of a format that can be written.
    """

    text: str

    def __post_init__(self) -> None:
        text = printable(as_kind("pattern", self.text, str))
        try:
            parts = [part for part in string.Formatter().parse(self.text) if part[1] is not None]
        except ValueError as error:
            raise UsageError(f"pattern {text!r} is invalid: {error}") from None
        for _, field, spec, conversion in parts:
            if field not in FIELDS or spec or conversion:
                raise UsageError(
                    f"pattern {text!r} has the unknown field {{{field}}}; "
                    f"use {', '.join(f'{{{name}}}' for name in FIELDS)}"
                )
        if "stem" not in self.fields:
            raise UsageError(f"pattern {text!r} needs {{stem}}; otherwise all results would have the same name")
        if any(c in self.text for c in "/\\\0") or self.text.startswith("."):
            raise UsageError(f"pattern {text!r} must be a plain file name: no folders and no leading dot")
        if not self.text.endswith("{ext}"):
            self.format_for(None)

    @classmethod
    def default(cls, size: Size) -> "Pattern":
        """Return the default pattern: `photo_x4.jpg`, or `photo_640x480.jpg` for a size in pixels."""
        return cls("{stem}_x{scale}{ext}" if size.scale is not None else "{stem}_{width}x{height}{ext}")

    @property
    def fields(self) -> set[str]:
        """The fields that the pattern uses."""
        return {field for _, field, _, _ in string.Formatter().parse(self.text) if field}

    def format_for(self, kind: Format | None) -> Format | None:
        """Return the format of the pattern's ending; `kind` if the pattern ends in `{ext}`."""
        return kind if self.text.endswith("{ext}") else format_of_name(Path(self.text))

    def check_size(self, size: Size) -> None:
        """Raise `UsageError` if the pattern uses `{scale}` and the size is not a scale."""
        if "scale" in self.fields and size.scale is None:
            raise UsageError(
                f"pattern {printable(self.text)!r} needs a scale; otherwise use {{width}} and {{height}}",
                setting="scale",
            )

    def name(self, source: Path, size: Size, new_size: tuple[int, int], kind: Format, *, extra: str = "") -> str:
        """Return the name of a result; `extra` is appended to the stem. The stem of a name that is too long is cut."""
        ext = source.suffix if source.suffix.lower() in kind.suffixes else kind.suffixes[0]
        ext = ".pgm" if ext.lower() == ".pbm" else ext  # one bit is written as eight
        stem, (width, height) = source.stem, new_size
        scale = "" if size.scale is None else f"{size.scale:g}"
        while True:
            name = self.text.format(stem=stem + extra, scale=scale, width=width, height=height, ext=ext)
            if not stem or len(os.fsencode(name)) <= LONGEST_NAME:
                return name
            stem = stem[:-1]


@dataclass(frozen=True, kw_only=True)
class NameRequest:
    """A picture whose result needs a name.

    Args:
        source: The picture.
        relative: Its path within the folder in which it was found.
        folder: Folder of the result.
        name: Returns the result's name with a text appended to the stem.
    """

    source: Path
    relative: Path
    folder: Path
    name: Callable[[str], str]

    @property
    def candidates(self) -> Iterator[Path]:
        """Targets to try in turn: the plain name, one with the source's ending in it, then numbered ones."""
        ending = self.source.suffix.replace(".", "_")
        extras = itertools.chain(
            [""], [ending] if ending else [], (f"{ending}_{number}" for number in itertools.count(2))
        )
        return (self.folder / self.name(extra) for extra in extras)

    @property
    def order(self) -> tuple[str, ...]:
        """The key by which requests are sorted, so that names do not depend on their order."""
        return (_folded(str(self.relative)), str(self.relative), str(self.source))


def place(path: Path) -> str:
    """Return a key that is equal for paths that some file systems treat as one file: case and composition ignored."""
    return _folded(os.path.join(os.path.realpath(path.parent), path.name))  # noqa: PTH118 - a key, not a path


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def assign(
    requests: Sequence[NameRequest],
    *,
    reserved: Iterable[Path] = (),
    earlier: Callable[[NameRequest], Collection[Path]] = lambda _: (),
    allowed: Callable[[NameRequest, Path], bool] = lambda _request, _target: True,
) -> dict[Path, Path]:
    """Assign a target to every source, independent of the order of `requests`.

    No two targets are at the same place (by `place`).

    Args:
        requests: The pictures.
        reserved: Paths whose places are never used.
        earlier: Returns the targets that a picture had in earlier runs; one that is still among its candidates is kept.
        allowed: Returns whether a picture may use a target, which may belong to another picture.

    Returns:
        The target of every source.
    """
    taken = {place(path) for path in reserved}
    targets: dict[Path, Path] = {}
    ordered = sorted(requests, key=lambda r: r.order)
    for request in ordered:
        had = earlier(request)
        possible = itertools.islice(request.candidates, NAMES_SEARCHED) if had else ()
        kept = next((target for target in possible if target in had and place(target) not in taken), None)
        if kept is not None:
            targets[request.source] = kept
            taken.add(place(kept))
    for request in ordered:
        if request.source not in targets:
            target = next(t for t in request.candidates if place(t) not in taken and allowed(request, t))
            targets[request.source] = target
            taken.add(place(target))
    return targets
