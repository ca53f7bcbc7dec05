"""Training banks: pictures decoded and reduced once, then read as memory-mapped arrays.

Public names: :class:`Bank`, :class:`BankPicture`, :class:`Excluded`, :class:`Teacher`, :class:`TaughtBy`,
:class:`Zoomed`, :func:`open_bank`; for those who write banks :data:`VERSION`, :data:`PARTIAL`, :func:`pixels_name`,
:func:`shard_name`, :func:`teacher_folder` and :func:`read_teacher`.

A bank is a folder:

- ``bank.json`` - the manifest, written last: scales, pictures, what was left out.
- ``00000/``, ``00001/``, ... - the shards. ``hr.u8`` holds some pictures one after another as (H, W, 3) uint8,
  ``lr_x4.u8`` (and so on per scale) their reductions in the same order, ``shard.json`` their part of the manifest.
- ``teachers/NAME/`` - what a teacher made of the pictures at one scale: ``teacher.json`` tells who it was,
  ``00000.u8``, ``00001.u8``, ... are laid out as ``hr.u8`` of the shard.

Sides are cropped to a multiple of every scale, so an offset into ``hr.u8`` divided by scale squared is the offset into
the reduced file.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import ConfigError

VERSION = 2
PARTIAL = ".partial"
"""How the name of a folder ends that is still being written."""
MAPS_KEPT = 256
"""Files mapped at a time: each holds a file descriptor, of which a process often has 1,024."""


@dataclass(frozen=True, kw_only=True)
class BankPicture:
    """One picture of a bank: where it came from, its size in pixels, and where it lies."""

    name: str
    """Path below the folder it was found in."""
    sha256: str
    """Of its file."""
    height: int
    width: int
    gradient: float
    """Mean absolute luma difference of neighboring pixels, a measure of how much there is to learn."""
    hash: str
    """Its perceptual hash, 16 hexadecimal digits; see :mod:`mafdn.pixels.phash`."""
    shard: int
    offset: int
    """Pixels (not bytes) before this picture in ``hr.u8`` of its shard."""


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """A picture left out because it is ``match``, a picture of a bench set, or ``distance`` bits from it."""

    name: str
    match: str
    distance: int


@dataclass(frozen=True, kw_only=True)
class TaughtBy:
    """The file of a network that taught."""

    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Who upscaled the pictures of a bank: the mean of ``networks``, each over eight orientations or one."""

    name: str
    scale: int
    networks: tuple[TaughtBy, ...]
    self_ensemble: bool
    bank: str
    """The fingerprint of the bank whose pictures it upscaled."""


@dataclass(frozen=True, kw_only=True)
class Zoomed:
    """How the pairs of a bank were made whose HR pictures are a teacher's results, not photographs.

    Each LR picture is a window of a photograph of another bank at its full size or reduced.
    """

    source: str
    """The fingerprint of the bank of photographs."""
    scale: int
    networks: tuple[TaughtBy, ...]
    smallest: float
    """The least factor of reduction; the largest below full size is :data:`mafdn.training.data.zoom.LARGEST`."""
    per_picture: int


class Bank:
    """An opened bank; its pictures are read-only (H, W, 3) uint8 views into files.

    ``pictures``, ``excluded``, ``scales`` and ``teachers`` (by name) tell what it holds; ``fingerprint`` stands for the
    sources it was made of; ``zoomed`` is there when a teacher made its HR pictures.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[BankPicture],
        *,
        excluded: Sequence[Excluded],
        scales: Sequence[int],
        fingerprint: str,
        teachers: Sequence[Teacher],
        zoomed: Zoomed | None = None,
    ) -> None:
        self.folder, self.pictures, self.excluded = folder, tuple(pictures), tuple(excluded)
        self.scales, self.fingerprint = tuple(scales), fingerprint
        self.teachers = {teacher.name: teacher for teacher in teachers}
        self.zoomed = zoomed
        self._map = functools.lru_cache(maxsize=MAPS_KEPT)(_map)

    @property
    def hr_pixels(self) -> int:
        """Pixels of all pictures, not counting their reductions."""
        return sum(picture.height * picture.width for picture in self.pictures)

    @property
    def size(self) -> int:
        """Bytes of all arrays, those of the teachers included."""
        wholes = 1 + len(self.teachers)
        return sum(3 * self.hr_pixels // reduced**2 for reduced in (*wholes * (1,), *self.scales))

    @property
    def shards(self) -> dict[int, list[int]]:
        """The indices of the pictures by the number of their shard, in order."""
        shards: dict[int, list[int]] = {}
        for index, picture in enumerate(self.pictures):
            shards.setdefault(picture.shard, []).append(index)
        return shards

    def hr(self, index: int) -> NDArray[np.uint8]:
        """Picture ``index`` (H, W, 3)."""
        return self._view(index, self._shard(index) / pixels_name(1), 1)

    def lr(self, index: int, scale: int) -> NDArray[np.uint8]:
        """Picture ``index`` reduced by one of ``scales`` (H / scale, W / scale, 3)."""
        return self._view(index, self._shard(index) / pixels_name(scale), scale)

    def teacher(self, index: int, name: str) -> NDArray[np.uint8]:
        """What the teacher ``name`` made of ``lr(index, teachers[name].scale)``: (H, W, 3)."""
        return self._view(index, teacher_folder(self.folder, name) / f"{self._shard(index).name}.u8", 1)

    def _shard(self, index: int) -> Path:
        return self.folder / shard_name(self.pictures[index].shard)

    def _view(self, index: int, file: Path, scale: int) -> NDArray[np.uint8]:
        picture = self.pictures[index]
        height, width = picture.height // scale, picture.width // scale
        start = picture.offset // scale**2 * 3
        return self._map(file)[start : start + height * width * 3].reshape(height, width, 3)


def open_bank(folder: Path) -> Bank:
    """Open a bank made by :func:`mafdn.training.data.build.build_bank`.

    Raises :class:`ConfigError` when there is none, it is of another version, or a file of it is missing or cut short.
    """
    try:
        manifest = json.loads((folder / "bank.json").read_text())
        if manifest["version"] != VERSION:
            raise ConfigError(f"{folder} is a training bank of another version; delete it and build it again")
        bank = Bank(
            folder,
            [BankPicture(**entry) for entry in manifest["pictures"]],
            excluded=[Excluded(**entry) for entry in manifest["excluded"]],
            scales=manifest["scales"],
            fingerprint=manifest["fingerprint"],
            teachers=_teachers(folder),
            zoomed=_zoomed(manifest["zoomed"]) if "zoomed" in manifest else None,
        )
        for shard, pixels in _pixels(bank).items():
            for scale in (1, *bank.scales):
                _check_size(folder / shard / pixels_name(scale), pixels // scale**2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"no usable training bank in {folder} ({error}); delete it and build it again") from None
    for name, teacher in bank.teachers.items():
        if teacher.bank != bank.fingerprint:
            there = teacher_folder(folder, name)
            raise ConfigError(f"the teacher in {there} was made from other pictures than {folder} holds; teach again")
        try:
            for shard, pixels in _pixels(bank).items():
                _check_size(teacher_folder(folder, name) / f"{shard}.u8", pixels)
        except (OSError, ValueError) as error:
            raise _damaged(teacher_folder(folder, name), error) from None
    return bank


def read_teacher(folder: Path) -> Teacher:
    """The teacher that ``teacher.json`` in its folder describes; raises :class:`ConfigError` when it cannot be read."""
    try:
        entry = json.loads((folder / "teacher.json").read_text())
        return Teacher(**entry | {"networks": _networks(entry)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from None


def pixels_name(scale: int) -> str:
    """The name of a shard's file of pictures reduced by ``scale``."""
    return "hr.u8" if scale == 1 else f"lr_x{scale}.u8"


def shard_name(number: int) -> str:
    return f"{number:05}"


def teacher_folder(bank: Path, name: str) -> Path:
    return bank / "teachers" / name


def _teachers(folder: Path) -> list[Teacher]:
    """Those that have been taken to the end."""
    found = sorted((folder / "teachers").glob("*"))
    return [read_teacher(path) for path in found if path.is_dir() and path.suffix != PARTIAL]


def _zoomed(entry: dict[str, Any]) -> Zoomed:
    values: dict[str, Any] = entry | {"networks": _networks(entry)}
    return Zoomed(**values)


def _networks(entry: dict[str, Any]) -> tuple[TaughtBy, ...]:
    return tuple(TaughtBy(**network) for network in entry["networks"])


def _pixels(bank: Bank) -> dict[str, int]:
    """How many HR pixels each shard that has any holds."""
    pictures = bank.pictures
    return {
        shard_name(number): sum(pictures[i].height * pictures[i].width for i in indices)
        for number, indices in bank.shards.items()
    }


def _check_size(file: Path, pixels: int) -> None:
    if file.stat().st_size != pixels * 3:
        raise ValueError(f"{file} is not {pixels * 3} bytes long")


def _damaged(folder: Path, error: Exception) -> ConfigError:
    return ConfigError(f"the teacher's pictures in {folder} are damaged ({error}); delete that folder and teach again")


def _map(file: Path) -> NDArray[np.uint8]:
    return np.memmap(file, np.uint8, "r")
