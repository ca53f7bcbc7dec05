"""Patterns for the names of numbered pictures, such as `frames/%06d.png`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.formats import SUFFIXES

PATTERN = re.compile(r"(?P<before>[^%]*)%(?:0(?P<digits>[1-9]))?d(?P<after>[^%]*)")
"""A name with the place of a number."""
MOST_PICTURES = 10_000_000
"""Most pictures of a sequence."""


@dataclass(frozen=True)
class Numbering:
    """Numbered pictures in one folder.

    Attributes:
        folder: Their folder.
        before: The text before a number.
        digits: Least number of digits; shorter numbers begin with zeros.
        after: The text after a number, with the ending.
    """

    folder: Path
    before: str
    digits: int
    after: str

    @classmethod
    def parse(cls, text: str) -> "Numbering | None":
        """Read a pattern, with a path before it; `None` for another name, or one that a file has."""
        path = Path(text)
        found = PATTERN.fullmatch(path.name)
        if found is None or path.suffix.lower() not in SUFFIXES or os.path.lexists(text):
            return None
        return cls(path.parent, found["before"], int(found["digits"] or 1), found["after"])

    @property
    def name(self) -> str:
        """The name as a pattern, without the folder."""
        return f"{self.before}%{f'0{self.digits}' if self.digits > 1 else ''}d{self.after}"

    @property
    def path(self) -> Path:
        """The whole pattern."""
        return self.folder / self.name

    def file(self, number: int) -> Path:
        """Return the path of one picture."""
        return self.folder / f"{self.before}{number:0{self.digits}d}{self.after}"

    def files(self) -> list[Path]:
        """Return the pictures that exist, by their numbers; errors as for `numbered`."""
        return list(self.numbered().values())

    def numbered(self) -> dict[int, Path]:
        """Return the pictures that exist with their numbers, in order; numbers may be missing in between.

        Raises:
            PictureError: If there is none, or the folder cannot be read.
        """
        number = re.compile(rf"{re.escape(self.before)}(\d{{{self.digits},}}){re.escape(self.after)}")
        found: dict[int, Path] = {}
        try:
            for entry in self.folder.iterdir():
                match = number.fullmatch(entry.name)
                if match and self.file(int(match[1])).name == entry.name:
                    found[int(match[1])] = entry
        except OSError as error:
            raise PictureError.from_os_error(f"cannot read the folder {printable(self.folder)}", error) from None
        if not found:
            raise PictureError(f"no picture is called {printable(self.path)}, with a number in place of %d")
        if len(found) > MOST_PICTURES:
            raise PictureError(f"{printable(self.path)} stands for more than {MOST_PICTURES:,} pictures")
        return {number: found[number] for number in sorted(found)}
