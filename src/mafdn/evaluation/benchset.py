"""Measure networks on benchmark datasets with the standard protocol.

Protocol: the HR picture is cropped to a multiple of the scale. The LR picture is the set's own if it has one
(`mafdn.evaluation.layouts`), else HR reduced by `mafdn.pixels.imresize`; it may be degraded then
(`mafdn.degradation.chain`). It is upscaled whole, unless it `is_large`. The result is rounded to 8 bits. PSNR and SSIM
are measured with a crop border of `scale` pixels, on BT.601 luma, which is not rounded, or over the RGB channels. A
grayscale picture is measured as RGB with three equal channels; only this reproduces the published figures on Set14,
which has one.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mafdn._support.progress import counted, each, ignore
from mafdn.degradation.chain import Degradation, labeled
from mafdn.errors import PictureError, UsageError
from mafdn.evaluation.layouts import MADE, BenchFiles, LrChoice, bench_files, find_bench
from mafdn.pictures.reading import as_rgb8, read_integers, read_rgb8
from mafdn.pixels import imresize, modulo_crop, psnr_rgb, psnr_y, ssim_rgb, ssim_y

Pixels = NDArray[np.uint8]
Method = Callable[[Pixels], Pixels]
"""Maps an LR picture (H, W, 3) uint8 to its upscaled result (sH, sW, 3) uint8."""
WHOLE_AREA = 4_000_000
"""Largest area, in LR pixels, of pictures that every network upscales whole; those of Test4K have 2,073,600 at x2."""
METRICS = {"luma": (psnr_y, ssim_y), "rgb": (psnr_rgb, ssim_rgb)}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is measured."""

    scale: int
    channels: Literal["luma", "rgb"] = "luma"
    self_ensemble: bool = False
    """Average a network's results over the eight flips and rotations: the "+" of the literature."""


@dataclass(frozen=True, kw_only=True)
class BenchPicture:
    """One picture of a set: `hr` (sH, sW, 3) and `lr` (H, W, 3), both uint8; `grey` if HR is stored in grayscale."""

    name: str
    hr: Pixels
    lr: Pixels
    grey: bool = False
    hr_sha256: str = ""
    """Over the size and pixels of HR before it is cropped to a multiple of the scale."""


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """The scores of one picture.

    Args:
        name: The name of the picture: its file without the suffix.
        psnr: PSNR in dB; infinite if the result equals the original.
        ssim: SSIM.
    """

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class LrPictures:
    """Where the LR pictures of a measurement came from.

    Args:
        source: `own` for those of the dataset or of a given folder, `made` for HR reduced by bicubic interpolation.
        folder: Their folder, relative to the dataset or to the folder around it; empty if they were made.
        sha256: Over the sizes and pixels of all of them, in order, as they were upscaled; equal pictures have equal
            hashes, whatever their format.
        degrade: How they were degraded, as for `mafdn evaluate --degrade`; empty if they were not.
    """

    source: Literal["own", "made"]
    folder: str
    sha256: str
    degrade: str = ""

    def __str__(self) -> str:
        where = f"own ({self.folder})" if self.source == "own" else "made by bicubic reduction"
        degraded = f", degraded by {self.degrade}" if self.degrade else ""
        return f"LR {where}{degraded}, SHA-256 {self.sha256[:12]}"


@dataclass(frozen=True, kw_only=True)
class SetScore:
    """The scores of one network on one benchmark dataset, and their means.

    Args:
        network: The label of the network.
        bench: The name of the dataset, followed by that of the degradation if there is one.
        scale: The scale.
        pictures: The scores of each picture.
        grey: Names of the pictures that are stored in grayscale and were measured as RGB.
        lr: The LR pictures that were used.
        hr_sha256: SHA-256 over the pixels of the HR pictures in order, the same at every scale.
        degrade: The name of the degradation of the LR pictures; empty for none.
        large: Names of the pictures that networks with a stencil upscale in tiles, with sampled gates.
    """

    network: str
    bench: str
    scale: int
    pictures: tuple[PictureScore, ...]
    grey: tuple[str, ...] = ()
    lr: LrPictures | None = None
    hr_sha256: str = ""
    degrade: str = ""
    large: tuple[str, ...] = ()

    @property
    def psnr(self) -> float:
        """Mean PSNR in dB."""
        return float(np.mean([p.psnr for p in self.pictures]))

    @property
    def ssim(self) -> float:
        """Mean SSIM."""
        return float(np.mean([p.ssim for p in self.pictures]))


def is_large(lr: Pixels) -> bool:
    """Whether networks with a stencil upscale a picture in tiles, with gates sampled from it, to save memory."""
    return lr.shape[0] * lr.shape[1] > WHOLE_AREA


OnResult = Callable[[str, BenchPicture, Pixels], None]
"""Called with the name of a method, a picture and the method's result for its LR."""


def read_bench(
    folder: Path,
    scale: int,
    *,
    lr: LrChoice = None,
    degrade: Degradation | None = None,
    only: Collection[str] | None = None,
) -> Iterator[BenchPicture]:
    """Read the pictures of a set one by one, with their LR pictures (see the protocol above).

    Args:
        folder: The set.
        scale: The scale.
        lr: The LR pictures to use; see `mafdn.evaluation.layouts.LrChoice`.
        degrade: How to degrade them.
        only: Names of the pictures to read; default all.

    Raises:
        UsageError: As `mafdn.evaluation.layouts.find_bench`.
        PictureError: As `find_bench`, or a picture is damaged or too small, or cannot be degraded, or LR and HR do not
            match in size.
    """
    for name, (path, low) in find_bench(folder, scale, lr=lr).pairs.items():
        if only is not None and name not in only:
            continue
        color = read_integers(path).color
        whole = as_rgb8(color)
        hr = modulo_crop(whole, scale)
        if not hr.size:
            raise PictureError(f"{path} is smaller than {scale} pixels: x{scale} cannot be measured on it")
        reduced = read_rgb8(low) if low else imresize(hr, 1 / scale)
        if hr.shape[:2] != (reduced.shape[0] * scale, reduced.shape[1] * scale):
            raise PictureError(
                f"{low} is {reduced.shape[1]}x{reduced.shape[0]}, which does not fit {path} at x{scale}, cropped to "
                f"{hr.shape[1]}x{hr.shape[0]}; set lr to a folder of other LR pictures, or to {MADE}",
                setting="lr",
            )
        reduced = degrade.apply(reduced, name=name) if degrade else reduced
        digest = _pixel_digest(whole).hex()
        yield BenchPicture(name=name, hr=hr, lr=reduced, grey=color.shape[2] == 1, hr_sha256=digest)


def measure(
    methods: Mapping[str, Method],
    folders: Sequence[Path],
    protocol: Protocol,
    *,
    degrade: Sequence[Degradation | None] = (None,),
    on_progress: Callable[[int, int], None] | None = None,
) -> list[SetScore]:
    """Score every method on several sets.

    Args:
        methods: Methods by name.
        folders: The sets.
        protocol: The scale, and the channels measured.
        degrade: How to degrade the LR pictures; every set is scored with each, `None` for not at all.
        on_progress: Called with the number of results scored and their total.

    Returns:
        The scores set by set, in each by degradation, methods in order.

    Raises:
        UsageError: A set is missing, or a method upscales by another scale.
        PictureError: A picture cannot be read or measured.
    """
    pictures = sum(len(bench_files(folder, protocol.scale)) for folder in folders)
    tick = each(counted(on_progress, pictures * len(degrade) * len(methods)))
    return [
        score
        for folder in folders
        for step in degrade
        for score in measure_set(methods, folder, protocol, degrade=step, on_scored=tick)
    ]


def measure_set(
    methods: Mapping[str, Method],
    folder: Path,
    protocol: Protocol,
    *,
    lr: LrChoice = None,
    degrade: Degradation | None = None,
    on_scored: Callable[[], None] = ignore,
    on_result: OnResult | None = None,
) -> list[SetScore]:
    """Score every method on one set; each picture is read once.

    Args:
        methods: Methods by name.
        folder: The set.
        protocol: The scale, and the channels measured.
        lr: The LR pictures to use; see `mafdn.evaluation.layouts.LrChoice`.
        degrade: How to degrade them.
        on_scored: Called after every result.
        on_result: Called with every result.

    Raises:
        UsageError, PictureError: As `measure`.
    """
    scores: dict[str, list[PictureScore]] = {name: [] for name in methods}
    grey: list[str] = []
    large: list[str] = []
    lr_digest, hr_digest = hashlib.sha256(), hashlib.sha256()
    for picture in read_bench(folder, protocol.scale, lr=lr, degrade=degrade):
        if picture.grey:
            grey.append(picture.name)
        if is_large(picture.lr):
            large.append(picture.name)
        lr_digest.update(_pixel_digest(picture.lr))
        hr_digest.update(picture.hr_sha256.encode())
        for name, method in methods.items():
            result = method(picture.lr)
            scores[name].append(_score(picture, name, result, protocol))
            if on_result:
                on_result(name, picture, result)
            on_scored()
    files = find_bench(folder, protocol.scale, lr=lr)
    used = describe_lr(files, degrade, sha256=lr_digest.hexdigest())
    return [
        SetScore(
            network=name,
            bench=labeled(files.name, degrade),
            scale=protocol.scale,
            pictures=tuple(rows),
            grey=tuple(grey),
            lr=used,
            hr_sha256=hr_digest.hexdigest(),
            degrade=degrade.name if degrade else "",
            large=tuple(large),
        )
        for name, rows in scores.items()
    ]


def describe_lr(files: BenchFiles, degrade: Degradation | None, *, sha256: str) -> LrPictures:
    """Where the LR pictures of a set come from, and how they are degraded."""
    return LrPictures(
        source="made" if files.lr_folder is None else "own",
        folder=files.lr_folder or "",
        sha256=sha256,
        degrade=degrade.spec if degrade else "",
    )


def finite(psnr: float) -> float | None:
    """A PSNR for JSON, which has no infinity: `None` (null) for identical pictures."""
    return psnr if math.isfinite(psnr) else None


def bicubic(scale: int) -> Method:
    """The standard baseline: MATLAB-compatible bicubic."""
    return lambda lr: imresize(lr, scale)


def lanczos(scale: int) -> Method:
    """A second baseline: Lanczos with three lobes, as in MATLAB's imresize."""
    return lambda lr: imresize(lr, scale, kernel="lanczos3")


def _pixel_digest(pixels: Pixels) -> bytes:
    """The SHA-256 of the size and the pixels."""
    digest = hashlib.sha256(f"{pixels.shape}".encode())
    digest.update(pixels.tobytes())
    return digest.digest()


def _score(picture: BenchPicture, method: str, result: Pixels, protocol: Protocol) -> PictureScore:
    scale = protocol.scale
    if result.shape != picture.hr.shape:
        raise UsageError(
            f"{method} upscaled {picture.name} to {result.shape[1]}x{result.shape[0]}, but x{scale} needs "
            f"{picture.hr.shape[1]}x{picture.hr.shape[0]}; pass the network's scale",
            setting="scale",
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
