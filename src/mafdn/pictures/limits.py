"""What a picture may cost before it is refused.

Public names: :class:`Limits`.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn.errors import PictureError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that is taken on; the seconds count from the making of this object."""

    pixels: int = 1_000_000_000
    """Of a picture as well as of its result, width times height."""
    file_mb: float = 4_000
    """Of a picture file, in millions of bytes."""
    seconds: float | None = None
    """For one picture, reading and writing included."""
    began: float = field(default_factory=time.monotonic, repr=False)

    def check_file(self, path: Path) -> None:
        """Raise :class:`PictureError` when the file is too large."""
        size = path.stat().st_size / 1e6
        if size > self.file_mb:
            digits = next((n for n in range(6) if round(size, n) > self.file_mb), 6)
            raise PictureError(f"{shown(path)} has {size:,.{digits}f} MB; --max-file-mb allows {self.file_mb:,g}")

    def check_pixels(self, path: Path, width: int, height: int, *, what: str = "has") -> None:
        """Raise :class:`PictureError` when a picture of this size holds too many pixels."""
        if width * height > self.pixels:
            raise PictureError(
                f"{shown(path)} {what} {width}x{height} pixels, {width * height:,} in all; "
                f"--max-pixels allows {self.pixels:,}"
            )

    @property
    def passed(self) -> bool:
        return self.seconds is not None and time.monotonic() - self.began > self.seconds

    def check_time(self, path: Path) -> None:
        """Raise :class:`PictureError` once the time is over."""
        if self.passed:
            raise PictureError(f"{shown(path)} takes longer than the {self.seconds:g} seconds of --max-seconds")
