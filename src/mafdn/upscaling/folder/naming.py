"""What results are called: patterns of names, and a name of its own for every result.

Public names: :class:`Pattern`, :class:`Wanted`, :func:`assign`, :func:`place`.
"""

import itertools
import os
import string
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn._support.validate import as_kind
from mafdn.errors import UsageError
from mafdn.pictures.formats import Format, format_of_name
from mafdn.upscaling.size import Size

LONGEST_NAME = 255
"""Bytes."""
FIELDS = ("stem", "scale", "width", "height", "ext")
REMEMBERED = 50
"""How many of a picture's possible names are searched for the one it had before."""


@dataclass(frozen=True)
class Pattern:
    """How names are made: ``{stem}_x{scale}{ext}``, with ``{width}`` and ``{height}`` of the result.

    ``{ext}`` is the source's ending where it fits the result's format, else the format's. Raises :class:`UsageError`
    for a pattern without ``{stem}``, with anything unknown in braces, that leaves the folder or is hidden, or that ends
    in no format that is written.
    """

    text: str

    def __post_init__(self) -> None:
        text = shown(as_kind("pattern", self.text, str))
        try:
            parts = [part for part in string.Formatter().parse(self.text) if part[1] is not None]
        except ValueError as error:
            raise UsageError(f"pattern {text!r} cannot be read: {error}") from None
        for _, field, spec, conversion in parts:
            if field not in FIELDS or spec or conversion:
                raise UsageError(
                    f"pattern {text!r} holds {{{field}}}; there are: {', '.join(f'{{{name}}}' for name in FIELDS)}"
                )
        if "stem" not in self.fields:
            raise UsageError(f"pattern {text!r} needs {{stem}}, or all results would have one name")
        if any(c in self.text for c in "/\\\0") or self.text.startswith("."):
            raise UsageError(f"pattern {text!r} must be a plain file name: no folders, no dot at its beginning")
        if not self.text.endswith("{ext}"):
            self.format_for(None)

    @classmethod
    def usual(cls, size: Size) -> "Pattern":
        """``photo_x4.jpg``, or ``photo_640x480.jpg`` for a size in pixels."""
        return cls("{stem}_x{scale}{ext}" if size.scale is not None else "{stem}_{width}x{height}{ext}")

    @property
    def fields(self) -> set[str]:
        return {field for _, field, _, _ in string.Formatter().parse(self.text) if field}

    def format_for(self, kind: Format | None) -> Format | None:
        """The format that the pattern itself ends in; ``kind`` where it leaves that to ``{ext}``."""
        return kind if self.text.endswith("{ext}") else format_of_name(Path(self.text))

    def check_size(self, size: Size) -> None:
        """Raise :class:`UsageError` where the pattern has ``{scale}`` and no scale is asked for."""
        if "scale" in self.fields and size.scale is None:
            raise UsageError(f"pattern {shown(self.text)!r} needs a --scale; use {{width}} and {{height}}")

    def name(self, source: Path, size: Size, new_size: tuple[int, int], kind: Format, *, extra: str = "") -> str:
        """The result's name; ``extra`` goes behind the stem. One that would be too long loses the end of its stem."""
        ext = source.suffix if source.suffix.lower() in kind.suffixes else kind.suffixes[0]
        ext = ".pgm" if ext.lower() == ".pbm" else ext  # one bit becomes eight
        stem, (width, height) = source.stem, new_size
        scale = "" if size.scale is None else f"{size.scale:g}"
        while True:
            name = self.text.format(stem=stem + extra, scale=scale, width=width, height=height, ext=ext)
            if not stem or len(os.fsencode(name)) <= LONGEST_NAME:
                return name
            stem = stem[:-1]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A picture that needs a name for its result."""

    source: Path
    relative: Path
    """The source within the folder it was found in."""
    folder: Path
    """Where the result goes."""
    name: Callable[[str], str]
    """The result's name with something put behind the stem."""

    @property
    def candidates(self) -> Iterator[Path]:
        """Targets to be tried in turn: the plain one, one with the source's ending in it, then numbered ones."""
        ending = self.source.suffix.replace(".", "_")
        extras = itertools.chain(
            [""], [ending] if ending else [], (f"{ending}_{number}" for number in itertools.count(2))
        )
        return (self.folder / self.name(extra) for extra in extras)

    @property
    def order(self) -> tuple[str, ...]:
        return (_folded(str(self.relative)), str(self.relative), str(self.source))


def place(path: Path) -> str:
    """What two paths share that some file system takes for one file: capitals and composed letters do not count."""
    return _folded(os.path.join(os.path.realpath(path.parent), path.name))  # noqa: PTH118 - a key, no path


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def assign(
    wanted: Sequence[Wanted],
    *,
    reserved: Iterable[Path] = (),
    before: Callable[[Wanted], Collection[Path]] = lambda _: (),
    may: Callable[[Wanted, Path], bool] = lambda _wanted, _target: True,
) -> dict[Path, Path]:
    """The target of every source, the same whatever the order of ``wanted``.

    No two are at one place (by :func:`place`), and none at the place of a ``reserved`` path. A picture keeps a target
    it had ``before`` where that is still one of its own; ``may`` can refuse a target that belongs to someone else.
    """
    taken = {place(path) for path in reserved}
    targets: dict[Path, Path] = {}
    ordered = sorted(wanted, key=lambda w: w.order)
    for one in ordered:
        had = before(one)
        possible = itertools.islice(one.candidates, REMEMBERED) if had else ()
        kept = next((target for target in possible if target in had and place(target) not in taken), None)
        if kept is not None:
            targets[one.source] = kept
            taken.add(place(kept))
    for one in ordered:
        if one.source not in targets:
            target = next(t for t in one.candidates if place(t) not in taken and may(one, t))
            targets[one.source] = target
            taken.add(place(target))
    return targets
