"""Measuring networks on bench sets by the field's protocol.

Public names: :class:`Protocol`, :class:`BenchPicture`, :class:`PictureScore`, :class:`SetScore`,
:func:`bench_files`, :func:`bench_pairs`, :func:`bench_name`, :func:`read_bench`, :func:`measure`,
:func:`finite`, :func:`bicubic`, :func:`lanczos`.

Protocol: the HR picture is cropped to a multiple of the scale; the LR picture is the set's own where it
has one, else HR reduced by :func:`mafdn.pixels.imresize`; the result is rounded to 8 bits; PSNR and SSIM are
taken without ``scale`` pixels on each side, on BT.601 luma or over the three channels. A grey picture is taken as
RGB with three equal channels: only so does Set14, which has one, give the published figures of networks.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import PictureError, UsageError
from mafdn.pictures.formats import SUFFIXES
from mafdn.pictures.reading import as_rgb8, open_picture, read_rgb8
from mafdn.pixels import imresize, modulo_crop, psnr_rgb, psnr_y, ssim_rgb, ssim_y

Pixels = NDArray[np.uint8]
Method = Callable[[Pixels], Pixels]
"""Maps an (H, W, 3) uint8 LR picture to its (sH, sW, 3) uint8 upscaling."""
Pair = tuple[Path, Path | None]
"""An HR file and its LR file; without one, LR is made from HR."""
METRICS = {"luma": (psnr_y, ssim_y), "rgb": (psnr_rgb, ssim_rgb)}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is measured, and how networks are run for it."""

    scale: int
    channels: Literal["luma", "rgb"] = "luma"
    self_ensemble: bool = False
    """Take the mean of a network's results over the eight flips and turns: the "+" of the literature."""


@dataclass(frozen=True, kw_only=True)
class BenchPicture:
    """One picture of a set: ``hr`` (sH, sW, 3) and ``lr`` (H, W, 3), both uint8; ``grey`` when HR is stored so."""

    name: str
    hr: Pixels
    lr: Pixels
    grey: bool = False


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
    grey: tuple[str, ...] = ()
    """Names of the pictures that are stored grey, and were taken as RGB."""

    @property
    def psnr(self) -> float:
        return float(np.mean([p.psnr for p in self.pictures]))

    @property
    def ssim(self) -> float:
        return float(np.mean([p.ssim for p in self.pictures]))


OnResult = Callable[[str, BenchPicture, Pixels], None]
"""Called with a method's name, a picture and what the method made of its LR."""


def bench_files(folder: Path) -> list[Path]:
    """The HR pictures of a set, by name: those in ``folder/HR``, or in ``folder`` itself.

    Raises :class:`UsageError` when there are none.
    """
    if not folder.is_dir():
        raise UsageError(f"no bench set in {folder}: give a folder of HR pictures, or one that holds HR/")
    source = folder / "HR" if (folder / "HR").is_dir() else folder
    files = _pictures(source)
    if not files:
        raise UsageError(f"no pictures in {source}: a bench set is a folder of HR pictures, or one that holds HR/")
    return files


def bench_pairs(folder: Path, scale: int, *, lr: Path | None = None) -> dict[str, Pair]:
    """Every picture of a set by name: its HR file, and its LR file in ``lr`` or ``folder/LRbicx{scale}``.

    An LR file is called ``NAMEx{scale}`` or ``NAME``, in any picture format; without a folder of LR there is none.
    A picture is called after its file without the ending, with it when two of the set would be called the same.
    Raises :class:`UsageError` when the set or ``lr`` is missing, :class:`PictureError` when one LR file is.
    """
    files = bench_files(folder)
    if lr and not lr.is_dir():
        raise UsageError(f"no LR pictures in {lr}: give a folder that holds NAMEx{scale} or NAME for every HR picture")
    whole = len({path.stem for path in files}) < len(files)
    names = [path.name if whole else path.stem for path in files]
    low = lr or folder / f"LRbicx{scale}"
    if not low.is_dir():
        return {name: (path, None) for name, path in zip(names, files, strict=True)}
    by_stem = {path.stem: path for path in _pictures(low)}
    pairs: dict[str, Pair] = {}
    for name, path in zip(names, files, strict=True):
        found = by_stem.get(f"{path.stem}x{scale}") or by_stem.get(path.stem)
        if found is None:
            raise PictureError(f"{low} has no LR picture for {path}: neither {path.stem}x{scale} nor {path.stem}")
        pairs[name] = (path, found)
    return pairs


def bench_name(folder: Path) -> str:
    """What a set is called: its folder's name, also when the folder given is its ``HR``."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "HR" else whole.name


def read_bench(
    folder: Path, scale: int, *, lr: Path | None = None, only: Collection[str] | None = None
) -> Iterator[BenchPicture]:
    """The pictures of a set (of those named in ``only``) one by one, LR by :func:`bench_pairs` or made here.

    Raises what :func:`bench_pairs` raises, and :class:`PictureError` for a damaged picture, one too small, or an LR of
    another size than HR asks for.
    """
    for name, (path, low) in bench_pairs(folder, scale, lr=lr).items():
        if only is not None and name not in only:
            continue
        color = open_picture(path).color
        hr = modulo_crop(as_rgb8(color), scale)
        if not hr.size:
            raise PictureError(f"{path} is smaller than {scale} pixels: x{scale} cannot be measured on it")
        reduced = read_rgb8(low) if low else imresize(hr, 1 / scale)
        if hr.shape[:2] != (reduced.shape[0] * scale, reduced.shape[1] * scale):
            raise PictureError(
                f"{low} is {reduced.shape[1]}x{reduced.shape[0]}, which times {scale} is not the "
                f"{hr.shape[1]}x{hr.shape[0]} of {path}"
            )
        yield BenchPicture(name=name, hr=hr, lr=reduced, grey=color.shape[2] == 1)


def measure(
    methods: dict[str, Method],
    folder: Path,
    protocol: Protocol,
    *,
    lr: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_result: OnResult | None = None,
) -> list[SetScore]:
    """Score every method on one set; each picture is read once."""
    scores: dict[str, list[PictureScore]] = {name: [] for name in methods}
    grey: list[str] = []
    total = len(bench_files(folder)) * len(methods)
    done = 0
    for picture in read_bench(folder, protocol.scale, lr=lr):
        if picture.grey:
            grey.append(picture.name)
        for name, method in methods.items():
            result = method(picture.lr)
            scores[name].append(_score(picture, name, result, protocol))
            if on_result:
                on_result(name, picture, result)
            done += 1
            if on_progress:
                on_progress(done, total)
    return [
        SetScore(network=name, bench=bench_name(folder), scale=protocol.scale, pictures=tuple(rows), grey=tuple(grey))
        for name, rows in scores.items()
    ]


def finite(psnr: float) -> float | None:
    """A PSNR as JSON holds it, which has no infinity: that of equal pictures is null."""
    return psnr if math.isfinite(psnr) else None


def bicubic(scale: int) -> Method:
    """The field's zero line: MATLAB-compatible bicubic."""
    return lambda lr: imresize(lr, scale)


def lanczos(scale: int) -> Method:
    """The other zero line: Lanczos with three lobes, as MATLAB's imresize has it."""
    return lambda lr: imresize(lr, scale, kernel="lanczos3")


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _score(picture: BenchPicture, method: str, result: Pixels, protocol: Protocol) -> PictureScore:
    scale = protocol.scale
    if result.shape != picture.hr.shape:
        raise UsageError(
            f"{method} made {result.shape[1]}x{result.shape[0]} of {picture.name} where x{scale} is "
            f"{picture.hr.shape[1]}x{picture.hr.shape[0]}; give --scale the network's own"
        )
    psnr, ssim = METRICS[protocol.channels]
    try:
        return PictureScore(
            name=picture.name,
            psnr=psnr(result, picture.hr, border=scale),
            ssim=ssim(result, picture.hr, border=scale),
        )
    except ValueError as error:
        raise PictureError(f"{picture.name} cannot be measured: {error}") from None
