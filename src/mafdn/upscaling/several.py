"""Which pictures of a file are upscaled: all frames or pages, one, or the first; and their sizes."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.formats import Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import PictureHeader
from mafdn.pictures.sequences.sequence import MOST_PICTURES
from mafdn.upscaling.size import Size, result_size


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The pictures of a file that are upscaled, by size."""

    before: tuple[tuple[int, int], ...]
    """Width and height of each."""
    after: tuple[tuple[int, int], ...]
    """Width and height of the result of each."""

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.before)

    @property
    def largest_side(self) -> int:
        """Width or height of the largest result, whichever is larger."""
        return max(max(size) for size in self.after)

    @property
    def pixels_before(self) -> int:
        """Pixels of all of them."""
        return sum(width * height for width, height in self.before)

    @property
    def pixels_after(self) -> int:
        """Pixels of all results."""
        return self._sums[-1]

    def pixels_until(self, number: int) -> int:
        """Pixels of the results before this one, by number from 0."""
        return self._sums[number]

    @cached_property
    def _sums(self) -> list[int]:
        return [0, *accumulate(width * height for width, height in self.after)]

    @property
    def most_enlarged(self) -> tuple[int, int]:
        """Width and height, before, of the picture that is enlarged most."""
        pairs = zip(self.before, self.after, strict=True)
        return max(pairs, key=lambda pair: max(Fraction(pair[1][axis], pair[0][axis]) for axis in (0, 1)))[0]


def find_sizes(header: PictureHeader, size: Size, kind: Format, *, limits: Limits, frame: int | None) -> Sizes:
    """Find which pictures are upscaled, and check them all together.

    Args:
        header: The opened file.
        size: The requested size, which each picture gets by itself.
        kind: Format of the result.
        limits: Limits for all of them together.
        frame: The number of the only frame or page to upscale, from 1; `None` for all, or the first.

    Raises:
        PictureError: If there are too many pictures or pixels.
    """
    all_of_them = frame is None and kind.several is not None and kind.several == header.format.several
    before = header.sizes if all_of_them else ((header.width, header.height),)
    if len(before) > MOST_PICTURES:
        raise PictureError(
            f"{printable(header.path)} has more than {MOST_PICTURES:,} frames or pages; choose one of them",
            setting="frame",
        )
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for one in before:
        known.setdefault(one, result_size(size, *one))
    sizes = Sizes(before=before, after=tuple(known[one] for one in before))
    if sizes.count == 1:
        limits.check_pixels(header.path, *sizes.after[0], what="would become")
    else:
        limits.check_total(header.path, sizes.count, sizes.pixels_before)
        limits.check_total(header.path, sizes.count, sizes.pixels_after, what="would become")
    return sizes
