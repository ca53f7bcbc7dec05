"""What the tests of fleets share: pictures, runs without Ray, pictures that end their process, and an S3 server."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

import mafdn
from mafdn.fleet.child import PictureWork
from mafdn.fleet.cluster import Cluster
from mafdn.fleet.options import FleetOptions, FleetReport, Setup
from mafdn.fleet.run import run_fleet
from mafdn.fleet.state import RESULTS, files_in, read_table
from mafdn.fleet.storage import Store
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.fleet.worker import Ledger, Worker
from mafdn.inference import EngineOptions
from mafdn.upscaling.options import UpscaleOptions
from tests.support import contents, draw

ENGINE = EngineOptions(engine="onnxruntime", threads=1)
TRAP = """
import os, signal, sys, time

def trap(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        name = os.path.basename(arguments[0])
        if name.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("worker-poison"):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if name.startswith("slow"):
            time.sleep(600)

sys.addaudithook(trap)
"""
"""A module that Python imports at its start: whoever opens a picture of these names is killed, or waits."""


def make_pictures(folder: Path) -> Path:
    """Make pictures of several formats, one in a subfolder, one damaged, and a text file."""
    for seed, name in enumerate(("a.png", "b.jpg", "deep/er/c.webp", "deep/d.png")):
        draw(folder / name, seed)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "pictures")


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pictures whose names begin with `poison` or `slow` end or hold the process that opens them."""
    folder = tmp_path / "traps"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TRAP)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))


def upscaled(folder: Path, out: Path, **options: Any) -> dict[str, bytes]:
    """What `mafdn upscale` makes of a folder."""
    mafdn.upscale_folder(folder, out, recursive=True, size=2, engine=ENGINE, **options)
    return contents(out)


class Here:
    """Does in this process what a worker has a process of its own for, whose start takes a second."""

    def __init__(self, setup: Setup) -> None:
        self._setup = Setup.from_text(setup.as_text())
        self._work: PictureWork | None = None

    def run(self, task: Row) -> Row:
        """As `PictureProcess.run`."""
        self._work = self._work or PictureWork(self._setup)
        return json.loads(json.dumps(self._work.run(json.loads(json.dumps(task)))))

    def close(self) -> None:
        """As `PictureProcess.close`."""
        if self._work is not None:
            self._work.close()


def in_this_process(
    ledger: Ledger, made: list[str] | None = None, *, process: bool = False
) -> Callable[[Cluster, list[Row], Setup], Iterator[Table]]:
    """Return what takes the place of Ray: one worker, here, and only if asked for with a process of its own."""

    def upscale(_cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        worker = Worker(setup, ledger)
        if not process:
            worker._process = Here(setup)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            for task in tasks:
                row = worker.upscale(task)
                if made is not None:
                    made.append(task["name"])
                yield as_table([row], RESULT)
        finally:
            worker.close()

    return upscale


def run(
    source: object,
    target: object,
    *,
    made: list[str] | None = None,
    fleet: dict[str, Any] | None = None,
    process: bool = False,
    **options: Any,
) -> FleetReport:
    """Run a fleet without Ray at x2; `made` gets the names of the pictures that were worked on.

    With `process`, a process of its own works on them.
    """
    return run_fleet(
        str(source),
        str(target),
        engine=ENGINE,
        options=UpscaleOptions(size=2, **options),
        fleet=FleetOptions(**(fleet or {})),
        upscale=in_this_process(Ledger(), made, process=process),
    )


def rows(target: object) -> dict[str, Row]:
    """The last row of every picture in the table of results, by its name."""
    store = Store(str(target))
    tables = (read_table(store, name) for name in files_in(store, RESULTS))
    return {row["name"]: row for table in tables for row in table.to_pylist()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def s3_server() -> Generator[str]:
    """The URL of an S3 server (that of moto) on this machine, in a process of its own."""
    for _ in range(3):  # another program may take the port before the server does
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if _moto_answers(process, port):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            process.kill()
            process.wait()
    pytest.fail("moto.server does not start")


def _moto_answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait for the server; returns whether it has started."""
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/moto-api/")
            if b"moto" in connection.getresponse().read().lower():
                return True
        except (OSError, HTTPException):  # it does not listen yet, or is another program
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    return False


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use the S3 server, with a new bucket; returns its URL."""
    set_s3(monkeypatch, s3_server)
    import fsspec

    bucket = f"bucket-{time.time_ns()}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}"


def set_s3(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Use an S3 server, here and in processes that are started."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
