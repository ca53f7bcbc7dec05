"""MAFDN: lightweight image super-resolution on ordinary CPUs.

Upscale arrays, files and folders:

    upscale         an array, or the pixels of a file; returns an array
    upscale_file    a file; metadata, profile and transparency are kept
    upscale_folder  many files; returns a FolderReport with FolderItems
    load            a network for many arrays and files; returns an Upscaler

    larger = mafdn.upscale(image, scale=2)
    report = mafdn.upscale_file("photo.jpg", size=mafdn.Size(fit=(3840, 2160)))
    larger = mafdn.load("x4", engine=mafdn.EngineOptions(threads=4)).upscale(image)

Options: EngineOptions (engine, device, precision, threads), and UpscaleOptions (everything else) with Size, Output and
Limits. Results: Report for a file; FolderReport for a folder, FolderEstimate before and FolderProgress during the work;
Stopped on Ctrl-C. An Upscaler runs an Engine.

Research, with PyTorch (pip install 'mafdn[train]'):

    load_network    a network as a PyTorch module, with gradients if needed
    evaluate        PSNR and SSIM of networks, modules and functions on
                    benchmark datasets; returns an Evaluation
    psnr, ssim      of arrays and tensors, as in papers
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

A network is named in one way everywhere: x2, x3, x4 (shipped), auto, mafdn, a file (.onnx, .safetensors, .pth), or the
folder of a training run.

Errors are subclasses of MafdnError, with one line that says what to do: UsageError and ConfigError (an argument or a
setting is invalid), PictureError (with DamagedError, EncodeError and UnsupportedError), WeightsError, OutOfMemoryError,
MissingPackageError.

The network is a reconstruction from the abstract of Zhang et al. 2024 (doi 10.1155/2024/3255233).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mafdn._support.telemetry import disable_telemetry
from mafdn._version import __version__
from mafdn.api import Upscaler, load, upscale, upscale_file, upscale_folder
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
from mafdn.inference import Engine, EngineOptions
from mafdn.pictures.limits import Limits
from mafdn.upscaling.folder.report import FolderEstimate, FolderItem, FolderProgress, FolderReport, Stopped
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.picture import Report
from mafdn.upscaling.size import Size
from mafdn.weights.history import Stage, TrainingHistory, training_history

if TYPE_CHECKING:  # imported on first use: upscaling does not need them
    from mafdn.evaluation.api import Evaluation, evaluate
    from mafdn.evaluation.benchset import LrPictures, PictureScore, SetScore
    from mafdn.evaluation.paired import Difference, Interval
    from mafdn.evaluation.quality import psnr, ssim
    from mafdn.pytorch import load_network
    from mafdn.training.api import train
    from mafdn.training.record.progress import TrainingProgress, TrainingStopped

__all__ = [
    "ConfigError",
    "DamagedError",
    "Difference",
    "EncodeError",
    "Engine",
    "EngineOptions",
    "Evaluation",
    "FolderEstimate",
    "FolderItem",
    "FolderProgress",
    "FolderReport",
    "Interval",
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
    "WeightsError",
    "__version__",
    "evaluate",
    "load",
    "load_network",
    "psnr",
    "ssim",
    "train",
    "training_history",
    "upscale",
    "upscale_file",
    "upscale_folder",
]
_LAZY = {
    "Difference": "mafdn.evaluation.paired",
    "Evaluation": "mafdn.evaluation.api",
    "Interval": "mafdn.evaluation.paired",
    "LrPictures": "mafdn.evaluation.benchset",
    "PictureScore": "mafdn.evaluation.benchset",
    "SetScore": "mafdn.evaluation.benchset",
    "TrainingProgress": "mafdn.training.record.progress",
    "TrainingStopped": "mafdn.training.record.progress",
    "evaluate": "mafdn.evaluation.api",
    "load_network": "mafdn.pytorch",
    "psnr": "mafdn.evaluation.quality",
    "ssim": "mafdn.evaluation.quality",
    "train": "mafdn.training.api",
}
"""Modules of the names that are imported on first use."""

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mafdn' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
