"""Float pictures around the network: values below 0 and above 1 pass it without clipping and without seams.

The network sees what a display would show: the tone curve of sRGB, and a range that is found once per picture. Values
inside of that range are enlarged by the network; how far others lie outside of it is enlarged bicubically and added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.rows import MappedRows, Rows, pieces
from mafdn.pixels.tone import Tone, shown_by, stored_by

FEW = 0.1
"""Share of pixels that may lie above 1, or below 0, without a change of the range that the network sees."""
TAIL = 0.001
"""Share of pixels beyond each end of a range that is changed."""
SAMPLES = 2**20
"""Most pixels that the range is estimated from."""
LARGEST = float(np.finfo(np.float32).max)
Floats = NDArray[np.float32]
Resize = Callable[[Rows], Floats]


@dataclass(frozen=True, kw_only=True)
class FloatRange:
    """What the network sees of a float picture."""

    low: float
    """Encoded value that the network sees as 0."""
    high: float
    """Encoded value that the network sees as 1."""
    below: bool
    """Whether any value lies below `low`."""
    above: bool
    """Whether any value lies above `high`."""


class FloatView:
    """A float picture in a display's encoding, split into the range that the network sees and what lies outside.

    Args:
        rows: (H, W, C) float32, all finite; an even number of channels means that the last one is alpha in [0, 1].
        tone: Tone curve of the color channels, if it is not that of a display.

    Attributes:
        inside: The picture in [0, 1], for the network.
    """

    def __init__(self, rows: Rows, tone: Tone | None) -> None:
        self._tone, self._colors = tone, rows.shape[2] - (rows.shape[2] + 1) % 2
        shown = rows if tone is None else MappedRows(rows, partial(_shown, tone=tone, colors=self._colors), np.float32)
        self._range = find_range(shown, self._colors)
        self.inside = MappedRows(shown, self._inside, np.float32)
        self._above = MappedRows(shown, partial(self._excess, sign=1), np.float32)
        self._below = MappedRows(shown, partial(self._excess, sign=-1), np.float32)

    def outside(self, resize: Resize) -> Floats | np.float32:
        """How far the values lie outside of the range, resized; each side without the ringing into the other."""
        total = np.float32(0)
        if self._range.above:
            total = total + np.maximum(resize(self._above), np.float32(0))
        if self._range.below:
            total = total + np.minimum(resize(self._below), np.float32(0))
        return total

    def finish(self, values: Floats) -> Floats:
        """Convert the sum of both parts, (any, W', C), back to the picture's own values."""
        colors = values[..., : self._colors].astype(np.float64)
        colors = colors * (self._range.high - self._range.low) + self._range.low
        if self._tone is not None:
            for channel, (to, back) in enumerate(zip(self._tone.to_display, self._tone.from_display, strict=True)):
                colors[..., channel] = stored_by(back, colors[..., channel], (float(to[0]), float(to[-1])))
        values[..., : self._colors] = np.clip(colors, -LARGEST, LARGEST)
        np.clip(values[..., self._colors :], 0, 1, out=values[..., self._colors :])
        return values

    def _inside(self, shown: Floats) -> Floats:
        return np.clip(self._scaled(shown), 0, 1)

    def _excess(self, shown: Floats, *, sign: int) -> Floats:
        scaled = self._scaled(shown)
        excess = np.maximum(scaled - 1, 0) if sign > 0 else np.minimum(scaled, 0)
        excess[..., self._colors :] = 0
        return excess

    def _scaled(self, shown: Floats) -> Floats:
        scaled = shown.copy()
        scaled[..., : self._colors] -= np.float32(self._range.low)
        scaled[..., : self._colors] /= np.float32(self._range.high - self._range.low)
        return scaled


def find_range(rows: Rows, colors: int) -> FloatRange:
    """The range of a picture's encoded values that the network is shown.

    That is [0, 1], even if a few pixels are darker or brighter. If many are (measurements, say), the end in question is
    moved to where only the last per mille lies beyond it.

    Args:
        rows: (H, W, C) float32 in a display's encoding.
        colors: Number of channels that are colors.
    """
    height, width = rows.shape[:2]
    step = max(1, int(np.ceil(np.sqrt(height * width / SAMPLES))))
    lows: list[NDArray[Any]] = []
    highs: list[NDArray[Any]] = []
    least, most = 0.0, 1.0
    for top, piece in pieces(rows):
        values = piece[..., :colors]
        least, most = min(least, float(values.min())), max(most, float(values.max()))
        sample = values[-top % step :: step, ::step]
        lows.append(sample.min(2).ravel())
        highs.append(sample.max(2).ravel())
    low = _end(-np.concatenate(lows), 0.0) * -1
    high = _end(np.concatenate(highs), 1.0)
    return FloatRange(low=low, high=high, below=least < low, above=most > high)


def _end(values: NDArray[Any], usual: float) -> float:
    """`usual`, or the quantile of `values` that replaces it if many are above."""
    return float(np.quantile(values, 1 - TAIL)) if np.mean(values > usual) > FEW else usual


def _shown(values: Floats, *, tone: Tone, colors: int) -> Floats:
    shown = values.copy()
    for channel in range(colors):
        shown[..., channel] = shown_by(tone.to_display[channel], values[..., channel])
    return shown
