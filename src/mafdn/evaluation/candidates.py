"""The networks of a comparison: each name, pattern or file at every scale it has."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mafdn.errors import ConfigError, UsageError
from mafdn.inference import EngineOptions, open_engine, preferred_engine
from mafdn.networks import Network, architecture, build, count_parameters, find_architecture, short_name
from mafdn.networks.checkpoints import open_network
from mafdn.networks.weights import checked_settings
from mafdn.weights.resolve import Kind, NetworkSource, is_pattern, pattern_file, resolve
from mafdn.weights.shipped import shipped_scales

SLACK = 0.02
"""Share of a network's parameters by which an exported file may differ: shapes and constants are stored as numbers too.
"""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network at one scale."""

    name: str
    """Unique at its scale: a file without its suffix, a run by its folder, else the name of the network."""
    given: tuple[str, ...] = ()
    """The names under which it was listed."""
    source: str
    """The name or path from which `mafdn.evaluation.methods.open_method` opens it."""
    kind: Kind
    scale: int
    architecture: str = ""
    """Its name for `mafdn.networks.find_architecture`; empty for baselines and files from other programs."""
    network: Network | None = None
    """The network, to count its costs; weights are random if `file` is `None` or an ONNX file."""
    file: Path | None = None
    """The file that is measured; a network without one has costs but no scores."""

    @property
    def baseline(self) -> bool:
        return self.kind == "baseline"

    @property
    def measurable(self) -> bool:
        """Whether its quality can be measured."""
        return self.baseline or self.file is not None

    @property
    def shipped(self) -> bool:
        """Whether it is the network that ships with this project."""
        return self.kind == "shipped"


def find_candidate(candidates: Sequence[Candidate], name: str) -> Candidate | None:
    """The candidate that was listed as `name`, or has this name in tables; `None` if there is none at this scale."""
    return next((c for c in candidates if name in c.given), None) or next(
        (c for c in candidates if c.name == name), None
    )


def find_candidates(names: Sequence[str], scales: Sequence[int]) -> list[Candidate]:
    """Find every network at every scale it has.

    Args:
        names: Names as in `mafdn.weights.resolve`, including patterns with `{scale}`.
        scales: The scales of the comparison.

    Returns:
        The candidates scale by scale, in the order of `names`; a file that is named twice is listed once.

    Raises:
        UsageError: A name is unknown, a file has none of the scales, or a pattern matches no file.
        WeightsError: A file is unusable.
    """
    found: dict[tuple[int, str], Candidate] = {}
    for name in dict.fromkeys(names):
        mine = [c for scale in scales if (c := _candidate(name, scale)) is not None]
        if not mine:
            wanted = ", ".join(f"x{scale}" for scale in scales)
            raise UsageError(f"{name} has none of the requested scales ({wanted}); pass its own", setting="scale")
        for candidate in mine:
            key = candidate.scale, str(candidate.file.resolve()) if candidate.file else name
            first = found.setdefault(key, candidate)
            found[key] = replace(first, given=(*first.given, name))
    return [c for scale in scales for c in _disambiguate([c for c in found.values() if c.scale == scale])]


def open_source(source: NetworkSource, *, scale: int) -> Network | None:
    """The network behind a name, to count its costs.

    Args:
        source: From `mafdn.weights.resolve.resolve`.
        scale: The scale, for names of networks; a file has its own.

    Returns:
        The network: with its weights from a weights file or a run, with random weights for an architecture or the
        header of an ONNX file. `None` for a baseline and for ONNX files from other programs.

    Raises:
        WeightsError: The file is missing or unusable.
    """
    if source.kind == "baseline":
        return None
    if source.kind == "architecture":
        return build(find_architecture(source.name).settings(scale=scale))
    path = source.file(".safetensors", scale=scale)
    return from_onnx_header(path) if path.suffix == ".onnx" else open_network(path)


def _candidate(name: str, scale: int) -> Candidate | None:
    """The candidate at `scale`; `None` for a file of another scale, or a pattern without a file of this one."""
    if is_pattern(name):
        path = pattern_file(name, scale)
        if not path.exists():
            return None
        source = resolve(path)
    else:
        source = resolve(name)
    if source.scale not in (None, scale):
        return None
    if source.kind == "shipped" and scale not in shipped_scales(source.variant):
        return None
    network = open_source(source, scale=scale)
    file = None if source.kind in ("baseline", "architecture") else source.file(scale=scale)
    found = network.settings.scale if network else _scale_of(file) if file else scale
    if found != scale:
        return None
    kind = architecture(network.settings) if network else ""
    return Candidate(
        name=_table_name(source, network),
        source=source.name,
        kind=source.kind,
        scale=scale,
        architecture=kind,
        network=network,
        file=file,
    )


def _table_name(source: NetworkSource, network: Network | None) -> str:
    if network is None or source.kind not in ("shipped", "architecture"):
        return source.stem
    name = short_name(network.settings)
    return name if source.variant == "classic" else f"{name}, {source.variant}"


def _scale_of(path: Path) -> int:
    """The scale of an ONNX file."""
    return open_engine(path, EngineOptions(engine=preferred_engine())).scale


def from_onnx_header(path: Path) -> Network | None:
    """The network that the header of an ONNX file describes, with random weights.

    `None` if there is no header, or one that does not match the file in its scale or number of parameters.
    """
    import onnx

    scale = _scale_of(path)
    model = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    try:
        header: Any = json.loads(entries["mafdn"])
        settings = checked_settings(header["architecture"], header["settings"])
    except (KeyError, ValueError, TypeError, ConfigError):
        return None
    if settings.scale != scale:
        return None
    network = build(settings)
    expected = count_parameters(network.fold())
    stored = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return network if abs(stored - expected) <= SLACK * expected else None


def _disambiguate(candidates: list[Candidate]) -> list[Candidate]:
    """Make equal names distinct by the shortest distinct suffix of the paths."""
    distinct = list(candidates)
    for name in {c.name for c in candidates}:
        equal = [i for i, c in enumerate(candidates) if c.name == name]
        paths = [_place(candidates[i]) for i in equal]
        longest = max(len(path.parts) for path in paths)
        labels = [[path.stem for path in paths]]
        labels += [["/".join(path.parts[-n:]) for path in paths] for n in range(1, longest + 1)]
        shortest = next(choice for choice in labels if len(set(choice)) == len(equal))
        for i, label in zip(equal, shortest, strict=True) if len(equal) > 1 else ():
            is_path = distinct[i].kind in ("file", "run")
            distinct[i] = replace(distinct[i], name=label if is_path else f"{name}, {label}")
    return distinct


def _place(candidate: Candidate) -> Path:
    """The path that identifies a candidate to users: a run's folder, a file."""
    if candidate.kind == "run":
        return Path(candidate.source).resolve()
    return candidate.file.resolve() if candidate.file else Path(candidate.source)
