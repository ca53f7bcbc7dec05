"""Limits on the size of pictures and the time they take."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.validate import as_number
from mafdn.errors import PictureError

MOST_SECONDS = 1e9
"""Longest time limit, of about 30 years: systems do not wait for any number of seconds."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for one picture.

    Args:
        pixels: Most pixels (width times height) of the input and of the result, all frames or pages together.
        file_mb: Largest input file, in millions of bytes.
        seconds: Time limit, reading and writing included (default: none).
        began: Start of the time limit, by `time.monotonic` (default: the creation of this object). It is set anew for
            each picture that is upscaled.

    Raises:
        UsageError: If a limit is negative or not a number, or the time limit is infinite.
    """

    pixels: int = 1_000_000_000
    file_mb: float = 4_000
    seconds: float | None = None
    began: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        as_number("file_mb", self.file_mb, least=0, most=math.inf)
        if self.seconds is not None:
            as_number("seconds", self.seconds, least=0, most=MOST_SECONDS)

    def begun(self) -> "Limits":
        """Return the same limits with a time limit that starts now."""
        return replace(self, began=time.monotonic())

    def check_file(self, path: Path) -> None:
        """Raise `PictureError` if the file is too large."""
        size = path.stat().st_size / 1e6
        if size > self.file_mb:
            digits = next((n for n in range(6) if round(size, n) > self.file_mb), 6)
            raise PictureError(
                f"{printable(path)} has {size:,.{digits}f} MB; the limit is {self.file_mb:,g}", setting="max_file_mb"
            )

    def check_pixels(self, path: Path, width: int, height: int, *, what: str = "has") -> None:
        """Raise `PictureError`, with `what` as its verb, if a picture of this size has too many pixels."""
        if width * height > self.pixels:
            raise PictureError(
                f"{printable(path)} {what} {width}x{height} pixels, {width * height:,} in all; "
                f"the limit is {self.pixels:,}",
                setting="max_pixels",
            )

    def check_total(self, path: Path, count: int, pixels: int, *, what: str = "has") -> None:
        """Raise `PictureError`, with `what` as its verb, if several pictures have too many pixels in all."""
        if pixels > self.pixels:
            raise PictureError(
                f"{printable(path)} {what} {count:,} frames or pages of {pixels:,} pixels in all; "
                f"the limit is {self.pixels:,}: raise it, or choose one of them",
                setting="max_pixels",
            )

    @property
    def exceeded(self) -> bool:
        """Whether the time limit has passed."""
        return self.seconds is not None and time.monotonic() - self.began > self.seconds

    def check_time(self, path: Path) -> None:
        """Raise `PictureError` if the time limit has passed."""
        if self.exceeded:
            raise PictureError(
                f"{printable(path)} takes longer than the limit of {self.seconds:g} seconds", setting="max_seconds"
            )

    def timed(self, path: Path, on_progress: Callable[[int, int], None] | None) -> Callable[[int, int], None]:
        """Return a callback for progress that calls `check_time`, then `on_progress`."""

        def tick(done: int, total: int) -> None:
            self.check_time(path)
            if on_progress:
                on_progress(done, total)

        return tick
