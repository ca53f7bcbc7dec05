"""The driver of a fleet: decides, hands out, records."""

import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mafdn._support.atomic import printable
from mafdn._support.progress import ignore
from mafdn._version import __version__
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.fleet.cluster import Cluster, open_cluster
from mafdn.fleet.options import FleetOptions, FleetReport, Setup
from mafdn.fleet.plan import Planner, default_pattern
from mafdn.fleet.sources import Source
from mafdn.fleet.state import RESULTS, FleetLock, Known, Recorder, remove_plans, run_name, write_plan
from mafdn.fleet.storage import Store, is_inside
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.inference import EngineOptions
from mafdn.upscaling.arguments import network_set
from mafdn.upscaling.folder.manifest import RESULT_VERSION
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from mafdn.weights.header import SCALES
from mafdn.weights.resolve import resolve

WINDOW = 50_000
"""Pictures that are planned, and in Ray, at a time: what memory and plans grow with, whatever the number of all."""
FAULTS_IN_A_ROW = 20
"""Failures of stores or machines, with no success in between, after which a run ends: all others would fail too."""
MOST_FAILURES = 1_000
"""Failures that a report lists; the table of results has all."""
GRACE_SECONDS = 60.0
"""Time beyond the limit of a picture after which its process is ended."""
DEFAULT_SECONDS = 3_600.0
"""Time limit of a picture where none is given: nobody watches a fleet."""


@dataclass(frozen=True, kw_only=True)
class FleetProgress:
    """The progress of a run.

    Attributes:
        done: Pictures that were upscaled, kept or failed.
        planned: Pictures found so far.
        failed: Pictures that failed.
        complete: Whether all pictures of the source have been found.
    """

    done: int
    planned: int
    failed: int
    complete: bool


class FleetStopped(KeyboardInterrupt):
    """Ctrl-C during a run over a fleet.

    Attributes:
        report: The outcome so far.
    """

    def __init__(self, report: FleetReport) -> None:
        super().__init__("stopped")
        self.report = report


def run_fleet(
    source: str,
    target: str,
    *,
    network: str = "auto",
    engine: EngineOptions | None = None,
    options: UpscaleOptions | None = None,
    fleet: FleetOptions | None = None,
    on_progress: Callable[[FleetProgress], None] = ignore,
    upscale: "Callable[[Cluster, list[Row], Setup], Iterator[Table]] | None" = None,
    window: int = WINDOW,
) -> FleetReport:
    """Upscale all pictures of a folder, bucket or list on one or many machines.

    What is up to date is kept, and a picture that fails is a row of the table of results, in the folder
    `.mafdn-fleet/results` of the target. The same call again makes what is missing or has changed.

    Args:
        source: A folder, or a URL of fsspec such as `s3://bucket/folder`, with all folders in it; or a list: a Parquet
            file with the column `uri`, and optionally `name`, `size` and `mark`, or a text file with one URI a line.
        target: Folder or URL for the results.
        network: As `mafdn.upscale_file`.
        engine: Engine, device, precision, and threads of each worker (default: one).
        options: How pictures are upscaled; without a time limit, one of an hour holds.
        fleet: Names, workers and cluster.
        on_progress: Called now and then.
        upscale: What replaces Ray and its workers, for measurements.
        window: How many pictures are planned at a time.

    Raises:
        FleetStopped: On Ctrl-C; a `KeyboardInterrupt` that holds the report so far.
        PictureError: If there is no picture.
        UsageError: For an unknown scheme, a missing source, a target inside the source, or options that contradict.
        MissingPackageError: A scheme needs another package.
        MafdnError: The source or target cannot be used, or another run is working on the target.
    """
    began = time.monotonic()
    engine, options, fleet = engine or EngineOptions(), options or UpscaleOptions(), fleet or FleetOptions()
    engine = replace(engine, threads=engine.threads or 1)
    if options.limits.seconds is None:
        options = replace(options, limits=replace(options.limits, seconds=DEFAULT_SECONDS))
    networks = network_set(network, engine)
    size = options.effective_size(networks.default_scale)
    pattern = fleet.pattern or default_pattern(size)
    pattern.check_size(size)
    place, pictures = Store(target), Source(source)
    if pictures.store is not None and is_inside(place, pictures.store):
        raise UsageError(
            f"{printable(target)} is inside the source: results would be pictures of it; use another folder"
        )
    share = "" if fleet.shard is None else f"{fleet.shard.number}-of-{fleet.shard.count}"
    name = run_name() + (f"-{share}" if share else "")
    setup = Setup(
        source=None if pictures.store is None else pictures.store.url,
        target=place.url,
        network=network,
        network_file=_content(network),
        engine=engine,
        options=options,
        size=size,
        name=None if pattern.format_for(None) is None else pattern.text,
        run=name,
        version=__version__,
        hard_seconds=(options.limits.seconds or 0) + GRACE_SECONDS,
    )
    run = _Run(setup, fleet, place, on_progress)
    with FleetLock(place, name, share) as lock, ExitStack() as stack:
        settings = _settings_digest(networks, options, setup)
        planner = Planner(pictures, place, Known.read(place), options, fleet, size=size, settings=settings)
        opened: list[Cluster] = []

        def on_ray(tasks: list[Row]) -> Iterator[Table]:
            if upscale is not None:
                return upscale(Cluster(None), tasks, setup)
            if not opened:
                opened.append(stack.enter_context(open_cluster(fleet)))
                run.forget = opened[0].forget
                run.workers = opened[0].workers(fleet, engine.threads or 1)
            return opened[0].upscale(tasks, setup, fleet)

        try:
            run.work(planner, on_ray, lock, window)
            if run.stopped is None and not share:
                remove_plans(place)
        except KeyboardInterrupt:
            stopped = run.save_after("stopped by hand")
            raise FleetStopped(run.report(source, target, began, planner, pictures, stopped)) from None
        except MafdnError as error:
            run.stopped = run.save_after(str(error))
    if run.stopped is None and not run.planned and not planner.other_shards:
        others = f" ({pictures.not_pictures:,} other files)" if pictures.not_pictures else ""
        raise PictureError(f"no pictures in {printable(source)}{others}")
    return run.report(source, target, began, planner, pictures, run.stopped)


class _Run:
    """The pictures of a run as they are done."""

    def __init__(
        self, setup: Setup, fleet: FleetOptions, target: Store, on_progress: Callable[[FleetProgress], None]
    ) -> None:
        self.setup, self.fleet, self.target = setup, fleet, target
        self.counts: Counter[str] = Counter()
        self.failures: list[tuple[str, str]] = []
        self.stopped: str | None = None
        self.workers = 0
        self.forget: Callable[[list[str]], None] = ignore
        self._network_seconds, self._pixels, self._new_pixels = 0.0, 0, 0
        self._recorder = Recorder(target, setup.run)
        self._on_progress = on_progress
        self.planned, self._complete, self._faults = 0, False, 0

    def work(
        self, planner: Planner, upscale: Callable[[list[Row]], Iterator[Table]], lock: FleetLock, window: int
    ) -> None:
        """Decide about all pictures, and upscale them window by window; raises `MafdnError`."""
        todo: Iterator[Row] = self._todo(planner)
        for number in itertools.count():
            tasks = list(itertools.islice(todo, window))
            self._complete = len(tasks) < window
            if not tasks:
                break
            self.counts["left"] += len(tasks)
            plan = write_plan(self.target, self.setup.run, number, tasks)
            for rows in upscale(tasks):
                self._received(rows)
                if lock.lost is not None:
                    self.stopped = lock.lost
                if self.stopped is not None:
                    self.stopped = self.save_after(self.stopped)
                    return
            self._recorder.join()
            self.forget([task["name"] for task in tasks])
            self.target.remove(plan)
        self._recorder.join()

    def save_after(self, reason: str) -> str:
        """Record what is known at an early end; returns its reason, and why this is not recorded if it cannot be."""
        try:
            self._recorder.flush()
        except MafdnError as error:
            return reason if str(error) == reason else f"{reason}; the last results are not recorded: {error}"
        return reason

    def report(
        self, source: str, target: str, began: float, planner: Planner, pictures: Source, stopped: str | None
    ) -> FleetReport:
        """Return the outcome."""
        return FleetReport(
            source=source,
            target=target,
            counts={name: self.counts[name] for name in ("done", "kept", "failed", "left")},
            seconds=time.monotonic() - began,
            network_seconds=self._network_seconds,
            pixels=self._pixels,
            new_pixels=self._new_pixels,
            stopped=stopped,
            failures=tuple(self.failures),
            not_pictures=pictures.not_pictures,
            other_shards=planner.other_shards,
            results=self.target.url_of(RESULTS),
            workers=self.workers,
            settings=_settings(self.setup, self.fleet),
        )

    def _todo(self, planner: Planner) -> Iterator[Row]:
        for decision in planner.decisions():
            self.planned += 1
            if decision.status == "todo":
                yield decision.task
            elif decision.status == "kept":
                self.counts["kept"] += 1
            elif decision.status == "earlier":
                self._failed(decision.task["uri"], "failed in an earlier run; use --retry to try it again")
            else:
                self._failed(decision.task["uri"], decision.task["reason"])
                self._recorder.add(as_table([decision.task | {"run": self.setup.run, "fault": True}], RESULT))
            if self.planned % 1000 == 0:
                self._show()

    def _received(self, rows: Table) -> None:
        for row in rows.select(["uri", "status", "reason", "fault"]).to_pylist():
            self.counts["left"] -= 1
            if row["status"] == "failed":
                self._failed(row["uri"], row["reason"])
                self._faults = self._faults + 1 if row["fault"] else 0
                if self._faults >= FAULTS_IN_A_ROW:
                    self.stopped = f"{self._faults} pictures in a row failed alike: {row['reason']}"
            else:
                self.counts["done"] += 1
                self._faults = 0
        self._network_seconds += sum(value or 0.0 for value in rows["network_seconds"].to_pylist())
        self._pixels += _area(rows, "width", "height")
        self._new_pixels += _area(rows, "new_width", "new_height")
        self.forget(self._recorder.add(rows))
        self._show()

    def _failed(self, uri: str, reason: str) -> None:
        self.counts["failed"] += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((uri, reason))

    def _show(self) -> None:
        done = self.counts["done"] + self.counts["kept"] + self.counts["failed"]
        self._on_progress(
            FleetProgress(done=done, planned=self.planned, failed=self.counts["failed"], complete=self._complete)
        )


def _area(rows: Table, width: str, height: str) -> int:
    """Return the pixels of all pictures, by the names of their columns."""
    return sum((w or 0) * (h or 0) for w, h in zip(rows[width].to_pylist(), rows[height].to_pylist(), strict=True))


def _content(network: str) -> bytes | None:
    """Return the content of a network that is a file, `None` for one that is shipped; raises `MafdnError`."""
    source = resolve(network)
    if source.kind == "shipped":
        return None
    path = source.file()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot read {printable(path)}", error) from None


def _settings_digest(networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions, setup: Setup) -> str:
    """Return a digest of everything that results depend on but the pictures."""
    sizes = [setup.size] if setup.size.scale is not None else [Size(scale=scale) for scale in SCALES]
    weights = [networks.digest(size, 1000, 1000, bits=bits) for size in sizes for bits in (8, 16)]
    parts = [RESULT_VERSION, asdict(setup.size), options.strength, asdict(options.output), options.exact, options.frame]
    parts += [f"ensemble {options.ensemble}"] if options.ensemble > 1 else []
    return hashlib.sha256(json.dumps([*parts, *weights, setup.name], sort_keys=True).encode()).hexdigest()


def _settings(setup: Setup, fleet: FleetOptions) -> dict[str, Any]:
    options = setup.options
    return {
        **{name: value for name, value in asdict(setup.size).items() if value is not None},
        "strength": options.strength,
        "ensemble": options.ensemble,
        **asdict(options.output),
        "pattern": (fleet.pattern or default_pattern(setup.size)).text,
        "network": setup.network,
        "threads": setup.engine.threads,
        "redo": fleet.redo,
        "shard": None if fleet.shard is None else str(fleet.shard),
        "run": setup.run,
    }
