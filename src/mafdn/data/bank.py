"""Training banks: pictures decoded and reduced once, then read as memory-mapped arrays.

Public names: :class:`Bank`, :class:`BankPicture`, :func:`build_bank`, :func:`open_bank`.

A bank is a folder: ``hr.u8`` holds the high-resolution pictures one after another as (H, W, 3) uint8,
``lr_x4.u8`` (and so on per scale) their reductions in the same order, ``bank.json`` the list. Sides are
cropped to a multiple of every scale, so an offset into ``hr.u8`` divided by scale squared is the
offset into the reduced file.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import ConfigError
from mafdn.pictures.formats import SUFFIXES
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, luma, modulo_crop

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class BankPicture:
    """One picture of a bank: where it came from, its size in pixels, and where it starts in ``hr.u8``."""

    name: str
    sha256: str
    height: int
    width: int
    offset: int
    """Pixels (not bytes) before this picture in ``hr.u8``."""
    gradient: float
    """Mean absolute luma difference of neighboring pixels, a measure of how much there is to learn."""


class Bank:
    """An opened bank. ``hr(i)`` and ``lr(i, scale)`` give read-only (H, W, 3) uint8 views."""

    def __init__(
        self, folder: Path, pictures: Sequence[BankPicture], *, scales: Sequence[int], fingerprint: str
    ) -> None:
        self.folder, self.pictures, self.scales = folder, tuple(pictures), tuple(scales)
        self.fingerprint = fingerprint
        self._maps = {s: np.memmap(_pixels_file(folder, s), np.uint8, "r") for s in (1, *scales)}

    def hr(self, index: int) -> NDArray[np.uint8]:
        return self._view(index, 1)

    def lr(self, index: int, scale: int) -> NDArray[np.uint8]:
        return self._view(index, scale)

    def _view(self, index: int, scale: int) -> NDArray[np.uint8]:
        picture = self.pictures[index]
        height, width = picture.height // scale, picture.width // scale
        start = picture.offset // scale**2 * 3
        return self._maps[scale][start : start + height * width * 3].reshape(height, width, 3)


def open_bank(folder: Path) -> Bank:
    """Open a bank made by :func:`build_bank`; raises :class:`ConfigError` when there is none."""
    try:
        manifest = json.loads((folder / "bank.json").read_text())
        pictures = [BankPicture(**entry) for entry in manifest["pictures"]]
        return Bank(folder, pictures, scales=manifest["scales"], fingerprint=manifest["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"no usable training bank in {folder} ({error}); delete it and build it again") from None


def build_bank(
    sources: Iterable[Path],
    folder: Path,
    *,
    scales: Sequence[int],
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Make a bank of every picture below the folders ``sources``, or open it when it is already there.

    The bank appears under its name only when complete. Raises :class:`ConfigError` when a folder holds
    no picture or when ``folder`` holds a bank of other pictures, :class:`PictureError` when one cannot
    be read.
    """
    files = _picture_files(sources)
    fingerprint = _fingerprint(files, scales)
    if folder.exists():
        return _existing(folder, fingerprint)
    partial_folder = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    pictures: list[BankPicture] = []
    outputs = {s: _pixels_file(partial_folder, s).open("wb") for s in (1, *scales)}
    multiple = math.lcm(*scales)
    try:
        # Not forked: a parent that has run torch holds locks that a forked child would wait for.
        with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
            prepared = pool.map(partial(_prepare, scales=tuple(scales), multiple=multiple), files, chunksize=4)
            offset = 0
            for number, (path, (digest, gradient, arrays)) in enumerate(zip(files, prepared, strict=True), 1):
                height, width = arrays[1].shape[:2]
                if height and width:
                    for s, array in arrays.items():
                        outputs[s].write(array.tobytes())
                    pictures.append(
                        BankPicture(
                            name=path.name,
                            sha256=digest,
                            height=height,
                            width=width,
                            offset=offset,
                            gradient=round(gradient, 4),
                        )
                    )
                    offset += height * width
                if on_progress:
                    on_progress(number, len(files))
    finally:
        for output in outputs.values():
            output.close()
    manifest = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "scales": list(scales),
        "pictures": [asdict(picture) for picture in pictures],
    }
    (partial_folder / "bank.json").write_text(json.dumps(manifest, indent=1))
    partial_folder.rename(folder)
    return open_bank(folder)


def _prepare(path: Path, *, scales: tuple[int, ...], multiple: int) -> tuple[str, float, dict[int, NDArray[np.uint8]]]:
    hr = modulo_crop(read_rgb8(path), multiple)
    arrays = {1: hr}
    if not hr.size:
        return "", 0.0, arrays
    arrays |= {s: imresize(hr, 1 / s) for s in scales}
    y = luma(hr)
    gradient = (np.abs(np.diff(y, axis=0)).mean() + np.abs(np.diff(y, axis=1)).mean()) / 2
    return hashlib.sha256(path.read_bytes()).hexdigest(), float(gradient), arrays


def _picture_files(sources: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for source in sources:
        if not source.is_dir():
            raise ConfigError(f"{source} is not a folder of training pictures")
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise ConfigError(f"no pictures in {source}: expected files ending in {', '.join(sorted(SUFFIXES))}")
        files += found
    return files


def _fingerprint(files: Sequence[Path], scales: Sequence[int]) -> str:
    listing = [[path.name, path.stat().st_size] for path in files]
    return hashlib.sha256(json.dumps([VERSION, list(scales), listing]).encode()).hexdigest()


def _existing(folder: Path, fingerprint: str) -> Bank:
    bank = open_bank(folder)
    if bank.fingerprint != fingerprint:
        raise ConfigError(f"{folder} holds a bank of other pictures or scales; name another bank or delete it")
    return bank


def _pixels_file(folder: Path, scale: int) -> Path:
    return folder / ("hr.u8" if scale == 1 else f"lr_x{scale}.u8")
