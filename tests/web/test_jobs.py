"""Jobs without engines: the list, canceling, removing, estimates, and what a start finds."""

import asyncio
import errno
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mafdn.errors import MafdnError
from mafdn.upscaling.folder.job import work_of
from mafdn.web.service import Service
from mafdn.web.settings import ServerSettings
from mafdn.web.work import engines
from mafdn.web.work.jobs import RECORD, Job
from mafdn.web.work.speed import Speed
from mafdn.web.work.store import JobStore
from tests.support import draw
from tests.web.conftest import Client, Serve


def queue_one(client: Client, path: Path, **options: str) -> dict[str, Any]:
    answer = client.post("/api/v1/jobs", files={"file": (path.name, path.read_bytes())}, data=options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_jobs_are_listed_in_order(client: Client, tmp_path: Path) -> None:
    ids = [queue_one(client, draw(tmp_path / f"{n}.png", n))["id"] for n in range(3)]
    listed = client.get("/api/v1/jobs").json()
    assert [job["id"] for job in listed["jobs"]] == ids
    assert listed["queue"] == {"queued": 3, "running": 0, "seconds": None}
    one = client.get(f"/api/v1/jobs/{ids[1]}").json()
    assert (one["state"], one["progress"], one["format"], one["name"]) == ("queued", 0, "PNG", "1.png")


def test_canceled_jobs_can_be_done_again_or_removed(client: Client, tmp_path: Path) -> None:
    job = queue_one(client, draw(tmp_path / "a.png"), scale="2")
    path = f"/api/v1/jobs/{job['id']}"
    assert client.post(f"{path}/retry").status_code == 409
    canceled = client.delete(path)
    assert canceled.status_code == 202
    assert (canceled.json()["state"], canceled.json()["retryable"]) == ("canceled", True)
    assert client.get(f"{path}/result").status_code == 409
    again = client.post(f"{path}/retry", json={"width": 100})
    assert again.status_code == 202
    assert (again.json()["state"], again.json()["options"], again.json()["new_size"]) == (
        "queued",
        {"width": 100},
        [100, 75],
    )
    client.delete(path)
    assert client.post(f"{path}/retry", json={"width": 0}).status_code == 422
    assert client.post(f"{path}/retry", content=b"{").status_code == 400
    assert client.post(f"{path}/retry", json=[1]).status_code == 422
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert list((client.settings.folder / "jobs").iterdir()) == []


def test_unknown_jobs_are_404(client: Client) -> None:
    for path in ("0" * 32, "x", "..%2f.."):
        for method, rest in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/result"),
            ("POST", "/retry"),
            ("GET", "/thumbnail"),
        ]:
            assert client.request(method, f"/api/v1/jobs/{path}{rest}").status_code == 404, (path, rest)
    assert client.get("/api/v1/results.zip?ids=" + "0" * 32).status_code == 404
    assert client.get("/api/v1/results.zip").status_code == 409


def test_a_new_start_goes_on_and_cleans_up(serve: Serve, tmp_path: Path) -> None:
    client = serve()
    first = queue_one(client, draw(tmp_path / "a.png"), scale="2")
    second = queue_one(client, draw(tmp_path / "b.png", 1))
    client.delete(f"/api/v1/jobs/{second['id']}")
    folder = client.settings.folder / "jobs"
    copy = tmp_path / "copy" / "jobs"  # as a process that was killed leaves it
    copy.parent.mkdir()
    (copy.parent / "lock").touch()
    import shutil

    shutil.copytree(folder, copy)
    (copy / first["id"] / ".0123456789ab.partial").write_bytes(b"half")
    (copy / ("f" * 32)).mkdir()  # an upload that was not complete
    (copy / ("f" * 32) / "source.png").write_bytes(b"half")
    (copy / ("e" * 32)).mkdir()
    (copy / ("e" * 32) / RECORD).write_text("{")
    (copy / "strange").write_text("?")
    (copy.parent / "viewer-x").mkdir()
    other = serve(folder=copy.parent)
    jobs = other.get("/api/v1/jobs").json()["jobs"]
    assert [(job["id"], job["state"]) for job in jobs] == [(first["id"], "queued"), (second["id"], "canceled")]
    assert jobs[0]["options"] == {"scale": 2.0}
    assert jobs[0]["new_size"] == [32, 24]
    assert other.service.queue.queued == 1
    assert {path.name for path in copy.iterdir()} == {first["id"], second["id"]}
    assert {path.name for path in (copy / first["id"]).iterdir()} == {RECORD, "source.png"}
    assert not (copy.parent / "viewer-x").exists()


def test_records_that_name_other_files_are_not_believed(tmp_path: Path) -> None:
    store = JobStore(tmp_path, 10**6)
    (tmp_path / "jobs").mkdir()
    folder = store.new_folder()
    (folder / "source").write_bytes(b"x")
    for changes in (
        {"source_name": "../../x"},
        {"id": "0" * 32},
        {"result_file": "../x", "state": "done"},
        {"size": 3},
    ):
        job = Job(id=folder.name, name="a")
        (folder / RECORD).write_text(json.dumps({**job.__dict__, **changes}))
        copy = JobStore(tmp_path, 10**6)
        assert not copy.load()
        assert len(copy) == 0
        folder.mkdir()
        (folder / "source").write_bytes(b"x")


def test_old_jobs_are_removed(serve: Serve, tmp_path: Path) -> None:
    client = serve(keep_seconds=1_000, keep_delivered_seconds=100)
    ids = [queue_one(client, draw(tmp_path / f"{n}.png", n))["id"] for n in range(3)]
    jobs = [client.service.store.get(name) for name in ids]
    for job in jobs[:2]:
        client.delete(f"/api/v1/jobs/{job.id}")
    jobs[0].finished -= 900
    jobs[1].finished -= 900
    jobs[1].delivered = jobs[1].finished + 700
    client.portal.call(client.service.queue.check)  # type: ignore[union-attr]
    assert [job["id"] for job in client.get("/api/v1/jobs").json()["jobs"]] == [ids[0], ids[2]]
    jobs[0].finished -= 200
    client.portal.call(client.service.queue.check)  # type: ignore[union-attr]
    assert [job["id"] for job in client.get("/api/v1/jobs").json()["jobs"]] == [ids[2]]


def test_two_servers_do_not_share_a_folder(serve: Serve, tmp_path: Path) -> None:
    client = serve()
    with pytest.raises(MafdnError, match="another server uses"):
        client.portal.call(Service(client.settings).start)  # type: ignore[union-attr]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    settings = ServerSettings(folder=tmp_path / "mine", processes=0)
    with pytest.raises(MafdnError, match="is not empty"):
        client.portal.call(Service(settings).start)  # type: ignore[union-attr]


def test_times_are_estimated(client: Client) -> None:
    body = {"pictures": [{"width": 100, "height": 50}, {"width": 100, "height": 100}], "options": {"scale": 3}}
    unknown = client.post("/api/v1/estimate", json=body).json()
    assert unknown["seconds"] is None
    assert [picture["new_size"] for picture in unknown["pictures"]] == [[300, 150], [300, 300]]
    client.service.queue.speed.measured(1e-4)
    known = client.post("/api/v1/estimate", json=body).json()
    assert known["seconds"] == pytest.approx(sum(picture["seconds"] for picture in known["pictures"]))
    works = [work_of((100, 50), (300, 150)), work_of((100, 100), (300, 300))]
    assert [picture["seconds"] for picture in known["pictures"]] == [pytest.approx(1e-4 * w, rel=0.01) for w in works]
    assert known["queue_seconds"] == 0
    for wrong in (
        {},
        [],
        {"pictures": 3},
        {"pictures": [{"width": 0, "height": 1}]},
        {"pictures": [1]},
        {"options": 3},
    ):
        assert client.post("/api/v1/estimate", json=wrong).status_code == 422, wrong


def test_speed_follows_the_pictures() -> None:
    speed = Speed()
    assert speed.seconds([1.0]) is None
    speed.measured(1e-3)
    assert speed.seconds([1_000.0, 1_000.0]) == pytest.approx(2.0)
    speed.done(10_000, 1.0)
    speed.done(10, 100.0)  # too small to say anything
    assert speed.seconds([10_000]) == pytest.approx(1.0)
    for _ in range(50):
        speed.done(10_000, 2.0)
    assert speed.seconds([10_000]) == pytest.approx(2.0, rel=0.02)
    assert "51 pictures" in speed.basis


def test_information_and_figures(client: Client, tmp_path: Path) -> None:
    queue_one(client, draw(tmp_path / "a.png"))
    info = client.get("/api/v1/info").json()
    assert info["limits"]["file_mb"] == 1_000
    assert {"jpeg", "png", "webp", "tiff"} <= {entry["name"] for entry in info["formats"]}
    assert info["default_network"] == "auto"
    assert info["queue"]["queued"] == 1
    assert client.get("/healthz").json() == {"status": "ok"}
    figures = client.get("/metrics").text
    assert "mafdn_queued 1.0" in figures
    assert 'mafdn_requests_total{method="POST",route="/api/v1/jobs",status="202"} 1.0' in figures


def test_a_server_that_starts_is_alive_but_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = SimpleNamespace(ready=False, broken=None, jobs={}, check=lambda: None)
    monkeypatch.setattr(client.service.queue, "processes", [starting])
    health, ready = client.get("/healthz"), client.get("/readyz")
    assert (health.status_code, health.json()) == (200, {"status": "starting"})
    assert (ready.status_code, int(ready.headers["Retry-After"]) > 0) == (503, True)
    starting.ready = True
    assert client.get("/readyz").json() == client.get("/healthz").json() == {"status": "ok"}
    starting.ready, starting.broken = False, "the engine is not there"
    assert client.get("/readyz").status_code == client.get("/healthz").status_code == 503
    monkeypatch.undo()


def test_an_engine_process_starts_again_as_soon_as_the_system_lets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def start(module: str, *_: object, **__: object) -> None:
        tries.append(module)
        if len(tries) < 3:
            raise OSError(errno.ENOMEM, "no memory")

    async def lose() -> None:
        settings = ServerSettings(folder=tmp_path)
        process = engines.EngineProcess(settings, 0, on_message=lambda *_: None, on_lost=lambda *_: None)
        process._ended(-9)
        assert process._starting
        await asyncio.wait_for(process._starting, 30)

    monkeypatch.setattr(engines.Child, "start", start)
    monkeypatch.setattr(engines, "RETRY_SECONDS", 0.01)
    asyncio.run(lose())
    assert tries == ["engine"] * 3


def test_the_interface_is_documented_without_scripts(client: Client) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_download_of_a_job_that_was_removed_meanwhile_is_not_recorded(serve: Serve) -> None:
    client = serve()
    queue, store = client.service.queue, client.service.store
    jobs = [Job(id=store.new_folder().name, name=str(number), state="done") for number in range(2)]
    for job in jobs:
        store.add(job)
    queue.forget(jobs[0])
    for job in jobs:
        queue.deliver(job)
    assert jobs[0].delivered is None
    assert jobs[1].delivered is not None
    assert store.listed() == [jobs[1]]


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/docs", "/healthz", "/readyz", "/metrics", "/api/v1/info", "/api/v1/jobs"]
)
def test_headers_alone_can_be_asked_for(client: Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("processes", "usable", "groups", "threads"),
    [
        (1, 8, [[]], [None]),
        (2, 8, [[0, 1, 2, 3], [4, 5, 6, 7]], [4, 4]),
        (3, 8, [[0, 1], [2, 3, 4], [5, 6, 7]], [2, 3, 3]),
        (2, 3, [[], []], [1, 1]),  # a CPU quota
        (9, 8, [[]] * 9, [1] * 9),
    ],
)
def test_processes_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, processes: int, usable: int, groups: list[list[int]], threads: list[int | None]
) -> None:
    monkeypatch.setattr(engines.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(engines, "usable_cores", lambda: usable)
    found = [engines.core_group(number, processes) for number in range(processes)]
    assert found == groups
    assert [engines.thread_share(cores, processes) for cores in found] == threads


def test_processes_share_the_cores_where_they_are_not_tied_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(engines.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(engines, "usable_cores", lambda: 10)
    assert engines.core_group(0, 3) == []
    assert engines.thread_share([], 3) == 3
