"""Networks as methods: functions that upscale an 8-bit picture, to be measured on benchmark datasets.

A network is named as in `mafdn.weights.resolve`. Figures must not depend on which engine is fastest on a machine, so
`auto` has its own rule here (`reproducible_options`): ONNX files are measured with the first installed engine on the
CPU, weights files and runs always with torch, and all in fp32. Pictures are upscaled whole; only large ones
(`mafdn.evaluation.benchset.is_large`), by networks with a stencil, in tiles with sampled gates.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mafdn._support.extras import pip_install
from mafdn._support.machine import installed_version
from mafdn.errors import MissingPackageError, UsageError
from mafdn.evaluation.benchset import Method, Pixels, bicubic, is_large, lanczos
from mafdn.inference import (
    Engine,
    EngineOptions,
    Stencil,
    ensembled,
    open_engine,
    preferred_engine,
    require_scale,
    upscale,
)
from mafdn.inference.options import AUTO, EXACT, FP32
from mafdn.weights.resolve import PICKLES, TORCH_FILES, resolve

WHOLE_TILE = 65_536
"""Side of a tile, in pixels, that no picture of a benchmark dataset exceeds."""
BASELINE_METHODS: dict[str, Callable[[int], Method]] = {"bicubic": bicubic, "lanczos": lanczos}
"""For each of `mafdn.weights.resolve.BASELINES`, a function that makes its method for a scale."""


def find_network(network: str, *, scale: int) -> Path | None:
    """The file from which `network` is measured; `None` for a baseline.

    Raises:
        UsageError: The name is unknown, of another scale, or of an architecture without weights.
        WeightsError: The file is missing.
    """
    source = resolve(network, scale=scale)
    if source.kind == "baseline":
        return None
    if source.kind == "architecture":
        raise UsageError(
            f"{network} has no weights, so it cannot be measured; pass a weights file, or see its costs with "
            f"'mafdn count --network {network}'"
        )
    return source.file()


def network_label(network: str, *, scale: int) -> str:
    """The name of `network` in tables: a file without its suffix, a run by its folder, a baseline by its name."""
    return resolve(network, scale=scale).stem


def weights_note(network: str, *, scale: int) -> str:
    """Which of several sets of weights in a checkpoint is measured; empty if there is no choice."""
    path = find_network(network, scale=scale)
    if path is None or path.suffix not in PICKLES:
        return ""
    try:
        from mafdn.networks.checkpoints import checkpoint_note
    except ModuleNotFoundError:  # the scores are from the cache
        return ""
    return checkpoint_note(path)


def reproducible_options(path: Path, options: EngineOptions | None = None) -> EngineOptions:
    """`options` for the network in `path`, with `auto` replaced by the rule at the top of this module.

    Raises:
        MissingPackageError: No engine is installed.
    """
    options = options or EXACT
    options = replace(options, precision=FP32) if options.precision == AUTO else options
    if path.suffix in TORCH_FILES:
        engine = "torch"
    else:
        engine = preferred_engine() if options.engine == "auto" else options.engine
    return replace(options, engine=engine, device="cpu" if options.device == "auto" else options.device)


def engine_label(path: Path, options: EngineOptions | None = None) -> str:
    """Name and version of the engine that `open_method` uses for `path`, without importing it."""
    name = reproducible_options(path, options).engine
    return f"{name} {installed_version(name)}"


def open_method(
    network: str, *, scale: int, self_ensemble: bool = False, options: EngineOptions | None = None
) -> tuple[str, Method]:
    """Open a network to be measured.

    Args:
        network: A name as in `mafdn.weights.resolve`.
        scale: The scale of the task.
        self_ensemble: Average the results of eight orientations; no effect on baselines.
        options: The engine for ONNX files; see `reproducible_options`.

    Returns:
        The network's label, and its method.

    Raises:
        UsageError: As `find_network`, or the file upscales by another factor.
        WeightsError: As `find_network`, or the file is unusable.
        MissingPackageError: The engine is not installed.
    """
    label = network_label(network, scale=scale)
    path = find_network(network, scale=scale)
    if path is None:
        return label, BASELINE_METHODS[network](scale)
    engine = _open(path, reproducible_options(path, options))
    require_scale(engine, path, scale)
    if self_ensemble:
        engine = ensembled(engine)
    return label, partial(_upscale, engine)


def _upscale(engine: Engine, lr: Pixels) -> Pixels:
    if engine.stencil and is_large(lr):
        return upscale(engine, lr)
    return upscale(_Whole(engine), lr, tile=WHOLE_TILE)  # with the gates of the whole picture, whatever its size


class _Whole:
    """An engine without its stencil: it computes the gates of what it is given."""

    stencil: Stencil | None = None

    def __init__(self, engine: Engine) -> None:
        self.name, self.version, self.device = engine.name, engine.version, engine.device
        self.precision, self.scale, self.run = engine.precision, engine.scale, engine.run


def _open(path: Path, options: EngineOptions) -> Engine:
    try:
        return open_engine(path, options)
    except MissingPackageError:
        if options.engine != "torch":
            raise
        raise MissingPackageError(f"measuring {path} needs torch: {pip_install('train')}") from None
