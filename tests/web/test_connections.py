"""A server on a real socket: slow and rude clients, refused uploads, event streams."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mafdn.pictures.limits import Limits
from mafdn.web import server
from mafdn.web.http import connections
from mafdn.web.service import Service
from mafdn.web.settings import ServerSettings
from mafdn.web.work.jobs import Job
from tests.support import draw

WAIT = 60.0
"""Seconds after which a test gives up."""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Service]:
    """A server without engines."""
    settings = ServerSettings(folder=tmp_path / "server", port=0, processes=0, limits=Limits(file_mb=0.1))
    started = threading.Event()
    running: list[server._Server] = []
    create = server._Server

    def keep(*arguments: object, **options: object) -> server._Server:
        running.append(create(*arguments, **options))  # type: ignore[arg-type]
        return running[0]

    monkeypatch.setattr(server, "_Server", keep)

    on_start: dict[str, Any] = {"on_start": lambda _: started.set()}
    thread = threading.Thread(target=server.serve, args=(settings,), kwargs=on_start)
    thread.start()
    assert started.wait(WAIT)
    try:
        yield running[0]._service
    finally:
        running[0].should_exit = True
        running[0]._service.begin_closing()
        thread.join(WAIT)
        assert not thread.is_alive()


@pytest.fixture
def port(service: Service) -> int:
    """The port of the server."""
    return service.settings.port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT)


def receive(sock: socket.socket) -> bytes:
    """Read what there is; fails if the server has closed the connection."""
    part = sock.recv(2**16)
    assert part, "the server closed the connection"
    return part


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def ask(port: int, path: str) -> bytes:
    """Ask in a connection of its own."""
    with connect(port) as sock:
        sock.sendall(head("GET", path, "Connection: close"))
        return read_all(sock)


def wait_for_folders(tmp_path: Path, count: int) -> None:
    """Wait until so many uploads and jobs are on disk."""
    until = time.monotonic() + WAIT
    while len(list((tmp_path / "server" / "jobs").iterdir())) != count:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_connections_without_a_request_are_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    began = time.monotonic()
    with connect(port) as silent, connect(port) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0")
        for _ in range(4):
            time.sleep(0.1)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be closed already
                slow.sendall(b".")
        assert read_all(silent) == b""
        assert read_all(slow) == b""
    assert time.monotonic() - began < WAIT / 4  # half a second, and what a busy machine adds


def test_a_second_request_may_come_later_but_not_too_slowly(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(port) as sock:
        for _ in range(3):
            sock.sendall(head("GET", "/healthz"))
            answer = b""
            while b"status" not in answer:
                answer += receive(sock)
            assert answer.startswith(b"HTTP/1.1 200")
            monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)  # from the first byte of a later request
            time.sleep(0.3)
        sock.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert read_all(sock) == b""


def test_clients_that_take_nothing_are_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_SECONDS", 0.5)
    monkeypatch.setattr("mafdn.web.routes.docs._page", lambda _: "x" * 30_000_000)
    lost, gone = connections.TimedProtocol.connection_lost, threading.Event()

    def lose(self: connections.TimedProtocol, error: Exception | None) -> None:
        lost(self, error)
        gone.set()

    monkeypatch.setattr(connections.TimedProtocol, "connection_lost", lose)
    with connect(port) as sock:
        sock.sendall(head("GET", "/docs"))
        assert gone.wait(WAIT)  # without a byte being read, however long the answer took to begin
        assert 0 < len(read_all(sock)) < 30_000_000


def test_refused_uploads_are_answered_before_they_are_complete(port: int) -> None:
    for lines in (["Content-Length: 5000000"], ["Content-Length: 50000000", "Expect: 100-continue"]):
        with connect(port) as sock:
            sock.sendall(head("POST", "/api/v1/jobs", "Content-Type: image/png", *lines))
            if len(lines) == 1:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(bytes(1_000_000))
            answer = read_all(sock)
        assert answer.startswith(b"HTTP/1.1 413")  # without a word of 100 Continue
        assert b"connection: close" in answer.lower()
        assert b"--max-file-mb" in answer


def test_clients_that_go_leave_nothing(port: int, tmp_path: Path) -> None:
    with connect(port) as sock:
        sock.sendall(
            head("POST", "/api/v1/upscale", "Content-Type: image/png", "Content-Length: 50000") + bytes(20_000)
        )
        wait_for_folders(tmp_path, 1)
    wait_for_folders(tmp_path, 0)


def test_clients_that_wait_for_a_result_and_go_cancel_it(port: int, tmp_path: Path) -> None:
    content = draw(tmp_path / "a.png").read_bytes()
    with connect(port) as sock:
        length = f"Content-Length: {len(content)}"
        sock.sendall(head("POST", "/api/v1/upscale", "Content-Type: image/png", length) + content)
        until = time.monotonic() + WAIT
        while b"mafdn_queued 1.0" not in ask(port, "/metrics"):
            assert time.monotonic() < until
            time.sleep(0.05)
        wait_for_folders(tmp_path, 1)
    wait_for_folders(tmp_path, 0)


@pytest.mark.parametrize("path", ["/api/v1/jobs/{}/result", "/api/v1/results.zip?ids={}"])
def test_results_count_as_delivered_only_when_they_were_taken(service: Service, port: int, path: str) -> None:
    """What was delivered is removed much earlier, and makes room for other results."""
    size = 30_000_000
    folder = service.store.new_folder()
    (folder / "source.png").write_bytes(b"?")
    (folder / "result.png").write_bytes(bytes(size))
    job = Job(
        id=folder.name, name="a", source_name="source.png", state="done", result_file="result.png", result_bytes=size
    )
    service.store.add(job)
    with connect(port) as sock:
        sock.sendall(head("GET", path.format(folder.name)))
        assert sock.recv(1_000).startswith(b"HTTP/1.1 200")
    until = time.monotonic() + WAIT
    route = path.partition("?")[0].replace("{}", "{job_id}")
    while f'route="{route}"'.encode() not in ask(port, "/metrics"):  # until the answer has ended
        assert time.monotonic() < until
        time.sleep(0.05)
    assert job.delivered is None
    with connect(port) as sock:
        sock.sendall(head("GET", path.format(folder.name), "Range: bytes=0-9", "Connection: close"))
        taken = len(read_all(sock))
    assert (job.delivered is None) == (taken < size)
    with connect(port) as sock:
        sock.sendall(head("GET", path.format(folder.name), "Connection: close"))
        assert len(read_all(sock)) > size
    while job.delivered is None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_events_resume_where_a_client_was(port: int, tmp_path: Path) -> None:
    content = draw(tmp_path / "a.png").read_bytes()

    def queue_one() -> str:
        with connect(port) as sock:
            lines = ("Content-Type: image/png", f"Content-Length: {len(content)}", "Connection: close")
            sock.sendall(head("POST", "/api/v1/jobs", *lines) + content)
            return json.loads(read_all(sock).partition(b"\r\n\r\n")[2])["id"]

    def read_until(text: str, *lines: str) -> str:
        with connect(port) as sock:
            sock.sendall(head("GET", "/api/v1/events", *lines))
            found = ""
            while text not in found:
                found += receive(sock).decode()
            return found

    first = queue_one()
    begun = read_until(first)
    assert "event: snapshot" in begun
    last = next(line for line in begun.splitlines() if line.startswith("id: ")).removeprefix("id: ")
    second = queue_one()
    resumed = read_until(second, f"Last-Event-ID: {last}")
    assert "event: snapshot" not in resumed
    assert first not in resumed


def test_ports_in_use_are_named(port: int, tmp_path: Path) -> None:
    from mafdn.errors import MafdnError

    with pytest.raises(MafdnError, match=rf"cannot listen on 127.0.0.1 port {port}: .*--port"):
        server.serve(ServerSettings(folder=tmp_path / "other", port=port, processes=0), on_start=lambda _: None)
    assert not (tmp_path / "other").exists()


def test_the_token_is_printed_behind_the_number_sign(tmp_path: Path) -> None:
    token = "0123456789abcdef"
    settings = ServerSettings(folder=tmp_path, host="0.0.0.0", token=token, port=80)
    assert server.address(settings) == f"http://127.0.0.1:80/#token={token}"
    assert server.address(ServerSettings(folder=tmp_path, host="::1")) == "http://[::1]:8484/"


def test_loops_other_than_the_main_one_leave_signals_alone() -> None:
    async def run() -> None:
        with server._signals(lambda _number, _frame: None):
            pass

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join()
