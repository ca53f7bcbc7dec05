"""What clients and the system may do to a server: no internal error, no traceback, nothing left on disk."""

import base64
import json
import signal
import socket
import struct
import sys
import time
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest

from mafdn.cli import run
from tests.web.pictures import write_picture
from tests.web.servers import SECONDS, Running, running

CORPUS_FILES = 150
"""Files of the corpora that are sent, spread over all of them."""
LARGEST_FILE = 300_000
BOUNDARY = "boundary"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Generator[Running]:
    folder = tmp_path_factory.mktemp("faults")
    with running(folder, exported, "--max-pixels", "4000000", "--max-file-mb", "20", "--max-seconds", "60") as server:
        yield server
        server.wait_until_empty()
        server.check_log()


def send(server: Running, data: bytes) -> socket.socket:
    """Open a connection and send bytes."""
    connection = socket.create_connection((server.host, server.port), SECONDS)
    connection.sendall(data)
    return connection


def head(path: str, length: int, kind: str = "application/octet-stream") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return a form of parts, each a disposition and its content, and the headers."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.mark.parametrize("path", ["/api/v1/upscale", "/api/v1/jobs", "/sdapi/v1/extra-single-image"])
def test_a_client_that_goes_leaves_nothing(server: Running, tmp_path: Path, path: str) -> None:
    picture = write_picture(tmp_path / "a.png", 200, 150)
    kind = "application/json" if path.startswith("/sdapi") else "application/octet-stream"
    whole = picture
    if path.startswith("/sdapi"):
        whole = json.dumps({"upscaler_1": "auto", "image": base64.b64encode(picture).decode()}).encode()
    for part in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1]):
        send(server, head(path, len(whole), kind) + part).close()
    if path != "/api/v1/jobs":  # which goes on without its client
        connection = send(server, head(path, len(whole), kind) + whole)
        time.sleep(0.3)
        connection.close()
    server.wait_until_empty()


def test_many_parts_are_refused_early(server: Running) -> None:
    body, headers = form(*((f'name="p{number}"', b"1") for number in range(10_000)))
    answer = server.request("POST", "/api/v1/jobs", body, headers)
    assert (answer.status, answer.json["error"]) == (413, "the form has more than 40 parts")


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/upscale"])
def test_bombs_cost_neither_memory_nor_time(server: Running, path: str) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width: int, height: int, pixels: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(2_000)) + packer.flush()
    small = png(10, 10, zlib.compress(bytes(310)))
    assert server.request("POST", "/api/v1/upscale?scale=2", small).status == 200  # all processes are there
    before, began = server.peak_mib() if sys.platform == "linux" else 0, time.monotonic()
    for data in (png(50_000, 50_000, bomb), png(2**31 - 1, 2**31 - 1, b""), png(10, 10, bomb)):
        answer = server.request("POST", f"{path}?scale=2", data)
        assert answer.status in (200, 202, 422), answer.body
        if answer.status == 202:
            server.wait_for_jobs()
            server.request("DELETE", f"/api/v1/jobs/{answer.json['id']}")
    assert time.monotonic() - began < SECONDS
    if sys.platform == "linux":
        assert server.peak_mib() < before + 300, "of the 2,000 MiB of the bomb"


@pytest.mark.parametrize(
    "kind",
    ["text/html", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "x" * 9_000, "é", "/"],
)
def test_wrong_content_types_are_refused(server: Running, tmp_path: Path, kind: str) -> None:
    picture = write_picture(tmp_path / "a.png", 8, 8)
    answer = server.request("POST", "/api/v1/jobs", picture, {"Content-Type": kind})
    assert answer.status in (400, 415)
    assert answer.json["error"]


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\windows\\system32\\a.png",
        "/absolute/a.png",
        "C:\\a.png",
        "a\x00b.png",
        "con.png",
        "." * 300,
        "a" * 3_000 + ".png",
        "\u202egnp.exe",
        "<script>alert(1)</script>.png",
        "%2e%2e%2f.png",
        "job.json",
        "source",
        "-rf.png",
        "~/a.png",
        "$(reboot).png",
        "\U0001f600.png",
    ],
)
def test_hostile_names_are_only_labels(server: Running, tmp_path: Path, name: str) -> None:
    picture = write_picture(tmp_path / "a.png", 8, 8)
    escaped = name.replace('"', "%22").replace("\r", "").replace("\n", "")
    body, headers = form((f'name="file"; filename="{escaped}"', picture), ('name="scale"', b"2"))
    answer = server.request("POST", "/api/v1/jobs", body, headers)
    assert answer.status == 202, answer.body
    job = answer.json
    assert "/" not in job["name"]
    assert "\\" not in job["name"]
    assert ".." not in job["folder"].split("/")
    server.wait_for_jobs()
    done = server.request("GET", f"/api/v1/jobs/{job['id']}").json
    assert (done["state"], done["error"]) == ("done", None)
    assert {path.name.partition(".")[0].partition("_")[0] for path in server.files()} <= {"job", "source"}
    assert server.request("GET", f"/api/v1/jobs/{job['id']}/result").status == 200
    assert server.request("DELETE", f"/api/v1/jobs/{job['id']}").status == 204


def test_files_of_the_corpora_are_upscaled_or_refused_in_one_line(server: Running, corpora: Path) -> None:
    files = sorted(path for path in corpora.rglob("*") if path.is_file() and path.stat().st_size <= LARGEST_FILE)
    chosen = files[:: max(1, len(files) // CORPUS_FILES)]
    assert len(chosen) >= CORPUS_FILES // 2
    done = 0
    for path in chosen:
        answer = server.request("POST", "/api/v1/upscale?scale=2&format=png", path.read_bytes())
        assert answer.status in (200, 422), (path, answer.status, answer.body[:300])
        if answer.status == 422:
            text = answer.json["error"]
            assert "\n" not in text, path
            assert str(server.folder) not in text, path
        done += answer.status == 200
    assert done > len(chosen) // 4


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, exported: Path) -> None:
    source, expected = tmp_path / "a.png", tmp_path / "expected.png"
    picture = write_picture(source, 300, 200)
    command = ["upscale", str(source), "--scale", "2", "--network", str(exported), "--threads", "1", "--quiet"]
    assert run([*command, "-o", str(expected)]) == 0
    with running(tmp_path / "web", exported) as server:
        names = [server.request("POST", "/api/v1/jobs?scale=2", picture).json["id"] for _ in range(10)]
        unfinished = send(server, head("/api/v1/jobs", len(picture)) + picture[:100])
        until = time.monotonic() + SECONDS
        while not any(job["state"] == "running" for job in server.jobs()) and time.monotonic() < until:
            time.sleep(0.02)
        server.process.kill()
        server.process.wait(SECONDS)
        unfinished.close()
    with running(tmp_path / "web", exported) as server:
        jobs = server.wait_for_jobs()
        assert [job["id"] for job in jobs] == names
        assert {job["state"] for job in jobs} == {"done"}
        for name in names:
            assert server.request("GET", f"/api/v1/jobs/{name}/result").body == expected.read_bytes()
            assert server.request("DELETE", f"/api/v1/jobs/{name}").status == 204
        server.wait_until_empty()
        server.check_log()


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
def test_sigterm_finishes_what_runs_and_keeps_the_rest(tmp_path: Path, exported: Path) -> None:
    picture = write_picture(tmp_path / "a.png", 400, 300)
    with running(tmp_path / "web", exported) as server:
        names = [server.request("POST", "/api/v1/jobs?scale=2", picture).json["id"] for _ in range(8)]
        until = time.monotonic() + SECONDS
        while not any(job["state"] == "running" for job in server.jobs()) and time.monotonic() < until:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0
        server.check_log()
        records = [json.loads((server.folder / "jobs" / name / "job.json").read_text()) for name in names]
        assert records[0]["state"] == "done"
        assert {record["state"] for record in records} <= {"done", "queued"}
    with running(tmp_path / "web", exported) as server:
        assert {job["state"] for job in server.wait_for_jobs()} == {"done"}


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
def test_previews_that_wait_when_a_server_ends_at_once_are_refused(tmp_path: Path, exported: Path) -> None:
    picture = write_picture(tmp_path / "a.png", 3_000, 2_000)
    with running(tmp_path / "web", exported) as server:
        name = server.request("POST", "/api/v1/jobs?scale=2&strength=0", picture).json["id"]
        server.wait_for_jobs()
        request = f"GET /api/v1/jobs/{name}/preview/after?reduce=8 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        waiting = [send(server, request) for _ in range(12)]
        answers = [waiting[0].recv(12)]  # one is answered, another is made, and the others wait
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        for connection in waiting[1:]:
            connection.settimeout(SECONDS)
            answers.append(connection.recv(12))
        for connection in waiting:
            connection.close()
        assert server.process.wait(SECONDS) == 0
        assert answers[-1] == b"HTTP/1.1 503"
        assert set(answers) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        server.check_log()


def test_slow_clients_are_cut_off_and_keep_nobody_waiting(server: Running, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png", 8, 8)
    slow = [send(server, b"POST /api/v1/jobs HTTP/1.1\r\nHost: loc") for _ in range(100)]
    slow += [send(server, head("/api/v1/jobs", 1_000_000) + b"x") for _ in range(20)]
    began = time.monotonic()
    assert server.request("POST", "/api/v1/upscale?scale=2", picture).status == 200
    assert time.monotonic() - began < 30
    for connection in slow:
        connection.settimeout(SECONDS)
        received = b""
        try:
            while data := connection.recv(65_536):
                received += data
        except ConnectionResetError:
            pass
        assert received == b"" or received.startswith(b"HTTP/1.1 408"), received[:200]
        connection.close()
    server.wait_until_empty()
