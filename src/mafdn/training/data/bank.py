"""Training banks: pictures that are decoded and reduced once, then read as memory-mapped arrays.

A bank is a folder:

- `bank.json` - the manifest, written last: scales, source folders, pictures, excluded pictures.
- `00000/`, `00001/`, ... - the shards. `hr.u8` stores some pictures one after another as (H, W, 3) uint8, `lr_x4.u8`
  (one file per scale) their reductions in the same order, `shard.json` their part of the manifest.
- `teachers/NAME/` - the pictures as upscaled by a teacher at one scale: `teacher.json` describes the teacher,
  `00000.u8`, `00001.u8`, ... have the layout of the shard's `hr.u8`.

Sides are cropped to a multiple of every scale, so an offset into `hr.u8` divided by the scale squared is the offset
into the reduced file.
"""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import ConfigError

VERSION = 2
"""Version of the layout; banks of other versions are not read."""
PARTIAL = ".partial"
"""Suffix of folders that are still being written."""
MOST_MAPS = 256
"""Largest number of files mapped at a time: each needs a file descriptor, often limited to 1,024 per process."""


@dataclass(frozen=True, kw_only=True)
class BankPicture:
    """One picture of a bank, as in the manifest."""

    name: str
    """Path of the source file relative to the folder it was found in."""
    sha256: str
    """Digest of the source file."""
    height: int
    width: int
    gradient: float
    """Mean absolute luma difference of neighboring pixels, in 8-bit levels; a measure of texture."""
    hash: str
    """Perceptual hash, 16 hexadecimal digits; see `mafdn.pixels.phash`."""
    shard: int
    """Number of its shard."""
    offset: int
    """Pixels (not bytes) before this picture in `hr.u8` of its shard."""


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """A picture that was left out because it looks like one of a benchmark dataset."""

    name: str
    """Path of the source file relative to the folder it was found in."""
    match: str
    """The bench picture, as `FOLDER/NAME`."""
    distance: int
    """Bits by which the two perceptual hashes differ."""


@dataclass(frozen=True, kw_only=True)
class SourceFolder:
    """A folder of pictures that a bank was made from, or that it excludes."""

    name: str
    """Its name, without the path."""
    files: int
    """Number of picture files."""
    digest: str
    """Digest of the names and sizes of its files."""


@dataclass(frozen=True, kw_only=True)
class BankSources:
    """What a bank was made from."""

    folders: tuple[SourceFolder, ...]
    """The folders of its pictures."""
    exclude: tuple[SourceFolder, ...]
    """The benchmark datasets whose pictures were left out."""


@dataclass(frozen=True, kw_only=True)
class TeacherSource:
    """The file of a teacher network."""

    file: str
    """File name without folders."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher whose results are stored in a bank: the mean of one or several networks."""

    name: str
    scale: int
    networks: tuple[TeacherSource, ...]
    self_ensemble: bool
    """Whether each network's result is the mean over eight orientations."""
    bank: str
    """Fingerprint of the bank whose pictures it upscaled."""
    digest: str = ""
    """Digest of that bank; empty for teachers of earlier versions."""
    tile: int = 512
    """Side of the tiles in LR pixels; pictures of up to this area were upscaled whole."""


@dataclass(frozen=True, kw_only=True)
class Zoomed:
    """How the pairs of a bank of zoomed pairs were made.

    Each LR picture is a window of a photograph of another bank, at full size or reduced, and its HR picture the result
    of a teacher.
    """

    source: str
    """Fingerprint of the bank of photographs."""
    scale: int
    networks: tuple[TeacherSource, ...]
    """The teacher's networks, whose results were averaged."""
    smallest: float
    """Smallest reduction factor; the largest below full size is `mafdn.training.data.zoom.LARGEST`."""
    per_picture: int
    """Windows taken from each photograph."""


class Bank:
    """An open bank; its pictures are read-only (H, W, 3) uint8 views into memory-mapped files.

    Args:
        folder: The folder of the bank.
        pictures: Its pictures.
        excluded: Pictures that were left out.
        scales: The downscaling factors that it stores.
        fingerprint: Digest of the names and sizes of the files it was made from, and of its settings.
        teachers: The teachers whose results it stores.
        zoomed: How its pairs were made, if its HR pictures are a teacher's results.
        sources: What it was made from; `None` for zoomed pairs and for banks of earlier versions.
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
        sources: BankSources | None = None,
    ) -> None:
        self.folder, self.pictures, self.excluded = folder, tuple(pictures), tuple(excluded)
        self.scales, self.fingerprint = tuple(scales), fingerprint
        self.teachers = {teacher.name: teacher for teacher in teachers}
        self.zoomed, self.sources = zoomed, sources
        self._map = functools.lru_cache(maxsize=MOST_MAPS)(_map)

    @property
    def hr_pixels(self) -> int:
        """Pixels of all pictures, without their reductions."""
        return sum(picture.height * picture.width for picture in self.pictures)

    @property
    def size(self) -> int:
        """Bytes of all arrays, including those of the teachers."""
        wholes = 1 + len(self.teachers)
        return sum(3 * self.hr_pixels // reduced**2 for reduced in (*wholes * (1,), *self.scales))

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of all source files, in any order; the same for the same pictures everywhere."""
        return hashlib.sha256("".join(sorted(picture.sha256 for picture in self.pictures)).encode()).hexdigest()

    @property
    def shards(self) -> dict[int, list[int]]:
        """Indices of the pictures by number of their shard, in order."""
        shards: dict[int, list[int]] = {}
        for index, picture in enumerate(self.pictures):
            shards.setdefault(picture.shard, []).append(index)
        return shards

    def hr(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index`, (H, W, 3)."""
        return self._view(index, self._shard(index) / pixels_name(1), 1)

    def lr(self, index: int, scale: int) -> NDArray[np.uint8]:
        """Return picture `index` reduced by `scale`, one of `scales`: (H / scale, W / scale, 3)."""
        return self._view(index, self._shard(index) / pixels_name(scale), scale)

    def teacher(self, index: int, name: str) -> NDArray[np.uint8]:
        """Return `lr(index, teachers[name].scale)` as upscaled by the teacher `name`: (H, W, 3)."""
        return self._view(index, teacher_folder(self.folder, name) / f"{self._shard(index).name}.u8", 1)

    def _shard(self, index: int) -> Path:
        return self.folder / shard_name(self.pictures[index].shard)

    def _view(self, index: int, file: Path, scale: int) -> NDArray[np.uint8]:
        picture = self.pictures[index]
        height, width = picture.height // scale, picture.width // scale
        start = picture.offset // scale**2 * 3
        return self._map(file)[start : start + height * width * 3].reshape(height, width, 3)


def open_bank(folder: Path) -> Bank:
    """Open a bank, checking the sizes of all its files.

    Args:
        folder: A folder that `mafdn bank build` or `mafdn bank zoom` made.

    Raises:
        ConfigError: The folder is not a bank of this version, or a file in it is missing or truncated.
    """
    if not (folder / "bank.json").exists():
        missing = "is a file, not a training bank" if folder.exists() else "does not exist"
        what = "has no bank.json, so it is not a training bank" if folder.is_dir() else missing
        raise ConfigError(f"{folder} {what}; choose the folder of a bank, or make one with 'mafdn bank build'")
    try:
        manifest = json.loads((folder / "bank.json").read_text())
        if manifest["version"] != VERSION:
            raise ConfigError(
                f"{folder} is a training bank of version {manifest['version']}, not {VERSION}; "
                "build a new bank in another folder"
            )
        bank = Bank(
            folder,
            [BankPicture(**entry) for entry in manifest["pictures"]],
            excluded=[Excluded(**entry) for entry in manifest["excluded"]],
            scales=manifest["scales"],
            fingerprint=manifest["fingerprint"],
            teachers=_teachers(folder),
            zoomed=_zoomed(manifest["zoomed"]) if "zoomed" in manifest else None,
            sources=_sources(manifest["sources"]) if "sources" in manifest else None,
        )
        for shard, pixels in _pixels(bank).items():
            for scale in (1, *bank.scales):
                _check_size(folder / shard / pixels_name(scale), pixels // scale**2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder} is not a usable training bank ({_reason(error)}); choose the folder of a bank, or build a new "
            "one in another folder"
        ) from None
    for name, teacher in bank.teachers.items():
        check_pictures(teacher, bank, teacher_folder(folder, name))
        try:
            for shard, pixels in _pixels(bank).items():
                _check_size(teacher_folder(folder, name) / f"{shard}.u8", pixels)
        except (OSError, ValueError) as error:
            raise _damaged(teacher_folder(folder, name), error) from None
    return bank


def check_pictures(teacher: Teacher, bank: Bank, folder: Path) -> None:
    """Raise `ConfigError` if the results of `teacher`, which are in `folder`, are not those of the bank's pictures."""
    if teacher.bank != bank.fingerprint or teacher.digest not in ("", bank.digest):
        raise ConfigError(
            f"the teacher in {folder} was made from different pictures than those in {bank.folder}; move it out of "
            "the bank and run 'mafdn bank teach' again"
        )


def read_teacher(folder: Path) -> Teacher:
    """Read `teacher.json` in the folder of a teacher.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        entry = json.loads((folder / "teacher.json").read_text())
        return Teacher(**entry | {"networks": _networks(entry)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from None


def pixels_name(scale: int) -> str:
    """Return the name of a shard's file of pictures reduced by `scale`; 1 for the pictures themselves."""
    return "hr.u8" if scale == 1 else f"lr_x{scale}.u8"


def shard_name(number: int) -> str:
    """Return the name of a shard's folder."""
    return f"{number:05}"


def teacher_folder(bank: Path, name: str) -> Path:
    """Return the folder of a teacher's results."""
    return bank / "teachers" / name


def _teachers(folder: Path) -> list[Teacher]:
    """Read the descriptions of all complete teachers."""
    found = sorted((folder / "teachers").glob("*"))
    return [read_teacher(path) for path in found if path.is_dir() and path.suffix != PARTIAL]


def _zoomed(entry: dict[str, Any]) -> Zoomed:
    values: dict[str, Any] = entry | {"networks": _networks(entry)}
    return Zoomed(**values)


def _sources(entry: dict[str, Any]) -> BankSources:
    return BankSources(**{part: tuple(SourceFolder(**one) for one in entry[part]) for part in ("folders", "exclude")})


def _networks(entry: dict[str, Any]) -> tuple[TeacherSource, ...]:
    return tuple(TeacherSource(**network) for network in entry["networks"])


def _pixels(bank: Bank) -> dict[str, int]:
    """Count the HR pixels of each shard that has any, by name."""
    pictures = bank.pictures
    return {
        shard_name(number): sum(pictures[i].height * pictures[i].width for i in indices)
        for number, indices in bank.shards.items()
    }


def _check_size(file: Path, pixels: int) -> None:
    if file.stat().st_size != pixels * 3:
        raise ValueError(f"{file} is not {pixels * 3} bytes long")


def _damaged(folder: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"the teacher's pictures in {folder} are damaged ({_reason(error)}); move them out of the bank and run "
        "'mafdn bank teach' again"
    )


def _reason(error: Exception) -> str:
    """Return an error's message on one line, starting with the name of the file if it is missing."""
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error)


def _map(file: Path) -> NDArray[np.uint8]:
    return np.memmap(file, np.uint8, "r")
