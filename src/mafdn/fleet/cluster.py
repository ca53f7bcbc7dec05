"""Ray: starting or joining it, and running workers over windows of pictures."""

import logging
import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from mafdn._support.machine import usable_cores
from mafdn._support.telemetry import disable_telemetry
from mafdn._support.text import first_line
from mafdn.errors import MafdnError
from mafdn.fleet.options import FleetOptions, Setup
from mafdn.fleet.table import TASK, Row, Table
from mafdn.fleet.worker import Ledger, RayWorker

STORE_BYTES = 256 * 2**20
"""Memory for rows in transit where Ray is started here; pictures never are in it."""
BLOCK_ROWS = 8
"""Pictures that a worker is given at a time."""
AHEAD = 2
"""Groups of pictures that wait at a worker, the current one included."""


class Cluster:
    """A connection to Ray with the ledger of a run.

    Args:
        ledger: The ledger, an actor.
        local: Whether Ray was started for this run, on this machine only.
    """

    def __init__(self, ledger: Any, *, local: bool = True) -> None:
        self._ledger, self._local = ledger, local

    def workers(self, fleet: FleetOptions, threads: int) -> int:
        """Return how many workers of so many threads there are to be."""
        import ray

        return fleet.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)

    def forget(self, names: list[str]) -> None:
        """Let the ledger forget pictures whose rows are safe."""
        self._ledger.forget.remote(names)

    def upscale(
        self, tasks: list[Row], setup: Setup, fleet: FleetOptions, *, rows: int = BLOCK_ROWS
    ) -> Iterator[Table]:
        """Upscale pictures, given as rows of `TASK`, and yield rows of `RESULT` as soon as they are known.

        Args:
            tasks: The pictures.
            setup: How they are upscaled.
            fleet: The number of workers.
            rows: How many pictures a worker is given at a time.

        Raises:
            MafdnError: Ray fails.
        """
        import ray
        from ray.data import ActorPoolStrategy, DataContext
        from ray.exceptions import RayError

        DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are raised
        threads = setup.engine.threads or 1
        blocks = max(1, -(-len(tasks) // rows))
        workers = min(self.workers(fleet, threads), blocks)
        # More workers than cores share those of one machine; in a cluster they wait for more machines.
        cpus = min(float(threads), usable_cores() / workers) if self._local else float(threads)
        pool = ActorPoolStrategy(
            min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=AHEAD
        )
        try:
            pictures = ray.data.from_items([_whole(task) for task in tasks], override_num_blocks=blocks)
            done = pictures.map_batches(
                RayWorker,  # pyright: ignore[reportArgumentType]
                batch_size=None,
                batch_format="pyarrow",
                fn_constructor_args=(setup.as_text(), self._ledger),
                compute=pool,
                num_cpus=cpus,
                memory=None if fleet.memory_mb is None else fleet.memory_mb * 1_000_000,
            )
            yield from done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        except RayError as error:
            first = first_line(error)
            raise MafdnError(f"Ray stopped: {first}") from None


def _whole(task: Row) -> Row:
    return {name: task[name] for name in TASK.names}


@contextmanager
def open_cluster(fleet: FleetOptions) -> Generator[Cluster]:
    """Start Ray on this machine, or join a cluster, for the time of the context.

    Nothing is sent to Ray's makers: their statistics are turned off here, and for clusters where they are started.

    Raises:
        MafdnError: There is no such cluster.
    """
    disable_telemetry()
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    address = fleet.address or os.environ.get("RAY_ADDRESS") or "local"
    local: dict[str, Any] = (
        {"num_cpus": usable_cores(), "object_store_memory": STORE_BYTES, "include_dashboard": False}
        if address == "local"
        else {}
    )
    on_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    joined = ray.is_initialized()
    try:
        if not joined:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **local)
    except Exception as error:  # no common class: ConnectionError, RuntimeError, ValueError ...
        first = first_line(error)
        raise MafdnError(f"cannot use Ray at {address}: {first}") from None
    try:
        if on_main:
            for number, handler in before.items():
                signal.signal(number, handler)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        ledger = ray.remote(Ledger).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
        yield Cluster(ledger.remote(), local=address == "local")
    finally:
        if not joined:
            ray.shutdown()
