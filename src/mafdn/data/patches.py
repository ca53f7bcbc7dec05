"""Random training patches from a bank.

Public names: :class:`PatchSampler`, :class:`Batch`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mafdn.data.bank import Bank
from mafdn.errors import ConfigError
from mafdn.pixels import orient

TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Aligned patches, uint8: ``lr`` (B, p, p, 3); ``hr`` and, where there is a teacher, ``teacher`` (B, sp, sp, 3)."""

    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]
    teacher: NDArray[np.uint8] | None = None


class PatchSampler:
    """Draws aligned LR and HR patches; what is drawn depends on seed, step and place alone.

    Because no state is carried from draw to draw, a resumed run sees what an uninterrupted one would,
    and any number of processes share a batch without talking. Pictures are drawn in proportion to the
    square root of their area; a patch flatter than ``min_gradient`` (mean absolute difference of
    neighboring LR pixels, in 8-bit levels) is drawn again, up to four times in all. Of ``candidates`` patches
    drawn so, the one with the largest gradient is taken. With ``teacher``, what that teacher of the bank made of the
    LR patch goes with it.

    Raises :class:`ConfigError` when no picture holds a patch and when the bank has no such teacher at ``scale``.
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
        candidates: int = 1,
        teacher: str = "",
    ) -> None:
        self.bank, self.scale, self.patch, self.seed = bank, scale, patch, seed
        self.min_gradient, self.candidates, self.teacher = min_gradient, candidates, teacher
        if teacher:
            _check_teacher(bank, teacher, scale)
        need = patch * scale
        fitting = [i for i in indices if min(bank.pictures[i].height, bank.pictures[i].width) >= need]
        if not fitting:
            raise ConfigError(f"no training picture is at least {need}x{need} pixels; choose a smaller patch")
        self.indices = np.array(fitting)
        areas = np.array([bank.pictures[i].height * bank.pictures[i].width for i in fitting], np.float64)
        self.chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def batch(self, step: int, places: Sequence[int]) -> Batch:
        """The samples at ``places`` of the batch of ``step``."""
        samples = [self._draw(np.random.default_rng((self.seed, step, place))) for place in places]
        # A stack of patches that were all turned keeps their order of memory, which slows down all that follows.
        lr, hr, *taught = (np.ascontiguousarray(np.stack(patches)) for patches in zip(*samples, strict=True))
        return Batch(lr=lr, hr=hr, teacher=taught[0] if taught else None)

    def _draw(self, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        """LR, HR and, with a teacher, its patch."""
        drawn = [self._textured_place(rng) for _ in range(self.candidates)]
        index, top, left = max(drawn, key=self._gradient_at) if len(drawn) > 1 else drawn[0]
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        wholes = [(self.bank.lr(index, self.scale), 1), (self.bank.hr(index), self.scale)]
        if self.teacher:
            wholes.append((self.bank.teacher(index, self.teacher), self.scale))
        return [orient(self._cut(whole, top, left, factor), turns, mirror) for whole, factor in wholes]

    def _textured_place(self, rng: np.random.Generator) -> tuple[int, int, int]:
        place = self._place(rng)
        for _ in range(TRIES - 1):
            if self.min_gradient <= 0 or self._gradient_at(place) >= self.min_gradient:
                break
            place = self._place(rng)
        return place

    def _place(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A picture and the top left corner of a patch in it, in LR pixels."""
        index = int(rng.choice(self.indices, p=self.chances))
        picture = self.bank.pictures[index]
        top = int(rng.integers(picture.height // self.scale - self.patch + 1))
        left = int(rng.integers(picture.width // self.scale - self.patch + 1))
        return index, top, left

    def _gradient_at(self, place: tuple[int, int, int]) -> float:
        index, top, left = place
        return _gradient(self._cut(self.bank.lr(index, self.scale), top, left, 1))

    def _cut(self, whole: NDArray[np.uint8], top: int, left: int, factor: int) -> NDArray[np.uint8]:
        """The patch out of a picture that is ``factor`` times the LR picture's size."""
        rows, columns = (slice(start * factor, (start + self.patch) * factor) for start in (top, left))
        return whole[rows, columns]


def _gradient(patch: NDArray[np.uint8]) -> float:
    green = patch[..., 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean()) / 2


def _check_teacher(bank: Bank, name: str, scale: int) -> None:
    known = {n for n, teacher in bank.teachers.items() if teacher.scale == scale}
    if name not in known:
        there_are = ", ".join(sorted(known)) or "none"
        raise ConfigError(
            f"{bank.folder} has no teacher {name!r} at x{scale} (there are: {there_are}); mafdn bank teach"
        )
