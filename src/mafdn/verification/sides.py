"""Input and result in the same form, so that they can be compared: colors, channels, transparency, 8-bit levels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import PictureError
from mafdn.pictures.picture import CodePoints, Picture
from mafdn.pictures.profiles import picture_tone, same_colors, to_srgb
from mafdn.pixels.rows import Rows
from mafdn.pixels.tone import Tone, shown_by

WHITE = 255.0
"""The level of white, and of opaque alpha."""
WHITE_16 = 65_535
Levels = NDArray[np.float32]
"""(h, W, C) values in 8-bit levels; beyond 0 to 255 only for pictures of floating-point numbers."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two pictures of a comparison."""

    planes: Rows
    """(H, W, 1 to 4) pixels, as in `Picture.planes`."""
    profile: bytes | None = None
    """ICC profile; `None` for sRGB."""
    tone: Tone | None = None
    """Tone curve of the color channels, if it is not that of a display."""
    code_points: CodePoints | None = None
    """Colors stated by number."""

    @classmethod
    def of(cls, picture: Picture) -> "Side":
        """The side for a decoded picture."""
        return cls(
            planes=picture.planes,
            profile=picture.profile,
            tone=picture_tone(picture),
            code_points=picture.code_points,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.planes.shape[1], self.planes.shape[0]

    @property
    def colors(self) -> int:
        """Number of channels without alpha: 1 or 3."""
        return 1 if self.planes.shape[2] < 3 else 3

    @property
    def transparent(self) -> bool:
        """Whether there is an alpha channel."""
        return self.planes.shape[2] in (2, 4)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Input and result as rows of the same channels."""

    source: "LevelRows"
    result: "LevelRows"
    as_stored: bool
    """Whether the colors of the input are those in its file."""
    notes: tuple[str, ...]


class LevelRows:
    """A side in 8-bit levels, converted when rows are read.

    Args:
        side: The picture.
        colors: Number of color channels, 3 if either side has them.
        keep_alpha: Whether to keep alpha; colors are then multiplied by it, as they look on black. If not, transparent
            areas become white.
        srgb: Whether to convert the colors to sRGB.
    """

    def __init__(self, side: Side, *, colors: int, keep_alpha: bool, srgb: bool) -> None:
        self._side, self._colors, self._keep_alpha, self._srgb = side, colors, keep_alpha, srgb
        height, width, _ = side.planes.shape
        self.shape, self.dtype = (height, width, colors + keep_alpha), np.dtype(np.float32)

    def __getitem__(self, rows: slice, /) -> Levels:
        values = self._side.planes[rows]
        colors = self._converted(values[..., : self._side.colors])
        if colors.shape[2] < self._colors:
            colors = np.broadcast_to(colors, (*colors.shape[:2], self._colors))
        if not self._side.transparent:
            return np.concatenate([colors, np.full_like(colors[..., :1], WHITE)], 2) if self._keep_alpha else colors
        alpha = _levels(values[..., -1:])
        colors = np.multiply(colors, alpha / np.float32(WHITE), dtype=np.float32)
        return np.concatenate([colors, alpha], 2) if self._keep_alpha else colors + (np.float32(WHITE) - alpha)

    def _converted(self, values: NDArray[Any]) -> Levels:
        """The color channels in levels of the common encoding."""
        side = self._side
        if self._srgb and side.profile is not None:
            deep = np.rint(np.clip(_levels(values), 0, WHITE) * np.float32(WHITE_16 / WHITE)).astype(np.uint16)
            return _levels(to_srgb(deep, side.profile))
        if side.tone is None:
            return _levels(values)
        if values.dtype.kind == "f":
            channels = [shown_by(curve, values[..., i]) * WHITE for i, curve in enumerate(side.tone.to_display)]
        else:
            step = 1 if values.dtype == np.uint16 else 257
            channels = [curve[::step][values[..., i]] * WHITE for i, curve in enumerate(side.tone.to_display)]
        return np.stack(channels, axis=2).astype(np.float32)


def paired(source: Side, result: Side) -> Pair:
    """Bring input and result into the same form.

    Raises:
        PictureError: If their colors are stated in ways that cannot be converted into each other.
    """
    notes: list[str] = []
    first, second = source.code_points, result.code_points
    special = [points.hdr or not points.full_range for points in (first, second) if points]
    if any(special) and (first is None or second is None or not _same_values(first, second)):
        raise PictureError("the colors of the result are not those of the picture (HDR or range): convert one first")
    srgb = not same_colors(source.profile, result.profile, (source.colors, result.colors))
    if srgb:
        notes.append("their color profiles differ: both were compared in sRGB")
    keep_alpha = source.transparent and result.transparent
    if source.transparent != result.transparent:
        notes.append("only one of them has transparency: the other was compared with its transparent areas in white")
    colors = 3 if srgb else max(source.colors, result.colors)
    return Pair(
        source=LevelRows(source, colors=colors, keep_alpha=keep_alpha, srgb=srgb),
        result=LevelRows(result, colors=colors, keep_alpha=keep_alpha, srgb=srgb),
        as_stored=source.tone is None and not (srgb and source.profile is not None),
        notes=tuple(notes),
    )


def _same_values(first: CodePoints, second: CodePoints) -> bool:
    """Whether values stated by number mean the same, apart from the display they were graded on."""
    return (first.primaries, first.transfer, first.full_range) == (
        second.primaries,
        second.transfer,
        second.full_range,
    )


def _levels(values: NDArray[Any]) -> Levels:
    """Values of any type in 8-bit levels."""
    if values.dtype.kind == "f":
        return values * np.float32(WHITE)
    levels = values.astype(np.float32)
    return levels if values.dtype == np.uint8 else levels / np.float32(257)
