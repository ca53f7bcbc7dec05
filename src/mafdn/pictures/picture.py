"""A picture that was opened, with all that belongs to it.

Public names: :class:`Picture`, :func:`space_of`, :data:`SCREEN`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.formats import Format
from mafdn.pixels.rows import Rows

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
SCREEN = (72 / 25.4, 72 / 25.4)
"""The print resolution, in pixels per mm, of a file that states none."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture, upright, in its own color space and depth; in memory when it is small."""

    planes: Rows
    """(H, W, 1 to 4) uint8 or uint16 over their full range: grey or RGB, then alpha, not premultiplied, if any."""
    format: Format
    """What the file was, by content."""
    profile: bytes | None = None
    """ICC profile of the colors; ``None`` means sRGB (or its grey)."""
    pixels_per_mm: tuple[float, float] = SCREEN
    """Print resolution, horizontally and vertically, as the file states it; else :data:`SCREEN`."""
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    """Further metadata (EXIF, XMP, IPTC) by libvips name: its type and value."""
    file_bits: int | None = None
    """Bits a channel in the file where they are neither 8 nor 16 (10, 12 in AVIF); the pixels span 16 all the same."""
    notes: tuple[str, ...] = ()
    """What could not be kept while reading, one sentence each."""

    @property
    def colors(self) -> int:
        """Channels before alpha: 1 when grey, 3 when RGB."""
        return 1 if self.planes.shape[2] < 3 else 3

    @property
    def transparent(self) -> bool:
        """Whether there is an alpha channel."""
        return self.planes.shape[2] in (2, 4)

    @property
    def color(self) -> Pixels:
        """(H, W, 1 or 3), all of it in memory."""
        return self.planes[:][..., : self.colors]

    @property
    def alpha(self) -> Pixels | None:
        """(H, W), all of it in memory; ``None`` when the picture is opaque."""
        return self.planes[:][..., -1] if self.transparent else None

    @property
    def height(self) -> int:
        return self.planes.shape[0]

    @property
    def width(self) -> int:
        return self.planes.shape[1]

    @property
    def bits(self) -> int:
        return self.file_bits or self.planes.dtype.itemsize * 8


def space_of(*, grey: bool, deep: bool) -> str:
    """What libvips calls the space of grey or RGB pixels, ``deep`` when they have 16 bits."""
    if grey:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"
