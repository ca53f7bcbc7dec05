"""The speed of a network on this machine, by engine and precision, compared with what the machine can reach.

A ceiling is the highest rate measured for large 3x3 convolutions of one width alone, in OpenVINO: a network made of
such convolutions cannot be faster there. Ceilings take turns with the networks they are compared with.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mafdn._support.atomic import sha256
from mafdn._support.machine import Machine, installed_version, machine
from mafdn._support.progress import ignore
from mafdn._version import __version__
from mafdn.bench.cases import OURS, RESIZES, ConvolutionCase, NetworkCase, ResizeCase, network_cases, peer_cases
from mafdn.bench.convolutions import Convolutions, Layer, ceiling_macs, convolutions, profile_layers
from mafdn.bench.timing import Job, Latency, measure_in_turns
from mafdn.inference.engines import ENGINES
from mafdn.inference.engines.model_files import int8_file
from mafdn.inference.options import INT8
from mafdn.weights.sizes import OUTPUT

Size = tuple[int, int]
"""Height and width."""
CEILING_SIZES: tuple[Size, ...] = ((128, 256), (180, 320))
"""Input sizes of the convolutions whose best rate is the ceiling."""
PLAIN_WIDTH = 64
"""A number of channels that suits vector instructions; its ceiling is measured beside that of the network's width."""
VERSIONED = (*ENGINES, "torch", "numpy", "pyvips")
"""Packages whose versions belong to a measurement."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The rate of a network in one engine, or of a resize, which has no multiply-adds."""

    name: str
    scale: int
    device: str
    precision: str
    latency: Latency
    megapixels: float
    """Megapixels of the result per second."""
    macs: int | None
    gmacs: float | None
    """Billions of multiply-adds per second, in convolutions, in the fastest run."""
    share: float | None
    """`gmacs` as a share of the ceiling of its precision and width."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The highest rate of 3x3 convolutions of one `width`."""

    scale: int
    """Scale of the networks it took turns with."""
    precision: str
    width: int
    size: tuple[int, int]
    """Width and height at which it was reached."""
    gmacs: float
    """Billions of multiply-adds per second, in the fastest run."""
    engine: str


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """The results of `measure_throughput`, and the conditions of the measurement."""

    rows: list[Row]
    ceilings: list[Ceiling]
    layers: dict[str, list[Layer]]
    """Profile of the last scale by precision; empty unless requested."""
    networks: dict[str, str]
    """SHA-256 of every network file, by file name."""
    rounds: int
    threads: int | None
    """Cores to use; `None` for all."""
    load: float | None
    """Load average over the minute before; `None` if the system does not report it."""
    machine: Machine
    versions: dict[str, str]


def measure_throughput(
    networks: Mapping[int, Path],
    *,
    names: Mapping[int, str] | None = None,
    peers: Mapping[int, Mapping[str, Path]] | None = None,
    rounds: int = 9,
    threads: int | None = None,
    profile: bool = False,
    output_size: Size = OUTPUT,
    ceiling_sizes: Sequence[Size] = CEILING_SIZES,
    plain_width: int = PLAIN_WIDTH,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Throughput:
    """Time networks in every engine and precision that runs them here.

    Args:
        networks: ONNX files by scale.
        names: Their names in tables by scale; default that of the shipped networks.
        peers: ONNX files of other networks by scale and name, timed in the first installed engine, in every precision
            that it has without a file of its own.
        rounds: Timed runs of each.
        threads: Cores to use; all if `None`.
        profile: Also measure the time of every kind of layer.
        output_size: Height and width of the result; those of the input are divided by the scale and rounded down.
        ceiling_sizes: See `CEILING_SIZES`.
        plain_width: See `PLAIN_WIDTH`.
        on_progress: Called with a description of the stage, the number of steps done and their total.

    Raises:
        MafdnError: A network cannot be opened or run.
    """
    on_stage = on_progress or ignore
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    rows: list[Row] = []
    ceilings: list[Ceiling] = []
    digests: dict[str, str] = {}
    layers: dict[str, list[Layer]] = {}
    for scale, path in networks.items():
        size = (output_size[0] // scale, output_size[1] // scale)
        own = (names or {}).get(scale, OURS)
        cases = network_cases(path, name=own, threads=threads)
        cases += [
            case
            for name, peer in (peers or {}).get(scale, {}).items()
            for case in peer_cases(f"{name}, peer" if name == own else name, peer, threads=threads)
        ]
        digests |= {case.path.name: sha256(case.path) for case in cases if case.path.is_file()}
        session = _Session(
            scale=scale,
            size=size,
            networks=cases,
            ceilings=_convolution_cases(cases, size, ceiling_sizes, plain_width),
            rounds=rounds,
            threads=threads,
        )
        measured = session.measure(partial(on_stage, f"timing x{scale}"))
        rows += measured[0]
        ceilings += measured[1]
        if profile:
            precisions = dict.fromkeys(
                case.options.precision for case in cases if case.name == own and case.options.engine == "openvino"
            )
            for number, precision in enumerate(precisions, 1):
                file = int8_file(path) if precision == INT8 else path
                layers[precision] = profile_layers(file, size, precision=precision, threads=threads, rounds=rounds)
                on_stage(f"layers x{scale}", number, len(precisions))
    return Throughput(
        rows=rows,
        ceilings=ceilings,
        layers=layers,
        networks=digests,
        rounds=rounds,
        threads=threads,
        load=load,
        machine=machine(),
        versions={"mafdn": __version__} | {name: v for name in VERSIONED if (v := installed_version(name))},
    )


def _convolution_cases(
    cases: Sequence[NetworkCase], size: Size, ceiling_sizes: Sequence[Size], plain_width: int
) -> list[ConvolutionCase]:
    """The convolutions that `cases` are compared with, in OpenVINO on the CPU."""
    widths = sorted({plain_width, *(convolutions(case.path, size).width for case in cases)})
    on_cpu = [case.options for case in cases if case.options.engine == "openvino" and case.options.device == "cpu"]
    return [
        ConvolutionCase(precision=precision, width=width, size=ceiling_size)
        for precision in dict.fromkeys(options.precision for options in on_cpu)
        for width in widths
        for ceiling_size in ceiling_sizes
    ]


@dataclass(frozen=True, kw_only=True)
class _Session:
    """All jobs that take turns at one scale."""

    scale: int
    size: Size
    """Size of the input."""
    networks: Sequence[NetworkCase]
    ceilings: Sequence[ConvolutionCase]
    rounds: int
    threads: int | None

    @property
    def megapixels(self) -> float:
        """Megapixels of the result."""
        return self.size[0] * self.size[1] * self.scale**2 / 1e6

    def measure(self, on_progress: Callable[[int, int], None]) -> tuple[list[Row], list[Ceiling]]:
        resizes = [ResizeCase(name=name) for name in RESIZES]
        jobs: dict[NetworkCase | ResizeCase | ConvolutionCase, Job] = {}
        jobs |= {case: case.job(self.size) for case in self.networks}
        jobs |= {case: case.job(self.size, self.scale) for case in resizes}
        jobs |= {case: case.job(self.threads) for case in self.ceilings}
        found = measure_in_turns(jobs, rounds=self.rounds, on_progress=on_progress)
        groups: dict[tuple[str, int], list[ConvolutionCase]] = {}
        for case in self.ceilings:
            groups.setdefault((case.precision, case.width), []).append(case)
        ceilings = [self._ceiling({case: found[case] for case in group}) for group in groups.values()]
        rows = [self._network_row(case, found[case], ceilings) for case in self.networks]
        return rows + [self._resize_row(case, found[case]) for case in resizes], ceilings

    def _network_row(self, case: NetworkCase, latency: Latency, ceilings: Sequence[Ceiling]) -> Row:
        cost: Convolutions = convolutions(case.path, self.size)
        gmacs = cost.macs / latency.least / 1e9
        precision = case.options.precision
        top = next((c.gmacs for c in ceilings if (c.precision, c.width) == (precision, cost.width)), None)
        return Row(
            name=case.name,
            scale=self.scale,
            device=case.options.device,
            precision=precision,
            latency=latency,
            megapixels=self.megapixels / latency.median,
            macs=cost.macs,
            gmacs=gmacs,
            share=gmacs / top if top and case.options.device == "cpu" else None,
        )

    def _resize_row(self, case: ResizeCase, latency: Latency) -> Row:
        return Row(
            name=case.name,
            scale=self.scale,
            device="cpu",
            precision="uint8",
            latency=latency,
            megapixels=self.megapixels / latency.median,
            macs=None,
            gmacs=None,
            share=None,
        )

    def _ceiling(self, found: Mapping[ConvolutionCase, Latency]) -> Ceiling:
        """The best rate over all sizes of one precision and width."""
        rates = {case: ceiling_macs(case.width, case.size) / found[case].least / 1e9 for case in found}
        best = max(rates, key=rates.__getitem__)
        return Ceiling(
            scale=self.scale,
            precision=best.precision,
            width=best.width,
            size=(best.size[1], best.size[0]),
            gmacs=rates[best],
            engine=found[best].engine,
        )
