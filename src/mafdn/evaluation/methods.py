"""Networks as methods: functions that upscale an 8-bit picture, to be measured on benchmark datasets.

A network is named as in `mafdn.weights.resolve`. Figures must not depend on which engine is fastest on a machine, so
`auto` has its own rule here (`reproducible_options`): ONNX files are measured with the first installed engine on the
CPU, weights files and runs always with torch, and all in fp32.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mafdn._support.extras import pip_install
from mafdn._support.machine import installed_version
from mafdn.errors import MissingPackageError, UsageError
from mafdn.evaluation.benchset import Method, bicubic, lanczos
from mafdn.inference import (
    Engine,
    EngineOptions,
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
    tile = None if engine.stencil else WHOLE_TILE  # in tiles, a network without held gates gives a different result
    return label, lambda lr: upscale(engine, lr, tile=tile)


def _open(path: Path, options: EngineOptions) -> Engine:
    try:
        return open_engine(path, options)
    except MissingPackageError:
        if options.engine != "torch":
            raise
        raise MissingPackageError(f"measuring {path} needs torch: {pip_install('train')}") from None
