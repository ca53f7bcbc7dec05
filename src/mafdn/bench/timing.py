"""Time and memory of networks, or of any work, on this machine, measured in turns.

Public names: :class:`Latency`, :func:`measure_latency`, :class:`Job`, :func:`measure_in_turns`, :func:`upscaling`,
:func:`soft_picture`.

Every network runs in a process of its own, so that its memory can be told: each holds Python, this package, an engine
and one network. The processes take turns, one picture at a time, so that whatever else the machine does falls on all.
"""

import contextlib
import signal
import statistics
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.machine import peak_mib
from mafdn.errors import MafdnError
from mafdn.evaluation.methods import WHOLE
from mafdn.inference import open_engine, upscale
from mafdn.pixels import imresize

SECONDS_TO_START = 300.0


Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work to be timed. ``name`` is for messages; ``open`` is called in the process that does the work.

    It gives what the work is done by, and the work; it must be a function of a module, or a partial of one.
    """

    name: str
    open: Callable[[], tuple[str, Work]]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds from an 8-bit picture in memory to its 8-bit upscaling; ``low`` and ``high`` are the quartiles."""

    runs: int
    median: float
    low: float
    high: float
    least: float
    """Of the fastest run, which other work disturbed the least."""
    peak_mib: float | None
    """Most memory of the whole process: Python, engine, network and picture."""
    engine: str


def measure_latency(
    files: Mapping[str, Path],
    *,
    size: tuple[int, int],
    rounds: int = 9,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time each of the ONNX ``files`` on one picture of ``size`` (height, width), ``rounds`` times after a first run.

    Raises what :func:`mafdn.inference.open_engine` raises, and :class:`MafdnError` when a network does not survive it.
    """
    jobs = {
        name: upscaling(path, size=size, engine=engine, device=device, threads=threads, precision=precision)
        for name, path in files.items()
    }
    return measure_in_turns(jobs, rounds=rounds, on_progress=on_progress)


def upscaling(
    path: Path,
    *,
    size: tuple[int, int],
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
) -> Job:
    """The upscaling of a picture of ``size`` by the network ``path``, whole."""
    return Job(name=str(path), open=partial(_open_network, path, size, engine, device, threads, precision))


def measure_in_turns(
    jobs: Mapping[str, Job], *, rounds: int = 9, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Latency]:
    """Time all ``jobs``, ``rounds`` times each after a first run.

    Raises what a job's ``open`` raises on purpose, and :class:`MafdnError` when one fails or does not survive it.
    """
    if not jobs:
        return {}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    told: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(job)) for name, job in jobs.items()}
        names = list(jobs)
        for number in range(rounds + 1):
            for position in range(len(names)):
                name = names[(number + position) % len(names)]  # nobody is always the first
                told[name] = _ask(workers[name], jobs[name])
                if number:  # the first run compiles and fetches memory
                    times[name].append(told[name]["seconds"])
                if on_progress:
                    on_progress(number * len(names) + position + 1, (rounds + 1) * len(names))
    return {
        name: Latency(
            runs=rounds,
            median=statistics.median(mine),
            low=float(np.quantile(mine, 0.25)),
            high=float(np.quantile(mine, 0.75)),
            least=min(mine),
            peak_mib=told[name]["peak_mib"],
            engine=told[name]["engine"],
        )
        for name, mine in times.items()
    }


@contextlib.contextmanager
def _worker(job: Job) -> Generator[Connection]:
    """The end to talk to of a process that has opened ``job``."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, job), daemon=True)
    with _ignoring_interrupts():  # Ctrl-C is for the parent, which ends its workers
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
    """What is started within never hears of Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _serve(connection: Connection, job: Job) -> None:
    """In a process of its own: open the job, then do it whenever asked and tell the time it took."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the other side has seen enough
        try:
            by, work = job.open()
            connection.send({})
            while True:
                connection.recv()
                began = time.perf_counter()
                work()
                seconds = time.perf_counter() - began
                connection.send({"seconds": seconds, "peak_mib": peak_mib(), "engine": by})
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except MafdnError as error:
            connection.send(error)
        except Exception as error:  # an engine's own, of any kind: a picture that the network cannot take, say
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            connection.send(MafdnError(f"{job.name} cannot be timed: {reason}"))


def _open_network(
    path: Path, size: tuple[int, int], name: str, device: str, threads: int | None, precision: str
) -> tuple[str, Work]:
    engine = open_engine(path, name=name, device=device, threads=threads, precision=precision)
    return f"{engine.name} {engine.version}", partial(upscale, engine, soft_picture(*size), tile=WHOLE)


def _ask(worker: Connection, job: Job) -> dict[str, Any]:
    try:
        worker.send(None)
    except OSError:
        raise _died(job) from None
    return _answer(worker, job)


def _answer(worker: Connection, job: Job) -> dict[str, Any]:
    try:
        if not worker.poll(SECONDS_TO_START):
            raise MafdnError(f"{job.name} gave no answer in {SECONDS_TO_START:.0f} s while it was timed")
        answer = worker.recv()
    except (EOFError, OSError):
        raise _died(job) from None
    if isinstance(answer, MafdnError):
        raise answer
    return answer


def _died(job: Job) -> MafdnError:
    return MafdnError(f"the process that timed {job.name} was ended, perhaps for lack of memory")


def soft_picture(height: int, width: int) -> NDArray[np.uint8]:
    """Soft spots, (height, width, 3): a network's time must not depend on it, but noise makes one peer overflow."""
    rng = np.random.default_rng(0)
    spots = imresize(rng.random((-(-height // 16), -(-width // 16), 3)), shape=(height, width))
    return (255 * spots.clip(0, 1)).round().astype(np.uint8)
