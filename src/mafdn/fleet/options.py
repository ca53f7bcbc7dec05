"""The options and the outcome of a run over a fleet."""

import base64
import pickle
from dataclasses import asdict, dataclass, field
from typing import Any

from mafdn._support.validate import as_whole
from mafdn.errors import UsageError
from mafdn.inference import EngineOptions
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.shards import Shard, as_shard
from mafdn.upscaling.size import Size

MOST_WORKERS = 100_000
"""Most workers of a run."""
NEEDS_CONTENT = frozenset({"width", "height"})
"""Fields of a pattern that only the content of a picture tells, which is not read before it is its turn."""


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """How a fleet works; `UpscaleOptions` says how pictures are upscaled.

    Args:
        pattern: Pattern for the names of results: as for folders, but without `{width}` and `{height}`.
        redo: Whether to re-create results that are already up to date.
        retry: Whether to try pictures again that failed in an earlier run with the same settings.
        workers: Number of processes that upscale (default: as many as the cores of all machines allow).
        address: Address of a Ray cluster, `auto` for the running one, or `local` to start one on this machine (default:
            that of `RAY_ADDRESS`, else `local`).
        memory_mb: Memory that each worker reserves, in millions of bytes, so that no machine gets more than it has.
        shard: Only this share of the pictures.

    Raises:
        UsageError: For a value of the wrong type or out of range.
    """

    pattern: Pattern | None = None
    redo: bool = False
    retry: bool = False
    workers: int | None = None
    address: str | None = None
    memory_mb: int | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.pattern is not None and NEEDS_CONTENT & self.pattern.fields:
            raise UsageError("a fleet names results before pictures are read: pattern must not use {width} or {height}")
        if self.workers is not None:
            object.__setattr__(self, "workers", as_whole("workers", self.workers, least=1, most=MOST_WORKERS))
        if self.memory_mb is not None:
            object.__setattr__(self, "memory_mb", as_whole("memory_mb", self.memory_mb, least=1))
        if self.shard is not None:
            object.__setattr__(self, "shard", as_shard(self.shard))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every worker needs to know.

    Args:
        source: URL of the source; names of pictures are relative to it unless they are URLs.
        target: URL of the folder of results.
        network: The network, as `mafdn upscale --network`.
        network_file: Its content if it is a file, which other machines do not have.
        engine: Engine, device, precision and threads.
        options: How pictures are upscaled.
        size: Size of the results.
        name: A name with the ending of the results; `None` if each picture decides.
        run: Name of the run.
        version: Version of this package on the driver.
        hard_seconds: Time after which a process that works on one picture is ended; `None` for never.
    """

    source: str | None
    target: str
    network: str
    network_file: bytes | None
    engine: EngineOptions
    options: UpscaleOptions
    size: Size
    name: str | None
    run: str
    version: str
    hard_seconds: float | None

    def as_text(self) -> str:
        """Return everything in one line of text, for `Setup.from_text` of the same version in another process."""
        return base64.b64encode(pickle.dumps(self)).decode()

    @classmethod
    def from_text(cls, text: str) -> "Setup":
        """Return what `as_text` made; only for a text from a process of this package."""
        value = pickle.loads(base64.b64decode(text))
        assert isinstance(value, Setup)
        return value


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """The outcome of a run over a fleet.

    Attributes:
        source: The source, as given.
        target: The folder of the results, as given.
        counts: Pictures by status: `done`, `kept`, `failed`, and `left` if the run ended early.
        seconds: Time for the whole run.
        network_seconds: Time that all workers spent in the network.
        pixels: Pixels of the pictures that were upscaled.
        new_pixels: Pixels of their results.
        stopped: Why the run ended before the last picture; `None` if it did not.
        failures: Names and reasons of the first failures.
        not_pictures: Files that do not have the name of a picture.
        other_shards: Pictures that belong to other shards.
        results: Where the table of results is.
        workers: Processes that upscaled pictures.
        settings: The options of the run.
    """

    source: str
    target: str
    counts: dict[str, int]
    seconds: float
    network_seconds: float = 0.0
    pixels: int = 0
    new_pixels: int = 0
    stopped: str | None = None
    failures: tuple[tuple[str, str], ...] = ()
    not_pictures: int = 0
    other_shards: int = 0
    results: str = ""
    workers: int = 0
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def hours_per_million(self) -> float | None:
        """Hours that a million such pictures take on these machines; `None` if none was upscaled."""
        done = self.counts["done"]
        return self.seconds * 1e6 / done / 3600 if done else None

    def for_programs(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON."""
        return asdict(self)
