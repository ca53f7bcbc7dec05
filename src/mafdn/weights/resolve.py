"""The names of networks: one vocabulary for every command and for the Python API.

=================  ===================================================================================
`auto`             in upscaling, the shipped variant that suits the picture, at the scale that fits the size; where no
                   picture decides, as `classic`
`classic photo`    the shipped network of that variant, at the task's scale; `mafdn` is the same as `classic`
`x2 x3 x4`         the shipped network of that scale, of the variant `classic`
`photo-x2 -x4`     the same of the variant `photo`
`bicubic lanczos`  baselines, which are not networks
`imdn` ...         another architecture with random weights: it has costs, but no scores; also the entry point or
                   `module:Class` of an architecture outside of this package
a file             `.onnx`, `.safetensors`, or the `.pth`, `.pt` or `.ckpt` file of a known network;
                   `{scale}` in its name stands for the scale of the task
a run folder       the averaged weights of a training run
=================  ===================================================================================
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mafdn._support.atomic import printable
from mafdn.errors import UsageError, WeightsError
from mafdn.weights.header import SCALES
from mafdn.weights.own_architectures import is_own_architecture, own_names
from mafdn.weights.run_files import SETTINGS, is_run, newest_checkpoint_file
from mafdn.weights.shipped import Variant, shipped, shipped_stem

BASELINES = ("bicubic", "lanczos")
ARCHITECTURES = ("imdn", "ddistill", "afan", "smfanet")
"""Architectures known by name, for which no weights ship."""
AUTO = "auto"
SHIPPED_NAMES: dict[str, Variant] = {AUTO: "classic", "mafdn": "classic", "classic": "classic", "photo": "photo"}
"""Names of shipped networks whose scale is that of the task, and their variant."""
PICKLES = (".pth", ".pt", ".ckpt")
"""Extensions of the files that `torch.save` writes."""
TORCH_FILES = (".safetensors", *PICKLES)
"""Extensions of the files that torch runs directly."""
FILE_TYPES = (".onnx", *TORCH_FILES)
SCALE_FIELD = "{scale}"
PHOTO_SCALES = (2, 4)
"""The scales at which the variant `photo` exists; others are reached by a reduction."""
NAMES_OF_SCALES: dict[str, tuple[Variant, int]] = {
    **{f"x{scale}": ("classic", scale) for scale in SCALES},
    **{f"photo-x{scale}": ("photo", scale) for scale in PHOTO_SCALES},
}
"""Names of shipped networks that fix the scale, with their variant and scale."""
SCALE_NAMES = "x2, x3, x4, photo-x2 or photo-x4"
"""These names, for messages."""

Kind = Literal["shipped", "baseline", "architecture", "file", "run"]
DESCRIPTIONS: dict[Kind, str] = {
    "shipped": "a shipped network",
    "baseline": "a baseline, not a network",
    "architecture": "an architecture without weights",
    "file": "a file",
    "run": "a training run",
}


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """Where a network comes from; made by `resolve`."""

    name: str
    """The name that was resolved."""
    kind: Kind
    scale: int | None = None
    """The scale that the name or the task fixes; `None` if it is open or stored in the file."""
    variant: Variant = "classic"
    """The variant of a shipped network."""
    path: Path | None = None
    """The file or the run folder."""

    @property
    def stem(self) -> str:
        """A short name for tables: a file without its suffix, a run by its folder, else the name."""
        if self.kind == "shipped" and self.scale is not None:
            return shipped_stem(self.scale, self.variant)
        if self.path is None:
            return self.name
        return self.path.resolve().name if self.kind == "run" else self.path.stem

    def file(self, suffix: str = ".onnx", *, scale: int | None = None) -> Path:
        """The file that holds the network.

        Args:
            suffix: Which file of a shipped network is wanted, `.onnx` or `.safetensors`.
            scale: The scale of a shipped network whose name fixes none.

        Returns:
            The shipped file, the file itself, or the newest checkpoint of a run.

        Raises:
            UsageError: There is no file, or the scale of a shipped network is not determined.
            WeightsError: The file does not ship, or the run has no checkpoint.
        """
        if self.kind == "shipped":
            scale = self.scale or scale
            if scale is None:
                raise UsageError(f"{self.name} does not determine the scale here; choose {SCALE_NAMES}")
            return shipped(scale, suffix, self.variant)
        if self.path is None:
            raise UsageError(f"{self.name} is {DESCRIPTIONS[self.kind]}; use a weights file, a run or {SCALE_NAMES}")
        return newest_checkpoint_file(self.path) if self.kind == "run" else self.path


def resolve(network: str | os.PathLike[str], *, scale: int | None = None) -> NetworkSource:
    """Resolve the name of a network.

    Args:
        network: A name, a file or a folder, as listed at the top of this module.
        scale: The scale of the task, where it has one.

    Raises:
        UsageError: The name is unknown, or of a shipped network of another scale.
        WeightsError: The file is missing, or the folder is not that of a training run.
    """
    name = os.fspath(network)
    if name in BASELINES:
        return NetworkSource(name=name, kind="baseline", scale=scale)
    if name in SHIPPED_NAMES:
        return NetworkSource(name=name, kind="shipped", scale=scale, variant=SHIPPED_NAMES[name])
    if name in NAMES_OF_SCALES:
        variant, fixed = NAMES_OF_SCALES[name]
        if scale not in (None, fixed):
            raise UsageError(
                f"{name} upscales by {fixed}, not {scale}; use scale {fixed} or another network", setting="scale"
            )
        return NetworkSource(name=name, kind="shipped", scale=fixed, variant=variant)
    if name in ARCHITECTURES:
        return NetworkSource(name=name, kind="architecture", scale=scale)
    path = pattern_file(name, scale)
    if path.is_dir():
        if is_run(path):
            return NetworkSource(name=name, kind="run", path=path)
        raise WeightsError(
            f"{printable(path)} is neither a regular file nor the folder of a training run: it has no {SETTINGS}"
        )
    if not path.exists() and is_own_architecture(name):
        return NetworkSource(name=name, kind="architecture", scale=scale)
    if not path.suffix and not path.exists():
        raise unknown_network(name)
    if not path.is_file():
        raise WeightsError(
            f"cannot read {printable(path)}: {'not a regular file' if path.exists() else 'no such file'}"
        )
    return NetworkSource(name=name, kind="file", path=path)


def is_name(network: str) -> bool:
    """Whether `network` is a name that never stands for a file."""
    return network in (*SHIPPED_NAMES, *NAMES_OF_SCALES, *BASELINES, *ARCHITECTURES)


def is_pattern(network: str | os.PathLike[str]) -> bool:
    """Whether `network` stands for a file at each of several scales: `IMDN_x{scale}.pth`."""
    return SCALE_FIELD in os.fspath(network)


def pattern_file(network: str | os.PathLike[str], scale: int | None) -> Path:
    """The file that a pattern stands for at `scale`; any other path is returned unchanged."""
    if scale is None and is_pattern(network):
        raise UsageError(f"{printable(os.fspath(network))} needs a scale; choose one", setting="scale")
    return Path(os.fspath(network).replace(SCALE_FIELD, str(scale)))


def unknown_network(network: str | os.PathLike[str]) -> UsageError:
    """The error for a name that stands for no network."""
    return UsageError(f"unknown network {printable(os.fspath(network))!r}; {describe_vocabulary()}")


def describe_vocabulary() -> str:
    """The names that `resolve` knows, for messages."""
    names = ", ".join([*SHIPPED_NAMES, *NAMES_OF_SCALES, *BASELINES, *ARCHITECTURES, *own_names()])
    return f"choose from {names}, a file ({', '.join(FILE_TYPES)}) or the folder of a training run"
