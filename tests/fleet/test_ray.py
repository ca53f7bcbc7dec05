"""Fleets on Ray: two nodes on this machine, and what kills their workers, nodes and drivers."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from mafdn.fleet.state import PLANS, RESULTS, files_in
from mafdn.fleet.storage import Store
from tests.conftest import Run
from tests.fleet.conftest import make_pictures, rows, upscaled
from tests.support import contents, draw, files_below

ROOT = Path(__file__).parents[2]
WORKER = "ray::MapWorker"


class Nodes:
    """A cluster of two nodes in a process of its own."""

    def __init__(self, folder: str) -> None:
        path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT / "src"), str(ROOT)]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_local_fs_capacity_threshold": "1",  # other programs may fill the memory and the disk of this machine
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_worker_niceness": "0",
        }
        command = [sys.executable, "-m", "tests.fleet.two_nodes", folder]
        errors = Path(folder) / "errors.txt"
        with errors.open("w") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environment
            )
        self.address = self._line()
        assert self.address, errors.read_text()[-2000:]

    def tell(self, word: str) -> None:
        """Send `kill` or `add`, and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def asked(self, source: Path, target: Path, *more: str) -> list[str]:
        """The words of `mafdn fleet` on these nodes."""
        where = ["fleet", str(source), str(target), "--address", self.address]
        return [*where, "--scale", "2", "--quiet", "--engine", "onnxruntime", *more]

    def driver(self, source: Path, target: Path, *more: str) -> "subprocess.Popen[str]":
        """Start `mafdn fleet`."""
        command = [sys.executable, "-m", "mafdn", *self.asked(source, target, *more)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )

    def run(self, source: Path, target: Path, *more: str) -> tuple[int, str]:
        """Run `mafdn fleet`; returns its exit code and its errors."""
        driver = self.driver(source, target, *more)
        out, errors = driver.communicate(timeout=280)
        assert out == "", "it is quiet"
        return driver.returncode, errors

    def workers(self) -> list[psutil.Process]:
        """The processes of the workers of all nodes."""
        found: list[psutil.Process] = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if (process.cmdline() or [""])[0].startswith(WORKER):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        """End all nodes."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        for child in children:
            if child.is_running():
                child.kill()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes]:
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the names of sockets must be short
    cluster = Nodes(folder)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def check(source: Path, out: Path, right: Path) -> None:
    """Everything is made exactly as `mafdn upscale` makes it, nothing is left over, and the table says so."""
    assert contents(out) == upscaled(source, right)
    assert not files_in(Store(str(out)), PLANS)
    table = rows(out)
    assert {row["target"] for row in table.values() if row["status"] == "done"} == set(contents(out))


@pytest.mark.timeout(900)
def test_two_nodes_make_what_upscale_makes(nodes: Nodes, tmp_path: Path, cli: Run) -> None:
    source = make_pictures(tmp_path / "pictures")
    code, errors = nodes.run(source, tmp_path / "out")
    assert (code, errors) == (1, "mafdn: 1 of 5 pictures failed\n")
    check(source, tmp_path / "out", tmp_path / "right")
    assert cli(*nodes.asked(source, tmp_path / "out")) == (1, "", errors)
    assert len(files_in(Store(str(tmp_path / "out")), RESULTS)) == 1, "the second run had nothing to do"


def album(folder: Path, count: int) -> Path:
    for number in range(count):
        draw(folder / f"part{number % 3}" / f"{number:03d}.png", number, (64, 80))
    return folder


def wait_for(driver: "subprocess.Popen[str]", out: Path, count: int) -> bool:
    """Wait until so many results are made; returns whether the driver is still running."""
    while driver.poll() is None:
        if sum(not path.name.startswith(".") for path in files_below(out)) >= count:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_killed_ten_times(nodes: Nodes, tmp_path: Path) -> None:
    source, out = album(tmp_path / "in", 60), tmp_path / "out"
    driver = nodes.driver(source, out)
    chance, killed = random.Random(0), 0
    while killed < 10 and wait_for(driver, out, 5 * (killed + 1)):
        workers = nodes.workers()
        if workers:
            chance.choice(workers).send_signal(signal.SIGKILL)
            killed += 1
    shown, errors = driver.communicate(timeout=600)
    assert killed == 10
    assert (driver.returncode, shown, errors) == (0, "", "")
    check(source, out, tmp_path / "right")
    assert len(rows(out)) == 60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_and_the_driver_are_killed(nodes: Nodes, tmp_path: Path) -> None:
    source, out = album(tmp_path / "in", 60), tmp_path / "out"
    driver = nodes.driver(source, out)
    assert wait_for(driver, out, 10)
    nodes.tell("kill")
    assert wait_for(driver, out, 30)
    nodes.tell("add")
    assert wait_for(driver, out, 40)
    while driver.poll() is None and not files_in(Store(str(out)), RESULTS):  # they are recorded every few seconds
        time.sleep(0.05)
    driver.kill()
    driver.communicate()
    recorded = {row["target"] for row in rows(out).values() if row["status"] == "done"}
    assert recorded
    before = {name: (out / name).stat().st_mtime_ns for name in contents(out)}
    code, errors = nodes.run(source, out)
    assert (code, errors) == (0, "")
    check(source, out, tmp_path / "right")
    assert all((out / name).stat().st_mtime_ns == before[name] for name in recorded), "made once"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("traps")
def test_pictures_that_end_processes_and_workers_are_named(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 12)
    for name in ("poison.png", "worker-poison.png"):
        draw(source / name, 1)
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    cluster = Nodes(folder)  # with the traps
    try:
        code, errors = cluster.run(source, tmp_path / "out")
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
    assert (code, errors) == (1, "mafdn: 2 of 14 pictures failed\n")
    table = rows(tmp_path / "out")
    assert "given up after 3 tries: it ended its process by SIGKILL" in table["poison.png"]["reason"]
    assert "given up after 3 tries: its worker ended each time" in table["worker-poison.png"]["reason"]
    assert sum(row["status"] == "done" for row in table.values()) == 12
