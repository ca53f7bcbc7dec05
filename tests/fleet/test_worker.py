"""Workers: pictures that end or hold their process are found, and the others are upscaled."""

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from mafdn.fleet import process as fleet_process
from mafdn.fleet.options import Setup
from mafdn.fleet.process import PictureProcess, ProcessEndedError, TooSlowError
from mafdn.fleet.storage import STATE, StorageError, Store
from mafdn.fleet.table import Row
from mafdn.fleet.worker import MOST_TRIES, Ledger, Worker
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from tests.fleet.conftest import ENGINE
from tests.support import check_loaders_are_blocked, contents, draw


def setup_of(source: Path, target: Path, *, hard_seconds: float = 200.0, version: str | None = None) -> Setup:
    from mafdn import __version__

    return Setup(
        source=str(source),
        target=str(target),
        network="auto",
        network_file=None,
        engine=ENGINE,
        options=UpscaleOptions(size=2),
        size=Size(scale=2),
        name=None,
        run="run",
        version=version or __version__,
        hard_seconds=hard_seconds,
    )


def task(source: Path, name: str) -> Row:
    path = source / name
    size = path.stat().st_size
    values: Row = {"uri": str(path), "name": name, "target": f"{path.stem}_x2{path.suffix}", "source_size": size}
    return values | {"stem": f"{path.stem}_x2", "replaces": None, "source_mark": "1", "reason": "new", "key": 5}


@pytest.mark.usefixtures("traps")
def test_a_picture_that_ends_its_process_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    for seed, name in enumerate(("a.png", "poison.png", "slow.png", "z.png")):
        draw(source / name, seed)
    worker, impatient = (Worker(setup_of(source, target, hard_seconds=s), Ledger()) for s in (200.0, 3.0))
    found = {name: worker.upscale(task(source, name)) for name in ("a.png", "poison.png", "z.png")}
    found["slow.png"] = impatient.upscale(task(source, "slow.png"))
    for each in (worker, impatient):
        each.close()
    assert {name: row["status"] for name, row in found.items()} == {
        "a.png": "done",
        "poison.png": "failed",
        "slow.png": "failed",
        "z.png": "done",
    }
    assert found["poison.png"]["attempts"] == MOST_TRIES
    assert found["poison.png"]["reason"] == (
        f"{source}/poison.png was given up after 3 tries: it ended its process by SIGKILL, as when memory runs out"
    )
    assert found["slow.png"]["reason"] == f"{source}/slow.png took longer than 3 seconds and was ended"
    assert found["slow.png"]["attempts"] == 1
    assert sorted(contents(target)) == ["a_x2.png", "z_x2.png"]
    assert list((target / STATE / "partial").iterdir()) == []


def test_a_process_ends_with_its_worker(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png", 0)
    process = PictureProcess(setup_of(tmp_path / "in", tmp_path / "out"))
    process.run(task(tmp_path / "in", "a.png"))
    number = process.number
    assert number is not None
    os.kill(number, 0)
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    source = tmp_path / "in"
    draw(source / "a.png", 0)
    process = PictureProcess(setup_of(source, tmp_path / "out"))
    first = process.run(task(source, "a.png"))
    assert process.number is not None
    os.kill(process.number, signal.SIGKILL)
    time.sleep(0.5)
    with pytest.raises(ProcessEndedError, match="SIGKILL"):
        process.run(task(source, "a.png"))
    assert process.run(task(source, "a.png"))["sha256"] == first["sha256"]
    process.close()


def test_another_version_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png", 0)
    worker = Worker(setup_of(tmp_path / "in", tmp_path / "out", version="0.0.1"), Ledger())
    row = worker.upscale(task(tmp_path / "in", "a.png"))
    assert (row["status"], row["fault"]) == ("failed", True)
    assert "install the same" in row["reason"]


def test_a_machine_that_starts_no_process_is_a_fault_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    draw(tmp_path / "in" / "a.png", 0)
    monkeypatch.setattr(fleet_process.subprocess, "Popen", full)
    worker = Worker(setup_of(tmp_path / "in", tmp_path / "out"), Ledger())
    row = worker.upscale(task(tmp_path / "in", "a.png"))
    assert (row["status"], row["fault"], row["reason"]) == ("failed", True, "cannot start a process: no memory")


def test_setups_can_be_sent_and_stores_pickled(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, tmp_path)
    assert Setup.from_text(setup.as_text()) == setup
    import pickle

    assert pickle.loads(pickle.dumps(Store(str(tmp_path)))).root == str(tmp_path)


def test_the_ledger_remembers_what_was_done_until_it_is_received() -> None:
    ledger = Ledger()
    assert ledger.begin("a") == (1, None)
    assert ledger.begin("a") == (2, None), "its worker ended"
    ledger.finish("a", {"status": "done"})
    assert ledger.begin("a") == (2, {"status": "done"})
    assert ledger.size() == 1
    ledger.forget(["a", "b"])
    assert ledger.size() == 0
    assert ledger.begin("a") == (1, None)


def test_a_picture_that_ends_its_worker_is_given_up() -> None:
    class NoProcess:
        def run(self, _task: Row) -> Row:
            raise StorageError("not reached")

        def close(self) -> None: ...

    ledger = Ledger()
    for _ in range(MOST_TRIES):  # workers that were killed
        ledger.begin("a.png")
    worker = Worker(setup_of(Path("/in"), Path("/out")), ledger)
    worker._process = NoProcess()  # pyright: ignore[reportAttributeAccessIssue]
    values = {"uri": "/in/a.png", "name": "a.png", "target": "a_x2.png", "source_size": 1, "source_mark": "", "key": 1}
    row = worker.upscale(values)
    assert row["reason"].startswith("/in/a.png was given up after 3 tries: its worker ended each time")
    assert row["fault"] is False


def test_a_picture_that_takes_too_long_is_not_tried_again() -> None:
    class SlowProcess:
        def run(self, _task: Row) -> Row:
            raise TooSlowError("was slow")

        def close(self) -> None: ...

    worker = Worker(setup_of(Path("/in"), Path("/out")), Ledger())
    worker._process = SlowProcess()  # pyright: ignore[reportAttributeAccessIssue]
    values = {"uri": "/in/a.png", "name": "a.png", "target": "a_x2.png", "source_size": 1, "source_mark": "", "key": 1}
    row = worker.upscale(values)
    assert (row["status"], row["attempts"], row["reason"]) == ("failed", 1, "/in/a.png was slow")


def test_other_loaders_are_blocked_where_pictures_are_upscaled(tmp_path: Path) -> None:
    code = "from mafdn.fleet.child import PictureWork, Setup; PictureWork(Setup.from_text(sys.argv[3])).close()"
    check_loaders_are_blocked(code, tmp_path, setup_of(tmp_path / "in", tmp_path / "out").as_text())
