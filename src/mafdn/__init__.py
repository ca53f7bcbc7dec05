"""MAFDN: lightweight image super-resolution on ordinary CPUs.

Upscale an array, a file, or a folder:

    import mafdn

    larger = mafdn.upscale(image, scale=2)  # returns an array
    report = mafdn.upscale_file("photo.jpg")  # writes photo_x4.jpg
    report = mafdn.upscale_folder("photos", "large", recursive=True)

Load a network once for many arrays:

    upscaler = mafdn.load("x4")
    larger = upscaler.upscale(image)

`training_history("x4")` returns how a network was trained.

`EngineOptions` selects the engine, device, precision and threads; `UpscaleOptions` holds all other settings, with
`Size`, `Output` and `Limits` in it. All errors are subclasses of `MafdnError`.

The network is a reconstruction from the abstract of Zhang et al. 2024 (doi 10.1155/2024/3255233).
"""

from mafdn._support.telemetry import disable_telemetry
from mafdn._version import __version__
from mafdn.api import Upscaler, load, upscale, upscale_file, upscale_folder
from mafdn.errors import (
    ConfigError,
    DamagedError,
    EncodeError,
    MafdnError,
    MissingPackageError,
    PictureError,
    UsageError,
    WeightsError,
)
from mafdn.inference import Engine, EngineOptions
from mafdn.pictures.limits import Limits
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport
from mafdn.upscaling.folder.run import Stopped
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.picture import Report
from mafdn.upscaling.size import Size
from mafdn.weights.history import Stage, TrainingHistory, training_history

__all__ = [
    "ConfigError",
    "DamagedError",
    "EncodeError",
    "Engine",
    "EngineOptions",
    "FolderItem",
    "FolderProgress",
    "FolderReport",
    "Limits",
    "MafdnError",
    "MissingPackageError",
    "Output",
    "PictureError",
    "Report",
    "Size",
    "Stage",
    "Stopped",
    "TrainingHistory",
    "UpscaleOptions",
    "Upscaler",
    "UsageError",
    "WeightsError",
    "__version__",
    "load",
    "training_history",
    "upscale",
    "upscale_file",
    "upscale_folder",
]

disable_telemetry()
