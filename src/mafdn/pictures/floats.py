"""Pictures of floating-point numbers: what is cleaned after reading, and what becomes of them in other formats."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.picture import Format, Picture, Pixels
from mafdn.pixels.rows import MappedRows, Rows, pieces
from mafdn.pixels.tone import srgb_signal

LARGEST_HALF = 65_504.0
"""Largest finite number of 16 bits."""
ASSUMPTION = "it has no color profile: its floating-point values were taken as linear light{primaries}"
"""Note on what a picture without a profile is taken for."""


def assumption(*, grey: bool) -> str:
    """The note on what floating-point values without a color profile are taken for."""
    return ASSUMPTION.format(primaries="" if grey else ", the primaries as those of sRGB")


def cleaned_floats(planes: Rows, *, transparent: bool) -> tuple[Rows, list[str]]:
    """Replace what is no number, and alpha outside of [0, 1].

    Args:
        planes: (H, W, C) float32.
        transparent: Whether the last channel is alpha.

    Returns:
        Rows in which every NaN is 0, infinity is the largest or smallest number of the picture, and alpha is in [0, 1];
        and notes on that.
    """
    infinite = missing = beyond = False
    low, high = 0.0, 0.0
    for _, piece in pieces(planes):
        finite = np.isfinite(piece)
        if not finite.all():
            missing = missing or bool(np.isnan(piece).any())
            infinite = infinite or bool(np.isinf(piece).any())
        low = min(low, float(piece.min(where=finite, initial=0)))
        high = max(high, float(piece.max(where=finite, initial=0)))
        if transparent:
            alpha = piece[..., -1]
            beyond = beyond or bool(((alpha < 0) | (alpha > 1)).any())
    if not (infinite or missing or beyond):
        return planes, []
    notes = ["values that are no number became 0"] if missing else []
    notes += ["infinite values became the largest finite ones"] if infinite else []
    notes += ["transparency outside of 0 to 1 was clipped"] if beyond else []
    clean = partial(_cleaned, low=low, high=high, transparent=transparent)
    return clean(planes) if isinstance(planes, np.ndarray) else MappedRows(planes, clean, np.float32), notes


class FloatBands:
    """Converts bands of a float picture to what a format stores, and remembers what was lost.

    Args:
        picture: The picture.
        kind: The format.

    Attributes:
        dtype: Type of the converted bands: float32; uint16 with the bits of float16 (`half`); or uint16 over the full
            range, for formats without floating-point numbers.
        half: Whether the bands hold the bits of float16.
    """

    def __init__(self, picture: Picture, kind: Format) -> None:
        self._kind, self._transparent = kind, picture.transparent
        self._encode = picture.profile is None and not kind.float_bits
        self.half = bool(kind.float_bits) and picture.bits <= kind.float_bits[0]
        self.dtype = np.dtype(np.float32 if kind.float_bits and not self.half else np.uint16)
        self._low, self._high = 0.0, 1.0

    def convert(self, band: Pixels) -> Pixels:
        """Convert the next rows, (any, W, C) float32."""
        if self.half:
            return np.clip(band, -LARGEST_HALF, LARGEST_HALF).astype(np.float16).view(np.uint16)
        if self.dtype == np.float32:
            return band
        colors = band[..., : band.shape[2] - self._transparent]
        self._low, self._high = min(self._low, float(colors.min())), max(self._high, float(colors.max()))
        values = np.clip(band, 0, 1).astype(np.float64)
        if self._encode:
            colors = values[..., : band.shape[2] - self._transparent]
            colors[...] = srgb_signal(colors)
        return np.rint(values * 65_535).astype(np.uint16)

    def notes(self, bits: int) -> list[str]:
        """What the bands lost in a file of `bits` bits per channel, after the last of them."""
        if self._kind.float_bits:
            return []
        name = self._kind.name
        how = "encoded as sRGB and rounded" if self._encode else "rounded"
        notes = [f"{name} has no floating-point numbers: values were {how} to {bits} bits per channel"]
        if self._low < 0 or self._high > 1:
            notes.append(f"{name} has no values outside of 0 to 1: {self._low:.3g} to {self._high:.3g} were clipped")
        return notes


def _cleaned(piece: NDArray[Any], *, low: float, high: float, transparent: bool) -> NDArray[np.float32]:
    clean = np.nan_to_num(piece, nan=0.0, posinf=high, neginf=low)
    if transparent:
        np.clip(clean[..., -1], 0, 1, out=clean[..., -1])
    return clean
