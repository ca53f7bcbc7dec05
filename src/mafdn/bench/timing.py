"""Time and memory of networks, or of any work, measured in turns.

Every job runs in its own process, so that its memory can be measured separately: each process holds Python, this
package, an engine and one network. The processes take turns, one picture at a time, so that other load on the machine
affects all of them alike.
"""

import contextlib
import signal
import statistics
import threading
import time
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mafdn._support.machine import peak_mib
from mafdn._support.memory import is_out_of_memory
from mafdn._support.text import first_line
from mafdn.errors import MafdnError, OutOfMemoryError
from mafdn.evaluation.methods import WHOLE_TILE
from mafdn.inference import EngineOptions, open_engine, upscale
from mafdn.inference.options import EXACT
from mafdn.pixels import imresize

SECONDS_TO_START = 300.0
"""Time limit for opening a job, and for one run of it."""
TIMING_ADVICE = "use fewer threads, or time fewer networks (mafdn compare times none with 0 rounds)"
"""What to do when memory runs out."""

Work = Callable[[], object]
"""One run of a job."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work to be timed."""

    name: str
    """Name for messages."""
    open: Callable[[], tuple[str, Work]]
    """Called in the job's own process; returns the name of the engine, and the work. A module-level function or a
    partial of one, so that it can be sent to the process."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of one run: for a network, from an 8-bit picture in memory to its upscaled 8-bit result."""

    runs: int
    median: float
    low: float
    """Lower quartile."""
    high: float
    """Upper quartile."""
    least: float
    """The fastest run, which other load affected least."""
    peak_mib: float | None
    """Peak memory of the whole process: Python, engine, network and picture."""
    engine: str


def measure_latency(
    files: Mapping[str, Path],
    *,
    size: tuple[int, int],
    options: EngineOptions | None = None,
    rounds: int = 9,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time networks on one picture.

    Args:
        files: ONNX files by name.
        size: Height and width of the picture.
        options: The engine; default `EXACT`.
        rounds: Timed runs of each network, after a first run to warm up.
        on_progress: Called with the number of runs done and their total.

    Raises:
        MafdnError: A network cannot be opened or run, or its process ends early.
    """
    jobs = {name: upscaling_job(path, size=size, options=options) for name, path in files.items()}
    return measure_in_turns(jobs, rounds=rounds, on_progress=on_progress)


def upscaling_job(path: Path, *, size: tuple[int, int], options: EngineOptions | None = None) -> Job:
    """A job that upscales a picture of `size` (height, width), whole, by the network in `path`."""
    return Job(name=str(path), open=partial(_open_network, path, size, options or EXACT))


def measure_in_turns(
    jobs: Mapping[Key, Job], *, rounds: int = 9, on_progress: Callable[[int, int], None] | None = None
) -> dict[Key, Latency]:
    """Time all `jobs`, `rounds` times each after a first run to warm up.

    Raises:
        MafdnError: A job cannot be opened or run, or its process ends early.
    """
    if not jobs:
        return {}
    times: dict[Key, list[float]] = {key: [] for key in jobs}
    answers: dict[Key, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        workers = {key: stack.enter_context(_worker(job)) for key, job in jobs.items()}
        keys = list(jobs)
        for number in range(rounds + 1):
            for position in range(len(keys)):
                key = keys[(number + position) % len(keys)]  # a different one starts each round
                answers[key] = _ask(workers[key], jobs[key])
                if number:  # the first run compiles and allocates
                    times[key].append(answers[key]["seconds"])
                if on_progress:
                    on_progress(number * len(keys) + position + 1, (rounds + 1) * len(keys))
    return {
        key: Latency(
            runs=rounds,
            median=statistics.median(mine),
            low=float(np.quantile(mine, 0.25)),
            high=float(np.quantile(mine, 0.75)),
            least=min(mine),
            peak_mib=answers[key]["peak_mib"],
            engine=answers[key]["engine"],
        )
        for key, mine in times.items()
    }


@contextlib.contextmanager
def _worker(job: Job) -> Generator[Connection]:
    """A process that has opened `job`; yields the connection to it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, job), daemon=True)
    with _ignoring_interrupts():  # Ctrl-C is handled by the parent, which ends its workers
        process.start()
    there.close()
    try:
        _answer(here, job)
        yield here
    finally:
        here.close()
        process.kill()
        process.join()


@contextlib.contextmanager
def _ignoring_interrupts() -> Generator[None]:
    """Processes started in this context ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _serve(connection: Connection, job: Job) -> None:
    """The worker: open the job, then run it on every request and reply with its time."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is finished
        try:
            engine, work = job.open()
            connection.send({})
            while True:
                connection.recv()
                began = time.perf_counter()
                work()
                seconds = time.perf_counter() - began
                connection.send({"seconds": seconds, "peak_mib": peak_mib(), "engine": engine})
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except MafdnError as error:
            connection.send(error)
        except Exception as error:  # engines raise errors of many kinds, for a picture of the wrong size for instance
            if is_out_of_memory(error):
                connection.send(OutOfMemoryError(f"out of memory while timing {job.name}; {TIMING_ADVICE}"))
                return
            reason = first_line(error)
            connection.send(MafdnError(f"{job.name} cannot be timed: {reason}"))


def _open_network(path: Path, size: tuple[int, int], options: EngineOptions) -> tuple[str, Work]:
    engine = open_engine(path, options)
    return f"{engine.name} {engine.version}", partial(upscale, engine, soft_picture(*size), tile=WHOLE_TILE)


def _ask(worker: Connection, job: Job) -> dict[str, Any]:
    try:
        worker.send(None)
    except OSError:
        raise _worker_lost(job) from None
    return _answer(worker, job)


def _answer(worker: Connection, job: Job) -> dict[str, Any]:
    try:
        if not worker.poll(SECONDS_TO_START):
            raise MafdnError(f"{job.name} did not answer within {SECONDS_TO_START:.0f} s while being timed")
        answer = worker.recv()
    except (EOFError, OSError):
        raise _worker_lost(job) from None
    if isinstance(answer, MafdnError):
        raise answer
    return answer


def _worker_lost(job: Job) -> MafdnError:
    return MafdnError(f"the process that timed {job.name} ended unexpectedly, perhaps out of memory; {TIMING_ADVICE}")


def soft_picture(height: int, width: int) -> NDArray[np.uint8]:
    """A picture (height, width, 3) of soft spots; noise makes one peer overflow, which changes its time."""
    rng = np.random.default_rng(0)
    spots = imresize(rng.random((-(-height // 16), -(-width // 16), 3)), shape=(height, width))
    return (255 * spots.clip(0, 1)).round().astype(np.uint8)
