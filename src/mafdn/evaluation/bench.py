"""Measuring networks on bench sets by the field's protocol.

Public names: :class:`BenchPicture`, :class:`PictureScore`, :class:`SetScore`, :func:`read_bench`, :func:`measure`.

Protocol: the HR picture is cropped to a multiple of the scale; the LR picture is the set's own where it
has one, else HR reduced by :func:`mafdn.pixels.imresize`; the result is rounded to 8 bits; PSNR and SSIM are
taken on BT.601 luma without ``scale`` pixels on each side.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import PictureError, UsageError
from mafdn.pictures.formats import SUFFIXES
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, modulo_crop, psnr_y, ssim_y

Pixels = NDArray[np.uint8]
Method = Callable[[Pixels], Pixels]
"""Maps an (H, W, 3) uint8 LR picture to its (sH, sW, 3) uint8 upscaling."""


@dataclass(frozen=True, kw_only=True)
class BenchPicture:
    """One picture of a set: ``hr`` (sH, sW, 3) and ``lr`` (H, W, 3), both uint8."""

    name: str
    hr: Pixels
    lr: Pixels


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """PSNR in dB and SSIM of one picture."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class SetScore:
    """The scores of one network on one set, and their means."""

    network: str
    bench: str
    scale: int
    pictures: tuple[PictureScore, ...]

    @property
    def psnr(self) -> float:
        return float(np.mean([p.psnr for p in self.pictures]))

    @property
    def ssim(self) -> float:
        return float(np.mean([p.ssim for p in self.pictures]))


def bench_files(folder: Path) -> list[Path]:
    """The HR pictures of a set, by name: those in ``folder/HR``, or in ``folder`` itself.

    Raises :class:`UsageError` when there are none.
    """
    if not folder.is_dir():
        raise UsageError(f"no bench set in {folder}: give a folder of HR pictures, or one that holds HR/")
    source = folder / "HR" if (folder / "HR").is_dir() else folder
    files = sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(f"no pictures in {source}: a bench set is a folder of HR pictures, or one that holds HR/")
    return files


def bench_name(folder: Path) -> str:
    """What a set is called: its folder's name, also when the folder given is its ``HR``."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "HR" else whole.name


def read_bench(folder: Path, scale: int) -> Iterator[BenchPicture]:
    """The pictures of a set one by one; LR from ``folder/LRbicx{scale}/NAMEx{scale}.png`` or made here.

    Raises :class:`UsageError` when the set is missing, :class:`PictureError` for a damaged picture or an LR of
    another size than HR asks for.
    """
    for path in bench_files(folder):
        hr = modulo_crop(read_rgb8(path), scale)
        if not hr.size:
            raise PictureError(f"{path} is smaller than {scale} pixels: x{scale} cannot be measured on it")
        low = folder / f"LRbicx{scale}"
        lr = read_rgb8(low / f"{path.stem}x{scale}.png") if low.is_dir() else imresize(hr, 1 / scale)
        if hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
            raise PictureError(
                f"{low / path.name} is {lr.shape[1]}x{lr.shape[0]}, which times {scale} is not the "
                f"{hr.shape[1]}x{hr.shape[0]} of {path}"
            )
        yield BenchPicture(name=path.stem, hr=hr, lr=lr)


def measure(
    methods: dict[str, Method],
    folder: Path,
    *,
    scale: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[SetScore]:
    """Score every method on one set; each picture is read once."""
    scores: dict[str, list[PictureScore]] = {name: [] for name in methods}
    total = len(bench_files(folder)) * len(methods)
    done = 0
    for picture in read_bench(folder, scale):
        for name, method in methods.items():
            scores[name].append(_score(picture, name, method(picture.lr), scale))
            done += 1
            if on_progress:
                on_progress(done, total)
    return [
        SetScore(network=name, bench=bench_name(folder), scale=scale, pictures=tuple(rows))
        for name, rows in scores.items()
    ]


def bicubic(scale: int) -> Method:
    """The field's zero line: MATLAB-compatible bicubic."""
    return lambda lr: imresize(lr, scale)


def lanczos(scale: int) -> Method:
    """The other zero line: Lanczos with three lobes, as MATLAB's imresize has it."""
    return lambda lr: imresize(lr, scale, kernel="lanczos3")


def _score(picture: BenchPicture, method: str, result: Pixels, scale: int) -> PictureScore:
    if result.shape != picture.hr.shape:
        raise UsageError(
            f"{method} made {result.shape[1]}x{result.shape[0]} of {picture.name} where x{scale} is "
            f"{picture.hr.shape[1]}x{picture.hr.shape[0]}; give --scale the network's own"
        )
    try:
        return PictureScore(
            name=picture.name,
            psnr=psnr_y(result, picture.hr, border=scale),
            ssim=ssim_y(result, picture.hr, border=scale),
        )
    except ValueError as error:
        raise PictureError(f"{picture.name} cannot be measured: {error}") from None
