"""How fast the network runs here: by every engine and precision, beside what the machine could do, in turns.

Public names: :func:`measure_throughput`, :class:`Throughput`, :class:`Row`, :class:`Ceiling`, :class:`Goal`,
:func:`goals`.

A ceiling is the best rate found for nothing but large 3x3 convolutions of one width in OpenVINO: no network made of
such convolutions can be faster in it. Ceilings take turns with the networks they are compared with.
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
from mafdn.bench.cases import OURS, RESIZES, Way, open_plain, ways_of
from mafdn.bench.convolutions import Convolutions, Layer, ceiling_macs, convolutions, profile_layers
from mafdn.bench.timing import Job, Latency, measure_in_turns, upscaling
from mafdn.errors import UsageError
from mafdn.inference import EngineOptions, open_engine, preferred_engine
from mafdn.inference.engines import ENGINES
from mafdn.inference.engines.base import FP32, INT8
from mafdn.inference.engines.model_files import int8_file
from mafdn.weights.shipped import shipped, shipped_scales

OUTPUT = (720, 1280)
"""Height and width of the result; those of the picture are it divided by the scale, rounded down."""
CEILING_SIZES = ((128, 256), (180, 320))
"""Heights and widths of the convolutions whose best rate is the ceiling."""
PLAIN_WIDTH = 64
"""A width that vectors fit, given beside the network's own."""
VERSIONED = (*ENGINES, "torch", "numpy", "pyvips")
FASTER_THAN_TORCH, INT8_FASTER, SHARE_OF_CEILING = 2.2, 2.0, 0.7
"""What is aimed at for a network at fp32, at int8, and at fp32."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to a result of 1280x720: a network in an engine, or a resize, which has no multiply-adds."""

    name: str
    scale: int
    device: str
    precision: str
    latency: Latency
    megapixels: float
    """Of the result, a second."""
    macs: int | None
    gmacs: float | None
    """Billions of multiply-adds a second, in convolutions, in the fastest run."""
    share: float | None
    """What that is of the ceiling of its precision and width."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The best rate of 3x3 convolutions of one ``width``, in billions of multiply-adds a second."""

    scale: int
    """Of the networks it took turns with."""
    precision: str
    width: int
    size: tuple[int, int]
    """Width and height at which it was reached."""
    gmacs: float
    """In the fastest run."""
    engine: str


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is aimed at, and what was measured."""

    what: str
    scale: int
    target: float
    measured: float
    reached: bool


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Everything that :func:`measure_throughput` measured, and on what."""

    rows: list[Row]
    ceilings: list[Ceiling]
    goals: list[Goal]
    layers: dict[str, list[Layer]]
    """By precision, where a profile was asked for; of the last scale."""
    networks: dict[str, str]
    """The SHA-256 of every file."""
    rounds: int
    threads: int | None
    """Asked for; ``None`` for all cores."""
    load: float | None
    """Processes that wanted to run in the minute before; ``None`` where the system does not tell."""
    machine: Machine
    versions: dict[str, str]


def measure_throughput(
    network: Path | None = None,
    *,
    scales: Sequence[int] = (),
    peers: Mapping[int, Mapping[str, Path]] | None = None,
    rounds: int = 9,
    threads: int | None = None,
    profile: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Throughput:
    """Time ``network``, or what ships at ``scales`` (all that ship when empty), in every engine and precision it has.

    ``peers`` are the ONNX files of other networks by scale and name, timed in the preferred engine. With ``profile``
    the time of every kind of layer is told too. ``on_progress(what, done, total)`` tells of each stage. Raises what
    :func:`mafdn.inference.open_engine` raises.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    tell = on_progress or ignore
    if network:
        files = {open_engine(network, EngineOptions(engine=preferred_engine(), device="cpu")).scale: network}
        if scales and list(scales) != list(files):
            raise UsageError(f"{network} upscales by {next(iter(files))}, not {', '.join(map(str, scales))}")
    else:
        files = {scale: shipped(scale, ".onnx") for scale in scales or shipped_scales()}
    rows: list[Row] = []
    ceilings: list[Ceiling] = []
    digests: dict[str, str] = {}
    layers: dict[str, list[Layer]] = {}
    for scale, path in files.items():
        ways = ways_of(path) + [
            Way(name=name, path=peer, engine=preferred_engine(), device="cpu", precision=FP32)
            for name, peer in (peers or {}).get(scale, {}).items()
        ]
        digests |= {way.path.name: sha256(way.path) for way in ways if way.path.is_file()}
        mine, tops = _measure(ways, scale, rounds, threads, lambda d, t, s=scale: tell(f"timing x{s}", d, t))
        rows += mine
        ceilings += tops
        if profile:
            done = dict.fromkeys(way.precision for way in ways if way.name == OURS and way.engine == "openvino")
            for number, precision in enumerate(done, 1):
                of = int8_file(path) if precision == INT8 else path
                layers[precision] = profile_layers(
                    of, _input(scale), precision=precision, threads=threads, rounds=rounds
                )
                tell(f"layers x{scale}", number, len(done))
    return Throughput(
        rows=rows,
        ceilings=ceilings,
        goals=goals(rows),
        layers=layers,
        networks=digests,
        rounds=rounds,
        threads=threads,
        load=load,
        machine=machine(),
        versions={"mafdn": __version__} | {name: v for name in VERSIONED if (v := installed_version(name))},
    )


def goals(rows: Sequence[Row]) -> list[Goal]:
    """What is aimed at and can be told from ``rows``, scale by scale; by the fastest run of each."""
    found: list[Goal] = []
    for scale in dict.fromkeys(row.scale for row in rows):
        times = {
            (row.latency.engine.partition(" ")[0], row.precision): row
            for row in rows
            if row.name == OURS and row.scale == scale and row.device == "cpu"
        }
        plain, eager = times.get(("openvino", FP32)), times.get(("torch", FP32))
        small = times.get(("openvino", INT8))
        least = plain.latency.least if plain else 0.0
        told: list[tuple[str, float, float]] = []
        if plain and eager:
            told.append(("fp32, times as fast as torch", FASTER_THAN_TORCH, eager.latency.least / least))
        if plain and small:
            told.append(("int8, times as fast as fp32", INT8_FASTER, least / small.latency.least))
        if plain and plain.share:
            told.append(("fp32, share of the ceiling", SHARE_OF_CEILING, plain.share))
        found += [
            Goal(what=what, scale=scale, target=target, measured=measured, reached=measured >= target)
            for what, target, measured in told
        ]
    return found


def _measure(
    ways: Sequence[Way], scale: int, rounds: int, threads: int | None, tick: Callable[[int, int], None]
) -> tuple[list[Row], list[Ceiling]]:
    """All ``ways``, the resizes and the ceilings they are compared with, in turns."""
    size = _input(scale)
    costs = {way.path: convolutions(way.path, size) for way in ways}
    jobs = {
        f"way {number}": upscaling(
            way.path, size=size, engine=way.engine, device=way.device, threads=threads, precision=way.precision
        )
        for number, way in enumerate(ways)
    }
    jobs |= {name: Job(name=name, open=partial(opener, size, scale)) for name, opener in RESIZES.items()}
    tops: dict[str, tuple[str, int, tuple[int, int]]] = {}
    widths = sorted({PLAIN_WIDTH, *(cost.width for cost in costs.values())})
    for precision in dict.fromkeys(way.precision for way in ways if way.engine == "openvino" and way.device == "cpu"):
        for width in widths:
            for top_size in CEILING_SIZES:
                name = f"ceiling {precision} {width} {top_size}"
                tops[name] = (precision, width, top_size)
                jobs[name] = Job(name=name, open=partial(open_plain, width, top_size, precision, threads))
    found = measure_in_turns(jobs, rounds=rounds, on_progress=tick)
    ceilings = [_ceiling(found, tops, scale, p, w) for p, w in dict.fromkeys((p, w) for p, w, _ in tops.values())]
    rows = [_row(way, scale, found[f"way {n}"], costs[way.path], ceilings) for n, way in enumerate(ways)]
    rows += [
        Row(
            name=name,
            scale=scale,
            device="cpu",
            precision="uint8",
            latency=found[name],
            megapixels=_megapixels(scale) / found[name].median,
            macs=None,
            gmacs=None,
            share=None,
        )
        for name in RESIZES
    ]
    return rows, ceilings


def _row(way: Way, scale: int, latency: Latency, cost: Convolutions, ceilings: Sequence[Ceiling]) -> Row:
    gmacs = cost.macs / latency.least / 1e9
    top = next((c.gmacs for c in ceilings if (c.precision, c.width) == (way.precision, cost.width)), None)
    return Row(
        name=way.name,
        scale=scale,
        device=way.device,
        precision=way.precision,
        latency=latency,
        megapixels=_megapixels(scale) / latency.median,
        macs=cost.macs,
        gmacs=gmacs,
        share=gmacs / top if top and way.device == "cpu" else None,
    )


def _ceiling(
    found: Mapping[str, Latency],
    tops: Mapping[str, tuple[str, int, tuple[int, int]]],
    scale: int,
    precision: str,
    width: int,
) -> Ceiling:
    """The best over all sizes."""
    rates = {
        name: ceiling_macs(width, size) / found[name].least / 1e9
        for name, (p, w, size) in tops.items()
        if (p, w) == (precision, width)
    }
    best = max(rates, key=lambda name: rates[name])
    return Ceiling(
        scale=scale,
        precision=precision,
        width=width,
        size=(tops[best][2][1], tops[best][2][0]),
        gmacs=rates[best],
        engine=found[best].engine,
    )


def _input(scale: int) -> tuple[int, int]:
    return OUTPUT[0] // scale, OUTPUT[1] // scale


def _megapixels(scale: int) -> float:
    height, width = _input(scale)
    return height * width * scale**2 / 1e6
