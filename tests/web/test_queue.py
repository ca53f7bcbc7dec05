"""The queue without engines: disk space, and what an earlier run with another network has left."""

import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from mafdn.web import service
from mafdn.web.metrics import Metrics
from mafdn.web.settings import ServerSettings
from mafdn.web.work.jobs import Job
from mafdn.web.work.queue import Queue
from mafdn.web.work.store import JobStore
from tests.support import draw
from tests.web.conftest import Client, Serve

MB = 1_000_000
WAIT = 60.0
"""Seconds after which a test gives up."""
FULL = "the 1 MB for uploads and results are full; remove some or try again later"


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    """The jobs of a server with 1 MB of disk space."""
    store = JobStore(tmp_path, MB)
    store.load()
    return store


@pytest.fixture
def queue(store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue with a stand-in for an engine process, which takes every picture and never ends one."""
    queue = Queue(ServerSettings(folder=tmp_path, processes=0, disk_mb=1), store, Metrics())
    jobs: dict[str, Job] = {}
    process = SimpleNamespace(has_room=True, idle=True, broken=None, jobs=jobs, check=lambda: None)
    process.run = lambda job, _: jobs.update({job.id: job})
    monkeypatch.setattr(queue, "processes", [process])
    return queue


@pytest.fixture
def published(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What clients are told: events and their identifiers."""
    events: list[tuple[str, Any]] = []
    monkeypatch.setattr(queue.events, "publish", lambda event, data: events.append((event, data.get("id"))))
    return events


@pytest.fixture
def add(store: JobStore) -> Callable[..., Job]:
    """Add jobs, whose sizes need not be those of files."""

    def add(name: str, **values: Any) -> Job:
        job = Job(id=store.new_folder().name, name=name, **values)
        store.add(job)
        return job

    return add


def test_delivered_results_make_room(
    queue: Queue, store: JobStore, add: Callable[..., Job], published: list[tuple[str, Any]]
) -> None:
    first, second = (add(str(n), bytes=400_000, state="done", delivered=float(n)) for n in (1, 2))
    assert queue.make_room(500_000)
    assert store.listed() == [second]
    assert published == [("removed", first.id)]
    assert store.used_bytes == 400_000
    assert not queue.make_room(MB + 1)


def test_pictures_wait_until_results_leave_disk_space(queue: Queue, store: JobStore, add: Callable[..., Job]) -> None:
    queue.submit(add("running"))
    done = add("done", bytes=400_000, result_bytes=600_000, state="done")
    waiting = add("waiting")
    queue.submit(waiting)
    queue.check()
    assert (waiting.state, queue.queued) == ("queued", 1)
    queue.deliver(done)
    queue.check()
    assert (waiting.state, queue.queued) == ("running", 0)
    assert done not in store.listed()


def test_pictures_fail_if_nothing_can_leave_disk_space(queue: Queue, store: JobStore, add: Callable[..., Job]) -> None:
    done = add("done", result_bytes=MB, state="done")
    waiting = [add("a"), add("b")]
    store.reserve(1)  # an upload, which may be refused
    for job in waiting:
        queue.submit(job)
    assert [job.state for job in waiting] == ["queued", "queued"]
    store.release(1)
    queue.check()
    assert [(job.state, job.error) for job in waiting] == [("failed", FULL)] * 2
    queue.forget(done)
    waiting[0].reset()
    queue.submit(waiting[0])
    assert waiting[0].state == "running"


def test_a_job_whose_result_cannot_be_taken_over_fails(
    queue: Queue, store: JobStore, add: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: Job, *_: object) -> int:
        job.result_file, job.result_bytes = "result.png", 9
        raise KeyError("unexpected")

    monkeypatch.setattr("mafdn.web.work.queue.take_result", broken)
    job, other = add("a"), add("b")
    queue.submit(job)
    (store.folder_of(job) / "result.png").touch()
    queue._received(queue.processes[0], {"event": "done", "id": job.id, "report": {}})
    assert (job.state, job.fault, job.result_file) == ("failed", "internal", None)
    assert not (store.folder_of(job) / "result.png").exists()
    queue.submit(other)
    assert other.state == "running"


def test_an_archive_leaves_out_what_was_removed(serve: Serve) -> None:
    client = serve()
    store = client.service.store
    folder = store.new_folder()
    (folder / "result.png").write_bytes(b"result")
    store.add(Job(id=folder.name, name="a.png", state="done", result_file="result.png", result_name="a_x4.png"))
    answer = client.get(f"/api/v1/results.zip?ids={'0' * 32},{folder.name}")
    assert answer.status_code == 200
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["a_x4.png"]


def test_jobs_of_a_network_that_is_gone_fail_and_can_be_done_again(tmp_path: Path, exported: Path) -> None:
    settings = ServerSettings(folder=tmp_path / "server", processes=0, network=str(exported))
    content = draw(tmp_path / "a.png").read_bytes()
    with Client(settings, tmp_path / "page") as client:
        for options in ({"scale": "2"}, {"network": "photo"}):
            assert client.post("/api/v1/jobs", files={"file": ("a.png", content)}, data=options).status_code == 202
    with Client(replace(settings, network="auto"), tmp_path / "page") as client:
        gone, other = client.get("/api/v1/jobs").json()["jobs"]
        assert gone["error"].startswith("unknown network 'small'; choose from auto")
        assert (gone["state"], gone["retryable"], other["state"]) == ("failed", True, "queued")
        assert client.service.queue.queued == 1
        again = client.post(f"/api/v1/jobs/{gone['id']}/retry")
        assert (again.status_code, again.json()["state"], again.json()["network"]) == (202, "queued", "auto")


def test_an_unexpected_error_does_not_end_the_care_for_jobs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def check(_: Queue) -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise KeyError("unexpected")

    monkeypatch.setattr(service, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(Queue, "check", check)
    serve()
    until = time.monotonic() + WAIT
    while len(calls) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(calls) >= 3
