"""Random training patches from a bank.

Public names: :class:`PatchSampler`, :class:`Places`, :class:`Candidates`, :class:`Pair`, :class:`Batch`,
:func:`texture`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import ConfigError
from mafdn.pixels import ORIENTATIONS, orient
from mafdn.training.data.bank import PARTIAL, Bank, teacher_folder

TRIES = 4
"""How often a flat patch is replaced at most, counting the first."""
DETOUR = 1_000_003
"""Added to the seed for every time a run went back and took other patches."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Aligned patches, uint8: ``lr`` (B, p, p, 3); ``hr`` and, where there is a teacher, ``teacher`` (B, sp, sp, 3)."""

    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]
    teacher: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the patches of a batch lie: int64 arrays of equal shape.

    ``picture`` is an index into :attr:`PatchSampler.pairs`, ``top`` and ``left`` are LR pixels.
    """

    picture: NDArray[np.int64]
    top: NDArray[np.int64]
    left: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the random numbers of a step offer for each sample: ``places`` are (B, candidates, tries)."""

    places: Places
    orientation: NDArray[np.int64]
    """(B,): an index into :data:`mafdn.pixels.ORIENTATIONS`."""


@dataclass(frozen=True)
class Pair:
    """One picture that patches are cut from."""

    bank: Bank
    index: int
    scale: int
    teacher_name: str

    @property
    def lr(self) -> NDArray[np.uint8]:
        """(H, W, 3)."""
        return self.bank.lr(self.index, self.scale)

    @property
    def hr(self) -> NDArray[np.uint8]:
        """(scale*H, scale*W, 3)."""
        return self.bank.hr(self.index)

    @property
    def teacher(self) -> NDArray[np.uint8]:
        """(scale*H, scale*W, 3). Of a zoomed pair it is ``hr`` itself, which a teacher made."""
        return self.hr if self.bank.zoomed else self.bank.teacher(self.index, self.teacher_name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of ``lr``."""
        picture = self.bank.pictures[self.index]
        return picture.height // self.scale, picture.width // self.scale


class PatchSampler:
    """Draws aligned LR and HR patches; what is drawn depends on seed, step and place in the batch alone.

    Because no state is carried from draw to draw, a resumed run sees what an uninterrupted one would,
    and any number of processes share a batch without communicating. Pictures are drawn in proportion to the
    square root of their area; a patch flatter than ``min_gradient`` (mean absolute difference of
    neighboring LR pixels, in 8-bit levels) is drawn again, up to four times in all. Of ``candidates`` patches
    drawn so, the one with the largest gradient is taken. With ``teacher``, what that teacher of the bank made of the
    LR patch goes with it. ``zoomed_share`` of the patches come from ``zoomed``, a bank of zoomed pairs and the
    pictures of it to use.

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
        zoomed: tuple[Bank, Sequence[int]] | None = None,
        zoomed_share: float = 0.0,
    ) -> None:
        self.scale, self.patch, self.seed = scale, patch, seed
        self.candidates, self.teacher = candidates, teacher
        self.flattest = min_gradient * 2 * patch * (patch - 1)
        """The least :func:`texture` of a patch that is not drawn again."""
        if teacher:
            _check_teacher(bank, teacher, scale)
        self.pairs = _fitting(bank, indices, scale, teacher, patch)
        chances = _chances(self.pairs)
        if zoomed and zoomed_share:
            further = _fitting(*zoomed, scale, teacher, patch)
            chances = np.concatenate([chances * (1 - zoomed_share), _chances(further) * zoomed_share])
            self.pairs += further
        self.cumulative = np.cumsum(chances)
        self.sizes = np.array([pair.size for pair in self.pairs])

    def batch(self, step: int, places: Sequence[int], *, detours: int = 0) -> Batch:
        """The samples at ``places`` of the batch of ``step``, after ``detours``."""
        drawn = self.draw(step, places, detours=detours)
        samples = [self._cut(self._choose(drawn, i), int(drawn.orientation[i])) for i in range(len(places))]
        # A stack of patches that were all turned keeps their order of memory, which slows down all that follows.
        lr, hr, *taught = (np.ascontiguousarray(np.stack(patches)) for patches in zip(*samples, strict=True))
        return Batch(lr=lr, hr=hr, teacher=taught[0] if taught else None)

    def draw(self, step: int, places: Sequence[int], *, detours: int = 0) -> Candidates:
        """The random part of a batch; which candidate is taken depends on pixels and on nothing else."""
        tries = self.candidates * TRIES
        key = np.array([self.seed + DETOUR * detours, step], np.uint64)
        numbers = np.random.Generator(np.random.Philox(key=key)).random((max(places) + 1, 3 * tries + 1))[list(places)]
        spots = numbers[:, : 3 * tries].reshape(len(places), self.candidates, TRIES, 3)
        picture = np.searchsorted(self.cumulative, spots[..., 0] * self.cumulative[-1], side="right")
        picture = np.minimum(picture, len(self.pairs) - 1)
        room = self.sizes[picture] - self.patch + 1  # (B, candidates, tries, 2)
        corner = np.minimum((spots[..., 1:] * room).astype(np.int64), room - 1)
        orientation = (numbers[:, -1] * len(ORIENTATIONS)).astype(np.int64)
        return Candidates(
            places=Places(picture=picture, top=corner[..., 0], left=corner[..., 1]), orientation=orientation
        )

    def _choose(self, drawn: Candidates, sample: int) -> tuple[int, int, int]:
        """The picture, top and left of one sample."""
        places = drawn.places
        spots = np.stack([places.picture[sample], places.top[sample], places.left[sample]], axis=-1).tolist()
        if self.flattest <= 0 and self.candidates == 1:
            return tuple(spots[0][0])
        best, most = (0, 0, 0), -1
        for tries in spots:
            place, found = (0, 0, 0), -1
            for picture, top, left in tries:
                place, found = (picture, top, left), texture(self._window(self.pairs[picture].lr, top, left, 1))
                if found >= self.flattest:
                    break
            if found > most:
                best, most = place, found
        return best

    def _cut(self, place: tuple[int, int, int], orientation: int) -> list[NDArray[np.uint8]]:
        """LR, HR and, with a teacher, its patch."""
        picture, top, left = place
        pair = self.pairs[picture]
        wholes = [(pair.lr, 1), (pair.hr, self.scale)] + ([(pair.teacher, self.scale)] if self.teacher else [])
        return [orient(self._window(whole, top, left, factor), *ORIENTATIONS[orientation]) for whole, factor in wholes]

    def _window(self, whole: NDArray[np.uint8], top: int, left: int, factor: int) -> NDArray[np.uint8]:
        """The patch out of a picture that is ``factor`` times the LR picture's size."""
        rows, columns = (slice(start * factor, (start + self.patch) * factor) for start in (top, left))
        return whole[rows, columns]


def texture(patch: NDArray[np.uint8]) -> int:
    """The sum of the absolute differences of neighboring pixels of the green channel of (p, p, 3), both directions."""
    green = patch[..., 1].astype(np.int16)
    return int(np.abs(np.diff(green, axis=0)).sum() + np.abs(np.diff(green, axis=1)).sum())


def _fitting(bank: Bank, indices: Sequence[int], scale: int, teacher: str, patch: int) -> list[Pair]:
    pairs = [Pair(bank, index, scale, teacher) for index in indices]
    fitting = [pair for pair in pairs if min(pair.size) >= patch]
    if not fitting:
        need = patch * scale
        raise ConfigError(f"no picture of {bank.folder} is at least {need}x{need} pixels; choose a smaller data.patch")
    return fitting


def _chances(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    roots = np.sqrt([float(height * width) for height, width in (pair.size for pair in pairs)])
    return roots / roots.sum()


def _check_teacher(bank: Bank, name: str, scale: int) -> None:
    known = {n for n, teacher in bank.teachers.items() if teacher.scale == scale}
    if teacher_folder(bank.folder, name + PARTIAL).exists() and name not in known:
        raise ConfigError(f"the teacher {name!r} of {bank.folder} is unfinished; resume 'mafdn bank teach'")
    if name not in known:
        there_are = ", ".join(sorted(known)) or "none"
        raise ConfigError(
            f"{bank.folder} has no teacher {name!r} at x{scale} (available: {there_are}); run 'mafdn bank teach'"
        )
