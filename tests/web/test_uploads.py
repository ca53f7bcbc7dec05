"""Uploads: forms and raw bodies within limits, and nothing left behind when one is refused."""

import asyncio
import errno
import io
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from mafdn.pictures.limits import Limits
from mafdn.web.faults import RefusedError
from mafdn.web.http import connections, uploads
from mafdn.web.work.jobs import Job
from mafdn.web.work.store import JobStore
from tests.support import draw
from tests.web.conftest import Client, Serve


@pytest.fixture
def picture_bytes(tmp_path: Path) -> bytes:
    return draw(tmp_path / "a.png").read_bytes()


def left_over(client: Client) -> list[str]:
    """The folders of uploads that are no jobs."""
    known = {job.id for job in client.service.store}
    return [path.name for path in (client.settings.folder / "jobs").iterdir() if path.name not in known]


def send(client: Client, content: bytes, *, name: str = "a.png", **options: str) -> Any:
    return client.post("/api/v1/jobs", files={"file": (name, content)}, data=options)


def test_forms_and_raw_bodies_give_the_same_job(client: Client, picture_bytes: bytes) -> None:
    form = send(client, picture_bytes, name="trip/a.png", scale="2", format="webp")
    raw = client.post(
        "/api/v1/jobs?name=trip/a.png&scale=2&format=webp",
        content=picture_bytes,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert (form.status_code, raw.status_code) == (202, 202)
    unlike = {"id", "created"}
    assert {k: v for k, v in form.json().items() if k not in unlike} == {
        k: v for k, v in raw.json().items() if k not in unlike
    }
    job = form.json()
    assert (job["name"], job["folder"], job["size"], job["new_size"]) == ("a.png", "trip", [16, 12], [32, 24])
    assert form.headers["location"] == f"/api/v1/jobs/{job['id']}"
    stored = client.settings.folder / "jobs" / job["id"] / "source.png"
    assert stored.read_bytes() == picture_bytes
    assert stored.stat().st_mode & 0o077 == 0 or stored.parent.stat().st_mode & 0o077 == 0


def test_options_may_precede_or_follow_the_picture(client: Client, picture_bytes: bytes) -> None:
    boundary = "xyz"
    option = f'--{boundary}\r\nContent-Disposition: form-data; name="scale"\r\n\r\n3\r\n'.encode()
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a %22b%22.png"\r\n\r\n'.encode()
    for parts in (option + head + picture_bytes + b"\r\n", head + picture_bytes + b"\r\n" + option):
        answer = client.post(
            "/api/v1/jobs",
            content=parts + f"--{boundary}--\r\n".encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["options"] == {"scale": 3.0}
        assert answer.json()["name"] == "a _b_.png"


def test_the_length_alone_refuses_what_is_too_large(serve: Serve) -> None:
    client = serve(limits=Limits(file_mb=0.01))
    sent = 0
    answer: list[Any] = []

    async def receive() -> Any:
        nonlocal sent
        sent += 2**16
        return {"type": "http.request", "body": bytes(2**16), "more_body": True}

    async def send(message: Any) -> None:
        answer.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"100000000000"), (b"content-type", b"image/png")]
    scope = {
        "type": "http",
        "method": "POST",
        "headers": headers,
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
    }
    for path in ("/api/v1/jobs", "/api/v1/upscale"):
        answer.clear()
        asyncio.run(client.server({**scope, "path": path, "raw_path": path.encode()}, receive, send))
        assert answer[0]["status"] == 413
        assert (b"connection", b"close") in answer[0]["headers"]
        expected = b'{"error":"the picture has more than the 0.01 MB that --max-file-mb allows"}'
        assert answer[1]["body"] == expected
        assert not answer[-1]["more_body"]
    assert sent < 2 * (connections.LINGER_BYTES + 2**20)  # read and thrown away, so that clients see the answer
    assert not left_over(client)


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
def test_the_length_alone_refuses_what_has_no_room(serve: Serve, kind: str) -> None:
    client = serve(disk_mb=3)
    store = client.service.store
    kept = Job(id=store.new_folder().name, name="a.png", bytes=1_000_000, state="done", delivered=1.0)
    store.add(kept)

    def ask(count: int) -> Any:
        return client.post("/api/v1/jobs", content=bytes(count * 1_000_000), headers={"Content-Type": kind})

    refused = ask(5)
    assert (refused.status_code, "for uploads and results are full" in refused.text) == (429, True)
    assert store.listed() == [kept]
    assert ask(3).status_code in (400, 422)  # there is room without the delivered result, but this is no picture


def test_bodies_of_unknown_length_are_counted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BUFFER", 1_000)
    client = serve(limits=Limits(file_mb=0.01))
    sent = 0

    def chunks() -> Generator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1_000
            yield bytes(1_000)

    answer = client.post("/api/v1/jobs", content=chunks(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    form = client.post("/api/v1/jobs", files={"file": ("a.png", io.BytesIO(bytes(10_001)))})
    assert form.status_code == 413
    assert not left_over(client)
    assert client.service.store.used_bytes == 0


@pytest.mark.parametrize(
    ("content", "kind", "status", "message"),
    [
        (b"a=b", "application/x-www-form-urlencoded", 415, "is not understood"),
        (b"{}", "application/json", 415, "is not understood"),
        (b"hello", "multipart/form-data", 400, "no valid boundary"),
        (b"hello", "multipart/form-data; boundary=x", 400, "form is damaged"),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400, "form is"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422, "no part 'file'"),
        (b"", "application/octet-stream", 422, "is empty"),
        (b"", "", 422, "is empty"),
    ],
)
def test_other_bodies_are_refused(client: Client, content: bytes, kind: str, status: int, message: str) -> None:
    answer = client.post("/api/v1/jobs", content=content, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert not left_over(client)


def test_many_tiny_parts_are_refused(client: Client) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="scale"\r\n\r\n2\r\n'
    distinct = [part.replace(b"scale", f"o{n}".encode()) for n in range(10_000)]
    answer = client.post(
        "/api/v1/jobs",
        content=b"".join(distinct) + b"--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 413
    assert "more than" in answer.json()["error"]
    assert not left_over(client)


@pytest.mark.parametrize("long", ["name", "value"])
def test_long_headers_of_parts_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    monkeypatch.setattr(uploads, "LONGEST_HEADER", 1_000)  # below the limit of the parser, which depends on its version
    header = ("x" * 1_001 + ": y") if long == "name" else ("x: " + "y" * 1_001)
    answer = client.post(
        "/api/v1/jobs",
        content=f"--x\r\n{header}\r\n\r\n2\r\n--x--\r\n".encode(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 413
    assert answer.json()["error"] == "the form has a part whose header is too long"
    assert not left_over(client)


@pytest.mark.parametrize(
    ("files", "data", "status", "message"),
    [
        ([("file", b"a"), ("file", b"b")], {}, 422, "several parts"),
        ([("image", b"a")], {}, 422, "name it 'file'"),
        ([("file", b"a")], {"scale": "x" * 5_000}, 413, "too long"),
        ([("file", b"")], {}, 422, "is empty"),
        ([("file", b"a")], {"hue": "red"}, 422, "unknown option 'hue'"),
        ([("file", b"a")], {"scale": "0"}, 422, "scale must be above 0"),
        ([("file", b"not a picture")], {}, 422, "my.png is not a picture in a known format"),
    ],
)
def test_invalid_forms_are_refused(
    client: Client, files: list[tuple[str, bytes]], data: dict[str, str], status: int, message: str
) -> None:
    parts = [(name, ("my.png", content)) for name, content in files]
    answer = client.post("/api/v1/jobs", files=parts, data=data)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert str(client.settings.folder) not in answer.text
    assert not left_over(client)


def test_previews_take_no_body(client: Client, picture_bytes: bytes) -> None:
    path = f"/api/v1/jobs/{send(client, picture_bytes).json()['id']}/thumbnail"
    answer = client.request("GET", path, content=b"x")
    assert (answer.status_code, answer.json()) == (413, {"error": "the request must have no body"})
    assert client.get(path).status_code == 200


def test_a_full_queue_says_when_to_try_again(serve: Serve, picture_bytes: bytes) -> None:
    client = serve(queue=2)
    statuses = [send(client, picture_bytes).status_code for _ in range(3)]
    assert statuses == [202, 202, 429]
    answer = send(client, picture_bytes)
    assert int(answer.headers["retry-after"]) >= 1
    assert "queue is full" in answer.json()["error"]
    first = client.get("/api/v1/jobs").json()["jobs"][0]
    assert client.delete(f"/api/v1/jobs/{first['id']}").status_code == 202
    assert send(client, picture_bytes).status_code == 202


def test_a_full_disk_space_refuses_uploads(serve: Serve, picture_bytes: bytes) -> None:
    client = serve(disk_mb=1.5 * len(picture_bytes) / 1e6)
    assert send(client, picture_bytes).status_code == 202
    answer = send(client, picture_bytes)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    assert not left_over(client)
    assert client.service.store.used_bytes == len(picture_bytes)


@pytest.mark.skipif(os.name != "posix", reason="needs limits of the system")
@pytest.mark.parametrize("size", [5_000, 50_000, 3_000_000])
def test_a_disk_that_takes_no_upload_is_named(client: Client, size: int) -> None:
    """A limit on the size of files stands in for a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        answer = send(client, bytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.status_code == 507
    assert "cannot be stored" in answer.json()["error"]
    assert not left_over(client)


@pytest.mark.parametrize("step", ["new_folder", "save"])
def test_a_job_that_cannot_be_stored_is_none(
    client: Client, picture_bytes: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(JobStore, step, full)
    answer = send(client, picture_bytes)
    assert (answer.status_code, answer.json()) == (507, {"error": "the upload cannot be stored: no space"})
    assert client.get("/api/v1/jobs").json()["jobs"] == left_over(client) == []


def test_idle_clients_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "IDLE_SECONDS", 0.01)

    async def silent() -> Any:
        await asyncio.sleep(10)

    async def read() -> None:
        async for _ in uploads.body_chunks(Request({"type": "http"}, silent)):
            pass

    with pytest.raises(RefusedError, match="idle") as refused:
        asyncio.run(read())
    assert refused.value.status == 408


def test_slow_clients_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RATE_SECONDS", 0.0)

    async def drip() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read() -> None:
        async for _ in uploads.body_chunks(Request({"type": "http"}, drip)):
            pass

    with pytest.raises(RefusedError, match="too slow"):
        asyncio.run(read())
