"""A picture in memory, with all that belongs to it.

Public names: :class:`Picture`, :func:`space_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.formats import Format

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Color and alpha of one picture, upright, in its own color space and depth."""

    color: Pixels
    """(H, W, 3) RGB or (H, W, 1) grey; the full range of its integer type."""
    alpha: Pixels | None
    """(H, W), not premultiplied, of the same type as ``color``; ``None`` when the picture is opaque."""
    format: Format
    """What the file was, by content."""
    profile: bytes | None = None
    """ICC profile of ``color``; ``None`` means sRGB (or its grey)."""
    pixels_per_mm: tuple[float, float] = (1.0, 1.0)
    """Print resolution, horizontally and vertically, as the file states it."""
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    """Further metadata (EXIF, XMP, IPTC) by libvips name: its type and value."""
    file_bits: int | None = None
    """Bits a channel in the file where they are neither 8 nor 16 (10, 12 in AVIF); the pixels span 16 all the same."""
    notes: tuple[str, ...] = ()
    """What could not be kept while reading, one sentence each."""

    @property
    def planes(self) -> Pixels:
        """Color and, where there is one, alpha as one (H, W, C) array of 1 to 4 channels."""
        return self.color if self.alpha is None else cast(Pixels, np.dstack([self.color, self.alpha]))

    @property
    def height(self) -> int:
        return self.color.shape[0]

    @property
    def width(self) -> int:
        return self.color.shape[1]

    @property
    def bits(self) -> int:
        return self.file_bits or self.color.dtype.itemsize * 8


def space_of(*, grey: bool, deep: bool) -> str:
    """What libvips calls the space of grey or RGB pixels, ``deep`` when they have 16 bits."""
    if grey:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"
