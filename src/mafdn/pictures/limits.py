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
    """Limits beyond which a picture is refused.

    Args:
        pixels: Maximum number of pixels of a picture and of its result.
        file_mb: Maximum size of a picture file, in millions of bytes.
        seconds: Time limit for one picture, including reading and writing (default: none).
    """

    pixels: int = 1_000_000_000
    file_mb: float = 4_000
    seconds: float | None = None
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
