"""MAFDN: lightweight image super-resolution on ordinary CPUs.

Upscale arrays, files and folders:

    upscale         an array, or the pixels of a file; returns an array
    upscale_file    a file; metadata, profile and transparency are kept
    upscale_folder  many files; returns a FolderReport with FolderItems
    load            a network for many arrays and files; returns an Upscaler
    upscale_film    a film; returns a FilmReport, with FilmProgress reports; FilmStopped on Ctrl-C (extra `film`)
    film_frames     the upscaled frames of a film, as FilmFrames; FilmOptions say how
    verify          whether a result is faithful to its original; returns a Verification

    larger = mafdn.upscale(image, scale=2)
    report = mafdn.upscale_file("photo.jpg", size=mafdn.Size(fit=(3840, 2160)))
    larger = mafdn.load("x4", engine=mafdn.EngineOptions(threads=4)).upscale(image)

Options: EngineOptions (engine, device, precision, threads), and UpscaleOptions (everything else) with Size, Output and
Limits. Results: Report for a file; FolderReport for a folder, FolderEstimate before and FolderProgress during the work;
Stopped on Ctrl-C. A WeightsChoice in a report says which weights a picture decided for, and why. An Upscaler runs an
Engine. A Verification holds BlockDifferences and, for a JPEG, JpegCoefficients with a CoefficientShare for luma and
chroma.

Research, with PyTorch (pip install "mafdn[train]"):

    load_network    a network as a PyTorch module, with gradients if needed
    evaluate        PSNR and SSIM of networks, modules and functions on
                    benchmark datasets; returns an Evaluation
    psnr, ssim      of arrays and tensors, as in papers
    plot_runs       loss and validation curves of training runs
    train           a run of a configuration, with TrainingProgress reports;
                    TrainingStopped on Ctrl-C
    training_history
                    how a network was trained: a TrainingHistory of Stages

    network = mafdn.load_network("x4")  # (B, 3, H, W) in [0, 1]
    result = mafdn.evaluate({"mine": my_module, "IMDN": "IMDN_x4.pth"}, bench="Set5")
    print(result.score("mine").psnr, result.differences("IMDN"))
    result.save("table.tex")
    mafdn.psnr(network(lr), hr, border=4)

An Evaluation holds SetScores (one network on one dataset) of PictureScores, and LrPictures says where the LR pictures
came from; Evaluation.differences returns Differences with an Interval each.

A network is named in one way everywhere: x2, x3, x4 (shipped, for clean pictures), photo-x2, photo-x4 (shipped, for
pictures with JPEG artifacts), classic or mafdn, photo, auto, a file (.onnx, .safetensors, .pth), or the folder of a
training run. With auto, the default for upscaling, each picture decides between photo and classic.

Errors are subclasses of MafdnError, with one line that says what to do: UsageError and ConfigError (an argument or a
setting is invalid), PictureError (with DamagedError, EncodeError and UnsupportedError), WeightsError, OutOfMemoryError,
MissingPackageError.

The network is a reconstruction from the abstract of Zhang et al. 2024 (doi 10.1155/2024/3255233).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mafdn._support.telemetry import disable_telemetry
from mafdn._version import __version__
from mafdn.errors import (
    ConfigError,
    DamagedError,
    EncodeError,
    MafdnError,
    MissingPackageError,
    OutOfMemoryError,
    PictureError,
    UnsupportedError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:  # imported on first use: each command and program needs a few of them
    from mafdn.api import upscale, upscale_file, upscale_folder
    from mafdn.evaluation.api import Evaluation, evaluate
    from mafdn.evaluation.benchset import LrPictures, PictureScore, SetScore
    from mafdn.evaluation.paired import Difference, Interval
    from mafdn.evaluation.quality import psnr, ssim
    from mafdn.film.api import film_frames, upscale_film
    from mafdn.film.frame import FilmFrame
    from mafdn.film.options import FilmOptions
    from mafdn.film.report import FilmProgress, FilmReport, FilmStopped
    from mafdn.inference import Engine, EngineOptions
    from mafdn.pictures.limits import Limits
    from mafdn.pytorch import load_network
    from mafdn.training.api import train
    from mafdn.training.record.plot import plot_runs
    from mafdn.training.record.progress import TrainingProgress, TrainingStopped
    from mafdn.upscaling.choice.weights import WeightsChoice
    from mafdn.upscaling.folder.report import FolderEstimate, FolderItem, FolderProgress, FolderReport, Stopped
    from mafdn.upscaling.loaded import Upscaler, load
    from mafdn.upscaling.options import UpscaleOptions
    from mafdn.upscaling.output import Output
    from mafdn.upscaling.picture import Report
    from mafdn.upscaling.size import Size
    from mafdn.upscaling.verifying import verify
    from mafdn.verification.figures import BlockDifference, CoefficientShare, JpegCoefficients, Verification
    from mafdn.weights.history import Stage, TrainingHistory, training_history

__all__ = [
    "BlockDifference",
    "CoefficientShare",
    "ConfigError",
    "DamagedError",
    "Difference",
    "EncodeError",
    "Engine",
    "EngineOptions",
    "Evaluation",
    "FilmFrame",
    "FilmOptions",
    "FilmProgress",
    "FilmReport",
    "FilmStopped",
    "FolderEstimate",
    "FolderItem",
    "FolderProgress",
    "FolderReport",
    "Interval",
    "JpegCoefficients",
    "Limits",
    "LrPictures",
    "MafdnError",
    "MissingPackageError",
    "OutOfMemoryError",
    "Output",
    "PictureError",
    "PictureScore",
    "Report",
    "SetScore",
    "Size",
    "Stage",
    "Stopped",
    "TrainingHistory",
    "TrainingProgress",
    "TrainingStopped",
    "UnsupportedError",
    "UpscaleOptions",
    "Upscaler",
    "UsageError",
    "Verification",
    "WeightsChoice",
    "WeightsError",
    "__version__",
    "evaluate",
    "film_frames",
    "load",
    "load_network",
    "plot_runs",
    "psnr",
    "ssim",
    "train",
    "training_history",
    "upscale",
    "upscale_file",
    "upscale_film",
    "upscale_folder",
    "verify",
]
_MODULES = {
    "mafdn.api": ("upscale", "upscale_file", "upscale_folder"),
    "mafdn.evaluation.api": ("Evaluation", "evaluate"),
    "mafdn.evaluation.benchset": ("LrPictures", "PictureScore", "SetScore"),
    "mafdn.evaluation.paired": ("Difference", "Interval"),
    "mafdn.evaluation.quality": ("psnr", "ssim"),
    "mafdn.film.api": ("film_frames", "upscale_film"),
    "mafdn.film.frame": ("FilmFrame",),
    "mafdn.film.options": ("FilmOptions",),
    "mafdn.film.report": ("FilmProgress", "FilmReport", "FilmStopped"),
    "mafdn.inference": ("Engine", "EngineOptions"),
    "mafdn.pictures.limits": ("Limits",),
    "mafdn.pytorch": ("load_network",),
    "mafdn.training.api": ("train",),
    "mafdn.training.record.plot": ("plot_runs",),
    "mafdn.training.record.progress": ("TrainingProgress", "TrainingStopped"),
    "mafdn.upscaling.choice.weights": ("WeightsChoice",),
    "mafdn.upscaling.folder.report": ("FolderEstimate", "FolderItem", "FolderProgress", "FolderReport", "Stopped"),
    "mafdn.upscaling.loaded": ("Upscaler", "load"),
    "mafdn.upscaling.options": ("UpscaleOptions",),
    "mafdn.upscaling.output": ("Output",),
    "mafdn.upscaling.picture": ("Report",),
    "mafdn.upscaling.size": ("Size",),
    "mafdn.upscaling.verifying": ("verify",),
    "mafdn.verification.figures": ("BlockDifference", "CoefficientShare", "JpegCoefficients", "Verification"),
    "mafdn.weights.history": ("Stage", "TrainingHistory", "training_history"),
}
"""The names that are imported on first use, by their modules."""
_SUBMODULES = ("hub", "spandrel")
"""Modules that need extras, imported on first use."""
_MODULE = {name: module for module, names in _MODULES.items() for name in names}

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"mafdn.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module 'mafdn' has no attribute {name!r}")
    value = getattr(import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
