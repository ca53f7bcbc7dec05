"""Time and memory of networks on this machine, measured in turns.

Public names: :class:`Latency`, :func:`measure_latency`.

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
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import MafdnError
from mafdn.evaluation.networks import WHOLE
from mafdn.inference import open_engine, upscale
from mafdn.machine import peak_mib
from mafdn.pixels import imresize

SECONDS_TO_START = 300.0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds from an 8-bit picture in memory to its 8-bit upscaling; ``low`` and ``high`` are the quartiles."""

    runs: int
    median: float
    low: float
    high: float
    peak_mib: float | None
    """Most memory of the whole process: Python, engine, network and picture."""
    engine: str


def measure_latency(
    files: Mapping[str, Path],
    *,
    size: tuple[int, int],
    rounds: int = 9,
    engine: str = "auto",
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time each of the ONNX ``files`` on one picture of ``size`` (height, width), ``rounds`` times after a first run.

    Raises what :func:`mafdn.inference.open_engine` raises, and :class:`MafdnError` when a network does not survive it.
    """
    if not files:
        return {}
    picture = _picture(*size)
    times: dict[str, list[float]] = {name: [] for name in files}
    told: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(path, engine, threads)) for name, path in files.items()}
        names = list(files)
        for number in range(rounds + 1):
            for position in range(len(names)):
                name = names[(number + position) % len(names)]  # nobody is always the first
                told[name] = _ask(workers[name], picture, files[name])
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
            peak_mib=told[name]["peak_mib"],
            engine=told[name]["engine"],
        )
        for name, mine in times.items()
    }


@contextlib.contextmanager
def _worker(path: Path, engine: str, threads: int | None) -> Generator[Connection]:
    """The end to talk to of a process that has opened ``path``."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, path, engine, threads), daemon=True)
    with _ignoring_interrupts():  # Ctrl-C is for the parent, which ends its workers
        process.start()
    there.close()
    try:
        _answer(here, path)
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


def _serve(connection: Connection, path: Path, engine_name: str, threads: int | None) -> None:
    """In a process of its own: open the network, then upscale what comes and tell the time it took."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the other side has seen enough
        try:
            engine = open_engine(path, name=engine_name, threads=threads)
            connection.send({})
            while True:
                picture = connection.recv()
                began = time.perf_counter()
                upscale(engine, picture, tile=WHOLE)
                seconds = time.perf_counter() - began
                about = f"{engine.name} {engine.version}"
                connection.send({"seconds": seconds, "peak_mib": peak_mib(), "engine": about})
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except MafdnError as error:
            connection.send(error)
        except Exception as error:  # an engine's own, of any kind: a picture that the network cannot take, say
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            connection.send(MafdnError(f"{path} cannot be timed: {reason}"))


def _ask(worker: Connection, picture: NDArray[np.uint8], path: Path) -> dict[str, Any]:
    try:
        worker.send(picture)
    except OSError:
        raise _died(path) from None
    return _answer(worker, path)


def _answer(worker: Connection, path: Path) -> dict[str, Any]:
    try:
        if not worker.poll(SECONDS_TO_START):
            raise MafdnError(f"{path} gave no answer in {SECONDS_TO_START:.0f} s while it was timed")
        answer = worker.recv()
    except (EOFError, OSError):
        raise _died(path) from None
    if isinstance(answer, MafdnError):
        raise answer
    return answer


def _died(path: Path) -> MafdnError:
    return MafdnError(f"the process that timed {path} was ended, perhaps for lack of memory")


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    """Soft spots: a network's time must not depend on it, but noise makes one of the peers overflow."""
    rng = np.random.default_rng(0)
    spots = imresize(rng.random((-(-height // 16), -(-width // 16), 3)), size=(height, width))
    return (255 * spots.clip(0, 1)).round().astype(np.uint8)
