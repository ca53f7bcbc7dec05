"""Patterns for the names of results."""

import os
import string
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
