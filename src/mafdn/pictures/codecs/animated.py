"""Animations that libvips decodes, all frames at once, each composed of what it changes in those before it."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import damaged, field_of
from mafdn.pictures.limits import Limits
from mafdn.pictures.sequences.sequence import Sequence, Timing, frames_of


class AnimatedFile(VipsFile):
    """A file of a format whose animations libvips decodes: GIF and WebP."""

    def _open(self) -> None:
        super()._open()
        assert self._image is not None
        self._count = int(field_of(self._image, "n-pages", 1))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return ((self.width, self.height),) * self._count

    def choose(self, number: int) -> None:
        check_number(self.path, number, self._count)
        self.which = MappingProxyType({"page": number - 1})
        self._open()

    def decode_all(self, limits: Limits, *, spill_folder: Path | None) -> Sequence:
        if self._count == 1:
            return super().decode_all(limits, spill_folder=spill_folder)
        if len(self.timing.durations) != self._count:
            raise damaged(self.path, f"{self._count} of its {len(self.timing.durations)} frames can be found")
        self.which, self._image = MappingProxyType({"n": -1}), None
        return frames_of(self.decode(limits, spill_folder=spill_folder), self._count, self.timing)

    @cached_property
    def timing(self) -> Timing:
        """The timing of the frames; raises as `read_timing`."""
        return self.read_timing()

    @abstractmethod
    def read_timing(self) -> Timing:
        """The timing of the frames; raises `DamagedError` and `OSError`."""


def check_number(path: Path, number: int, count: int) -> None:
    """Raise `PictureError` if there is no frame or page of this number, from 1, among `count`."""
    if not 1 <= number <= count:
        raise PictureError(f"{printable(path)} has no frame or page {number}, only {count}")
