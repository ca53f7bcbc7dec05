"""What is compared: networks by name, pattern or file, each at the scales it has.

Public names: :class:`Candidate`, :func:`find_candidates`, :data:`NAMES`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mafdn.errors import UsageError
from mafdn.evaluation.methods import SHIPPED, ZERO_LINES
from mafdn.inference import EngineOptions, open_engine, preferred_engine
from mafdn.networks import ARCHITECTURES, Network, architecture, build, load_network
from mafdn.networks.convert import open_network
from mafdn.networks.weights import checked_settings
from mafdn.weights.shipped import shipped

NAMES = {
    "mafdn": "MAFDN (reconstruction)",
    "imdn": "IMDN",
    "ddistill": "DDistill-SR",
    "afan": "AFAN-style (reconstruction)",
    "smfanet": "SMFANet+",
}
"""What a network is called in tables and plots; :data:`mafdn.networks.TITLES` says the rest."""
SLACK = 0.02
"""Share of a network's numbers by which an exported file may differ: shapes and constants are stored as numbers too."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network at one scale."""

    name: str
    """Unique at its scale."""
    given: str
    """What measures it: a name or path as :func:`mafdn.evaluation.methods.open_method` takes it."""
    scale: int
    architecture: str = ""
    """As in :data:`mafdn.networks.ARCHITECTURES`; empty for zero lines and foreign files."""
    network: Network | None = None
    file: Path | None = None
    """The file that is measured; without, a network has a cost but no quality."""

    @property
    def zero_line(self) -> bool:
        return self.given in ZERO_LINES

    @property
    def measurable(self) -> bool:
        """Whether it has a quality."""
        return self.zero_line or self.file is not None

    @property
    def ours(self) -> bool:
        """Whether it is what this project ships."""
        return self.given == SHIPPED


def find_candidates(given: Sequence[str], scales: Sequence[int]) -> list[Candidate]:
    """Every one of ``given`` at every one of ``scales`` that it has, scale by scale in the order given.

    ``given`` are ``mafdn`` (what ships), ``bicubic`` and ``lanczos``, the names of other networks (with random weights:
    they cost what they cost, and have no quality), weights files (.safetensors, .pth, .onnx) and patterns of such with
    ``{scale}`` in their name. Raises :class:`UsageError` for an unknown name, for a file of none of the ``scales`` and
    for a pattern that fits no file; :class:`WeightsError` for an unusable file.
    """
    found: dict[tuple[int, str], Candidate] = {}
    for entry in dict.fromkeys(given):
        mine = [c for scale in scales if (c := _candidate(entry, scale)) is not None]
        if not mine:
            asked = ", ".join(f"x{scale}" for scale in scales)
            raise UsageError(f"{entry} has none of the scales asked for ({asked}); give its own with --scale")
        for candidate in mine:  # a file is compared once, however it was given
            found.setdefault((candidate.scale, str(candidate.file.resolve()) if candidate.file else entry), candidate)
    return [c for scale in scales for c in _named_apart([c for c in found.values() if c.scale == scale])]


def _candidate(given: str, scale: int) -> Candidate | None:
    """``given`` at ``scale``; ``None`` when it is a file of another scale, or its pattern has none of this one."""
    if given in ZERO_LINES:
        return Candidate(name=given, given=given, scale=scale)
    if given == SHIPPED:
        return _with_network(given, scale, load_network(shipped(scale, ".safetensors")), file=shipped(scale, ".onnx"))
    if given in ARCHITECTURES:
        make, settings = ARCHITECTURES[given]
        return _with_network(given, scale, make(settings(scale=scale)), file=None)
    path = Path(given.replace("{scale}", str(scale)))
    if "{scale}" in given and not path.exists():
        return None
    if path.suffix not in (".safetensors", ".pth", ".onnx"):
        names = ", ".join([*ZERO_LINES, *ARCHITECTURES])
        raise UsageError(f"unknown network {given!r}; there are {names}, and files (.safetensors, .pth, .onnx)")
    if path.suffix == ".onnx":
        its_scale = open_engine(path, EngineOptions(engine=preferred_engine())).scale
        network = _described(path, its_scale)
    else:
        network = open_network(path)
        its_scale = network.settings.scale
    if its_scale != scale:
        return None
    if network is None:
        return Candidate(name=path.stem, given=str(path), scale=scale, file=path)
    return _with_network(str(path), scale, network, file=path)


def _with_network(given: str, scale: int, network: Network, *, file: Path | None) -> Candidate:
    kind = architecture(network.settings)
    return Candidate(name=NAMES[kind], given=given, scale=scale, architecture=kind, network=network, file=file)


def _described(path: Path, scale: int) -> Network | None:
    """The network that an ONNX file says it holds, which has its costs but not its weights.

    ``None`` when it says nothing, or what cannot be: another scale, or more or fewer numbers than the file has.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    try:
        header: Any = json.loads(entries["mafdn"])
        settings = checked_settings(header["architecture"], header["settings"])
    except (KeyError, ValueError, TypeError):
        return None
    if settings.scale != scale:
        return None
    network = build(settings)
    expected = sum(parameter.numel() for parameter in network.fold().parameters())
    stored = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return network if abs(stored - expected) <= SLACK * expected else None


def _named_apart(candidates: list[Candidate]) -> list[Candidate]:
    """Those of one name get as much of their files' names beside it as tells them apart."""
    named = list(candidates)
    for name in {c.name for c in candidates}:
        alike = [i for i, c in enumerate(candidates) if c.name == name]
        paths = [(c.file.resolve() if c.file else Path(c.given)) for c in (candidates[i] for i in alike)]
        longest = max(len(path.parts) for path in paths)
        labels = [[path.stem for path in paths]]
        labels += [["/".join(path.parts[-n:]) for path in paths] for n in range(1, longest + 1)]
        telling = next(choice for choice in labels if len(set(choice)) == len(alike))
        for i, label in zip(alike, telling, strict=True) if len(alike) > 1 else ():
            named[i] = replace(named[i], name=f"{name}, {label}")
    return named
