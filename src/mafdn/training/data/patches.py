"""Random training patches from a bank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import ConfigError
from mafdn.pixels import ORIENTATIONS, orient
from mafdn.training.data.bank import PARTIAL, Bank, teacher_folder
from mafdn.training.data.degrade import DegradeSettings, degraded_patch
from mafdn.training.data.recolor import NUMBERS, Recoloring

TRIES = 4
"""Maximum number of draws per patch; if all are flat, the last one is used."""
DETOUR = 1_000_003
"""Added to the seed for each detour, so that different patches are drawn."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Aligned patches."""

    lr: NDArray[np.uint8]
    """(B, p, p, 3)."""
    hr: NDArray[np.uint8]
    """(B, sp, sp, 3)."""
    teacher: NDArray[np.uint8] | None = None
    """(B, sp, sp, 3); `None` without a teacher."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Positions of patches, as arrays of equal shape."""

    picture: NDArray[np.int64]
    """Indices into `PatchSampler.pairs`."""
    top: NDArray[np.int64]
    """Rows in LR pixels."""
    left: NDArray[np.int64]
    """Columns in LR pixels."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The patches that each sample of a batch is chosen from."""

    places: Places
    """(B, candidates, tries)."""
    orientation: NDArray[np.int64]
    """(B,): indices into `mafdn.pixels.ORIENTATIONS`."""
    recoloring: Recoloring | None = None
    """How the patches are recolored; `None` for not at all."""


@dataclass(frozen=True)
class Pair:
    """A picture that patches are cut from, with its reduction and the teacher's result."""

    bank: Bank
    index: int
    scale: int
    teacher_name: str

    @property
    def lr(self) -> NDArray[np.uint8]:
        """The LR picture, (H, W, 3)."""
        return self.bank.lr(self.index, self.scale)

    @property
    def hr(self) -> NDArray[np.uint8]:
        """The HR picture, (scale*H, scale*W, 3)."""
        return self.bank.hr(self.index)

    @property
    def teacher(self) -> NDArray[np.uint8]:
        """The teacher's result, (scale*H, scale*W, 3); `hr` itself for zoomed pairs, which a teacher made."""
        return self.hr if self.bank.zoomed else self.bank.teacher(self.index, self.teacher_name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of `lr`."""
        picture = self.bank.pictures[self.index]
        return picture.height // self.scale, picture.width // self.scale


class PatchSampler:
    """Draws aligned LR and HR patches as a function of seed, step and position in the batch.

    There is no state between draws, so a resumed run sees the same patches as an uninterrupted one, and any number of
    processes can share a batch without communication. Pictures are drawn in proportion to the square root of their
    area.

    Args:
        bank: The training pictures.
        indices: The indices of the pictures to use.
        scale: The network's scale.
        patch: Side of an LR patch in pixels.
        seed: Seed of all random numbers.
        min_gradient: Smallest mean absolute difference between neighboring LR pixels, in 8-bit levels; flatter patches
            are redrawn, up to four draws in total.
        candidates: Number of patches drawn for each sample; the one with the largest gradient is used.
        teacher: Name of the teacher in the bank whose results are returned too; empty for none.
        zoomed: A bank of zoomed pairs, and the indices of the pictures to use.
        zoomed_share: Share of the patches that come from `zoomed`.
        recolored: Share of the patches that are recolored, in [0, 1].
        degrade: How LR patches are degraded; `None` for not at all.

    Raises:
        ConfigError: All pictures are smaller than a patch, or the bank has no such teacher at this scale.
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
        recolored: float = 0.0,
        degrade: DegradeSettings | None = None,
    ) -> None:
        self.scale, self.patch, self.seed = scale, patch, seed
        self.candidates, self.teacher, self.recolored = candidates, teacher, recolored
        self.degrade = degrade if degrade and degrade.share else None
        self.flattest = min_gradient * 2 * patch * (patch - 1)
        """Smallest `texture` of a patch that is not redrawn."""
        if teacher:
            _check_teacher(bank, teacher, scale)
        self.pairs = _fitting(bank, indices, scale, teacher, patch)
        chances = _chances(self.pairs)
        if zoomed and zoomed_share:
            zoomed_pairs = _fitting(*zoomed, scale, teacher, patch)
            chances = np.concatenate([chances * (1 - zoomed_share), _chances(zoomed_pairs) * zoomed_share])
            self.pairs += zoomed_pairs
        self.cumulative = np.cumsum(chances)
        self.sizes = np.array([pair.size for pair in self.pairs])

    def batch(self, step: int, places: Sequence[int], *, detours: int = 0) -> Batch:
        """Cut the patches of one batch.

        Args:
            step: The step, from 0.
            places: Positions in the batch, those of this process.
            detours: Number of detours of the run.
        """
        drawn = self.draw(step, places, detours=detours)
        samples = [
            self._cut(drawn, i, self._random(step, place, detours=detours) if self.degrade else None)
            for i, place in enumerate(places)
        ]
        # Stacking patches that were all transposed keeps their memory order, which would slow down later steps.
        lr, hr, *teacher = (np.ascontiguousarray(np.stack(patches)) for patches in zip(*samples, strict=True))
        return Batch(lr=lr, hr=hr, teacher=teacher[0] if teacher else None)

    def draw(self, step: int, places: Sequence[int], *, detours: int = 0) -> Candidates:
        """Draw the random numbers of a batch; which candidate is used then depends on pixels alone."""
        tries = self.candidates * TRIES
        random = np.random.Generator(np.random.Philox(key=self._key(step, detours=detours)))
        numbers = random.random((max(places) + 1, 3 * tries + 1))[list(places)]
        spots = numbers[:, : 3 * tries].reshape(len(places), self.candidates, TRIES, 3)
        picture = np.searchsorted(self.cumulative, spots[..., 0] * self.cumulative[-1], side="right")
        picture = np.minimum(picture, len(self.pairs) - 1)
        room = self.sizes[picture] - self.patch + 1  # (B, candidates, tries, 2)
        corner = np.minimum((spots[..., 1:] * room).astype(np.int64), room - 1)
        orientation = (numbers[:, -1] * len(ORIENTATIONS)).astype(np.int64)
        return Candidates(
            places=Places(picture=picture, top=corner[..., 0], left=corner[..., 1]),
            orientation=orientation,
            recoloring=self._recoloring(step, places, detours=detours) if self.recolored else None,
        )

    def _key(self, step: int, *, detours: int) -> NDArray[np.uint64]:
        """Return the key of all random numbers of a batch."""
        return np.array([self.seed + DETOUR * detours, step], np.uint64)

    def _recoloring(self, step: int, places: Sequence[int], *, detours: int) -> Recoloring:
        """Draw the recolorings of a batch, with random numbers that nothing else uses."""
        bits = np.random.Philox(key=self._key(step, detours=detours), counter=np.array([0, 0, 0, 2], np.uint64))
        numbers = np.random.Generator(bits).random((max(places) + 1, NUMBERS))
        return Recoloring.draw(numbers[list(places)], self.recolored)

    def _random(self, step: int, place: int, *, detours: int) -> np.random.Generator:
        """Return the random numbers of one degradation, which no batch uses for anything else."""
        counter = np.array([0, 0, place, 1], np.uint64)
        return np.random.Generator(np.random.Philox(key=self._key(step, detours=detours), counter=counter))

    def _choose(self, drawn: Candidates, sample: int) -> tuple[int, int, int]:
        """Choose the picture, top and left of one sample."""
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

    def _cut(self, drawn: Candidates, sample: int, random: np.random.Generator | None) -> list[NDArray[np.uint8]]:
        """Cut the LR patch, degraded if there are random numbers, the HR patch and, with a teacher, the teacher's."""
        picture, top, left = self._choose(drawn, sample)
        pair = self.pairs[picture]

        def recolor(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return drawn.recoloring.apply(pixels, sample) if drawn.recoloring else pixels

        if self.degrade and random:
            lr = degraded_patch(pair.hr, pair.lr, (top, left), self.patch, self.degrade, random, recolor)
        else:
            lr = recolor(self._window(pair.lr, top, left, 1))
        wholes = [pair.hr, pair.teacher] if self.teacher else [pair.hr]
        patches = [lr, *(recolor(self._window(whole, top, left, self.scale)) for whole in wholes)]
        orientation = ORIENTATIONS[int(drawn.orientation[sample])]
        return [orient(patch, *orientation) for patch in patches]

    def _window(self, whole: NDArray[np.uint8], top: int, left: int, factor: int) -> NDArray[np.uint8]:
        """Cut a patch from a picture of `factor` times the size of the LR picture."""
        rows, columns = (slice(start * factor, (start + self.patch) * factor) for start in (top, left))
        return whole[rows, columns]


def texture(patch: NDArray[np.uint8]) -> int:
    """Sum the absolute differences of neighboring pixels in both directions, in the green channel of (p, p, 3)."""
    green = patch[..., 1].astype(np.int16)
    return int(np.abs(np.diff(green, axis=0)).sum() + np.abs(np.diff(green, axis=1)).sum())


def _fitting(bank: Bank, indices: Sequence[int], scale: int, teacher: str, patch: int) -> list[Pair]:
    """Return the pictures that are at least as large as a patch."""
    pairs = [Pair(bank, index, scale, teacher) for index in indices]
    fitting = [pair for pair in pairs if min(pair.size) >= patch]
    if not fitting:
        need = patch * scale
        raise ConfigError(f"no picture in {bank.folder} is at least {need}x{need} pixels; choose a smaller data.patch")
    return fitting


def _chances(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the probability of each picture."""
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
