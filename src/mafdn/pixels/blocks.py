"""Whether pixels were coded as JPEG before, and at what quality, whatever file they are in now.

JPEG rounds most of the 63 varying DCT coefficients of a block of 8x8 pixels to zero. In a window of 8x8 pixels that
lies exactly on such a block they still are, within the rounding of pixels, and in all other windows they are not. So
every pixel votes for that of the 64 possible block grids whose window around it has most zeros, and the votes of a
picture that was never coded are spread evenly. After ZERO (Nikoukhah, Anger, Ehret, Colom, Morel, Grompone von Gioi,
"ZERO: a local JPEG grid origin detector based on the number of DCT zeros", IPOL 2021, doi 10.5201/ipol.2021.390);
reimplemented, with a bounded sample of the picture and an estimate of the quality.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.rows import Rows

SIDE = 8
"""Side of a block in pixels."""
PHASES = SIDE * SIDE
"""Number of possible grids."""
TILE_SIDE, MOST_TILES, MOST_CANDIDATES = 72, 6, 8
"""Side of the tiles that are examined in pixels, their largest number, and the most candidates along each axis."""
ROUNDING = 0.3
"""Standard deviation of the error of coefficients from pixels rounded to 8 bits, in their levels."""
ZERO = 2.0
"""Largest coefficient that counts as zero, in standard deviations of the noise."""
MOST_CHANCE = -4.0
"""Decimal logarithm of the number of grids that chance would show as clearly, below which a grid is reported."""
LEAST_EVIDENCE = 10.0
"""Evidence for quantization below which there is none, or steps so fine that the picture is as good as clean."""
LEAST_LEVELS = 48
"""Different levels of luma in the examined tiles below which a picture is graphics, whose patterns may fit a grid."""
OUTLIERS = 0.05
"""Share of coefficients that clipped colors move off their multiples."""
LARGEST_STEP = 160
"""Largest quantization step that is looked for."""
MOST_BLOCKS = 400
"""Blocks from which the quality is estimated."""
LOW = np.flatnonzero(np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel() <= 4)[1:]
"""The lowest frequencies of a block, from which the quality is estimated, but for the mean."""


@dataclass(frozen=True, kw_only=True)
class BlockGrid:
    """The grid of blocks that an earlier JPEG encoder left."""

    left: int
    """Column of the first block's border, 0 to 7."""
    top: int
    """Row of the first block's border, 0 to 7."""
    chance: float
    """Decimal logarithm of the number of grids that chance would show as clearly."""
    evidence: float
    """Natural logarithm of how much better quantized coefficients explain the blocks than others."""
    steps: NDArray[np.int_]
    """(8, 8) quantization steps of luma in natural order; 0 where too few coefficients show them."""


Array = NDArray[np.float32]


def find_block_grid(picture: Rows, *, noise: float = ROUNDING) -> BlockGrid | None:
    """Find the block grid of an earlier JPEG encoder.

    Args:
        picture: (H, W, 1 to 4) uint8, uint16 or float32 in [0, 1]; an alpha channel is not examined. Of large pictures
            some tiles are examined.
        noise: Standard deviation of what was added to the coefficients since, in 8-bit levels; by default that of
            rounded pixels.

    Returns:
        The grid; `None` if there is none, or the picture is too small or too flat to tell.
    """
    tiles = [_examine(luma, place, noise) for luma, place in _tiles(picture)]
    votes = sum((tile.votes for tile in tiles), np.zeros(PHASES, np.int64))
    best = int(votes.argmax())
    chance = _log_chance(int(votes[best]), int(votes.sum()))
    if chance > MOST_CHANCE:
        return None
    steps, evidence = _steps([tile.blocks(best) for tile in tiles], noise)
    if evidence < LEAST_EVIDENCE:
        return None
    return BlockGrid(left=best % SIDE, top=best // SIDE, chance=chance, steps=steps, evidence=evidence)


def _tiles(picture: Rows) -> list[tuple[Array, tuple[int, int]]]:
    """Luma of the tiles to examine, those with most detail, with their places; none for graphics."""
    height, width = picture.shape[:2]
    if min(height, width) < 2 * SIDE:
        return []
    candidates: list[tuple[float, Array, tuple[int, int]]] = []
    for top, rows in _spans(height):
        band = picture[top : top + rows]
        band = band[..., : 1 if band.shape[2] < 3 else 3]
        for left, columns in _spans(width):
            luma = _luma(band[:, left : left + columns])
            candidates.append((float(np.mean(luma[:, 1:] != luma[:, :-1])), luma, (top, left)))
    candidates.sort(key=lambda one: -one[0])
    chosen = [(luma, place) for detail, luma, place in candidates[:MOST_TILES] if detail > 0]
    levels = np.unique(np.concatenate([np.zeros(0, np.float32), *(luma.ravel() for luma, _ in chosen)]))
    return chosen if len(levels) >= LEAST_LEVELS else []


def _spans(length: int) -> list[tuple[int, int]]:
    """Where tiles begin along an axis, and their lengths: evenly spaced, or all of a short axis."""
    count = min(MOST_CANDIDATES, length // TILE_SIDE)
    if count < 2:
        return [(0, length)]
    return [(round(number * (length - TILE_SIDE) / (count - 1)), TILE_SIDE) for number in range(count)]


def _luma(tile: NDArray[np.generic]) -> Array:
    """Luma (BT.601, full range as in JPEG) in 8-bit levels."""
    values = tile.astype(np.float32) * {"u1": 1.0, "u2": 1 / 257}.get(tile.dtype.str[1:], 255.0)
    return values[..., 0] if values.shape[2] == 1 else values @ np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class _Tile:
    """What the windows of a tile show."""

    coefficients: Array
    """(H - 7, W - 7, 64): those of every window."""
    phases: NDArray[np.intp]
    """(H - 7, W - 7): the grid that has each window as a block."""
    winners: NDArray[np.intp]
    """(H, W): the grid that each pixel votes for; -1 for none."""

    @property
    def votes(self) -> NDArray[np.int64]:
        """How many pixels vote for each grid; those near a border, which are not in all 64 windows, do not."""
        inner = self.winners[SIDE - 1 : 1 - SIDE, SIDE - 1 : 1 - SIDE]
        return np.bincount(inner[inner >= 0], minlength=PHASES)

    def blocks(self, phase: int) -> Array:
        """The coefficients of the blocks of a grid whose middle votes for it."""
        middle = self.winners[SIDE // 2 :, SIDE // 2 :][: len(self.phases), : self.phases.shape[1]]
        return self.coefficients[(self.phases == phase) & (middle == phase)]


def _examine(luma: Array, place: tuple[int, int], noise: float) -> _Tile:
    coefficients = _transform(luma)
    zeros = (np.abs(coefficients[..., 1:]) < ZERO * noise).sum(axis=2, dtype=np.int16)
    rows, columns = ((np.arange(length) + start) % SIDE for length, start in zip(zeros.shape, place, strict=True))
    phases = rows[:, None] * SIDE + columns
    return _Tile(coefficients, phases, _winners(np.where(zeros < PHASES - 1, zeros, -1), phases))


@cache
def _basis() -> Array:
    """(64, 64): the pixels of a block to its orthonormal DCT coefficients."""
    index = np.arange(SIDE)
    rows = np.sqrt(2 / SIDE) * np.cos((2 * index + 1) * index[:, None] * np.pi / (2 * SIDE))
    rows[0] /= np.sqrt(2)
    return np.kron(rows, rows).astype(np.float32)


def _transform(luma: Array) -> Array:
    """(H - 7, W - 7, 64): the DCT coefficients of every window."""
    windows = np.lib.stride_tricks.sliding_window_view(luma, (SIDE, SIDE))
    rows, columns = windows.shape[:2]
    return (windows.reshape(rows * columns, PHASES) @ _basis().T).reshape(rows, columns, PHASES)


def _winners(zeros: NDArray[np.int16], phases: NDArray[np.intp]) -> NDArray[np.intp]:
    """The grid of the window with most zeros around each pixel; -1 for a tie, and where all windows have -1."""
    rows, columns = zeros.shape
    most = np.full((rows + SIDE - 1, columns + SIDE - 1), -1, np.int16)
    winner = np.full(most.shape, -1, np.intp)
    for down in range(SIDE):
        for across in range(SIDE):
            part = (slice(down, down + rows), slice(across, across + columns))
            better, equal = zeros > most[part], zeros == most[part]
            winner[part] = np.where(better, phases, np.where(equal, -1, winner[part]))
            most[part] = np.maximum(zeros, most[part])
    return winner


def _log_chance(votes: int, total: int) -> float:
    """Decimal logarithm of the number of grids that would get as many votes by chance, an upper bound.

    The pixels of a block vote together, so that 64 votes count as one. The bound is that of Chernoff.
    """
    share, even = votes / max(total, 1), 1 / PHASES
    if share <= even:
        return math.log10(PHASES)
    divergence = share * math.log(share / even)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - even))
    return math.log10(PHASES) - total / PHASES * divergence / math.log(10)


def _steps(parts: list[Array], noise: float) -> tuple[NDArray[np.int_], float]:
    """The quantization steps of the low frequencies, whose multiples the coefficients are, and the evidence for them.

    Returns:
        (8, 8) steps, 0 where unknown; and the logarithm of how much better multiples explain the coefficients than
        values that are spread evenly.
    """
    blocks = np.concatenate(parts)
    _, first = np.unique(np.rint(blocks), axis=0, return_index=True)  # repeated blocks have multiples by themselves
    blocks = blocks[np.sort(first)]
    blocks = blocks[:: 1 + len(blocks) // MOST_BLOCKS][:, LOW]
    steps = np.arange(1, LARGEST_STEP + 1, dtype=np.float32)
    result, total = np.zeros(PHASES, int), 0.0
    for place, values in zip(LOW, blocks.T, strict=True):
        values = np.abs(values[np.abs(values) > 2 * ZERO * noise])[:, None]
        errors = values - steps * np.rint(values / steps)
        density = steps * np.exp(-0.5 * (errors / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
        evidence = np.log(OUTLIERS + (1 - OUTLIERS) * density).sum(axis=0) - math.log(LARGEST_STEP)
        if evidence.max() > 0:
            result[place] = int(steps[evidence.argmax()])
            total += float(evidence.max())
    return result.reshape(SIDE, SIDE), total
