"""MAFDN: lightweight image super-resolution on a plain CPU.

>>> import mafdn
>>> larger = mafdn.load("x4").upscale("photo.jpg")  # doctest: +SKIP

The network is a reconstruction from the abstract of Zhang et al. 2024 (doi 10.1155/2024/3255233).
"""

from mafdn._support.telemetry import disable_telemetry
from mafdn._version import __version__
from mafdn.api import Upscaler, load, upscale_folder
from mafdn.errors import (
    ConfigError,
    MafdnError,
    MissingPackageError,
    PictureError,
    UsageError,
    WeightsError,
)

__all__ = [
    "ConfigError",
    "MafdnError",
    "MissingPackageError",
    "PictureError",
    "Upscaler",
    "UsageError",
    "WeightsError",
    "__version__",
    "load",
    "upscale_folder",
]

disable_telemetry()
