"""Random training patches from a bank.

Public names: :class:`PatchSampler`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mafdn.data.bank import Bank
from mafdn.errors import ConfigError

TRIES = 4


class PatchSampler:
    """Draws (LR, HR) pairs of aligned patches; what is drawn depends on seed, step and place alone.

    Because no state is carried from draw to draw, a resumed run sees what an uninterrupted one would,
    and any number of processes share a batch without talking. Pictures are drawn in proportion to the
    square root of their area; a patch flatter than ``min_gradient`` (mean absolute difference of
    neighboring LR pixels, in 8-bit levels) is drawn again, up to four times in all.
    """

    def __init__(
        self,
        bank: Bank,
        indices: Sequence[int],
        *,
        scale: int,
        patch: int,
        seed: int,
        min_gradient: float = 0.0,
    ) -> None:
        self.bank, self.scale, self.patch, self.seed = bank, scale, patch, seed
        self.min_gradient = min_gradient
        need = patch * scale
        fitting = [i for i in indices if min(bank.pictures[i].height, bank.pictures[i].width) >= need]
        if not fitting:
            raise ConfigError(f"no training picture is at least {need}x{need} pixels; choose a smaller patch")
        self.indices = np.array(fitting)
        areas = np.array([bank.pictures[i].height * bank.pictures[i].width for i in fitting], np.float64)
        self.chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def batch(self, step: int, places: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The samples at ``places`` of the batch of ``step``: LR (B, p, p, 3) and HR (B, sp, sp, 3)."""
        pairs = [self._draw(np.random.default_rng((self.seed, step, place))) for place in places]
        return np.stack([lr for lr, _ in pairs]), np.stack([hr for _, hr in pairs])

    def _draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        index, top, left = self._place(rng)
        for _ in range(TRIES - 1):
            if self.min_gradient <= 0 or _gradient(self._cut(index, top, left, self.scale)) >= self.min_gradient:
                break
            index, top, left = self._place(rng)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        lr, hr = self._cut(index, top, left, self.scale), self._cut(index, top, left, 1)
        return _dihedral(lr, turns, mirror), _dihedral(hr, turns, mirror)

    def _place(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A picture and the top left corner of a patch in it, in LR pixels."""
        index = int(rng.choice(self.indices, p=self.chances))
        picture = self.bank.pictures[index]
        top = int(rng.integers(picture.height // self.scale - self.patch + 1))
        left = int(rng.integers(picture.width // self.scale - self.patch + 1))
        return index, top, left

    def _cut(self, index: int, top: int, left: int, reduction: int) -> NDArray[np.uint8]:
        """The patch out of the picture reduced by ``reduction`` (1 or the scale)."""
        factor = self.scale // reduction
        whole = self.bank.hr(index) if reduction == 1 else self.bank.lr(index, reduction)
        rows = slice(top * factor, (top + self.patch) * factor)
        return whole[rows, left * factor : (left + self.patch) * factor]


def _dihedral(patch: NDArray[np.uint8], turns: int, mirror: bool) -> NDArray[np.uint8]:
    turned = np.rot90(patch, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def _gradient(patch: NDArray[np.uint8]) -> float:
    green = patch[..., 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean()) / 2
