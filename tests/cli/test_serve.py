"""`mafdn serve`: errors in one line, and a real server that is stopped and killed."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mafdn.cli import serve
from tests.conftest import Run
from tests.support import draw

WAIT = 120.0
"""Seconds after which a test gives up."""
WITHOUT_WEB = """
import sys
for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    sys.modules[name] = None
from mafdn.cli import main
main()
"""


def test_the_extra_is_named_where_it_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_WEB, "serve"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith('pip install "mafdn[web]"')
    assert done.stderr.startswith("mafdn: mafdn serve needs ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "--insecure-no-auth"),
        (["--token", "short"], 2, "at least 16"),
        (["--token", "x" * 20, "--token-file", "a"], 2, "either --token or --token-file"),
        (["--token-file", "missing"], 1, "cannot read missing"),
        (["--network", "nothing"], 2, "unknown network"),
        (["--port", "99999"], 2, "port"),
        (["--allow-origin", "example.org"], 2, "an origin is"),
        (["--allow-origin", "https://example.org", "--port", "99999"], 2, "port"),
        (["--allow-origin=https://example.org", "--port", "99999"], 2, "port"),
        (["--network", "https://example.org/x4.onnx"], 2, "URLs are not read"),
    ],
)
def test_errors_are_one_line(cli: Run, arguments: list[str], code: int, message: str) -> None:
    found, _, err = cli("serve", "--no-browser", *arguments)
    assert found == code
    assert message in err
    assert err.count("\n") == 1


def test_tokens_come_from_options_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-the-file-0123\n")
    monkeypatch.setenv(serve.TOKEN, "from-the-environment")
    assert serve._token(None, None) == "from-the-environment"
    assert serve._token(None, tmp_path / "token") == "from-the-file-0123"
    assert serve._token("given-directly-0123", None) == "given-directly-0123"


@pytest.mark.parametrize(
    ("hours", "minutes", "private", "expected"),
    [
        (None, None, True, (168, 168)),
        (None, None, False, (24, 1)),
        (500, None, True, (500, 500)),
        (2, 30, True, (2, 0.5)),
        (0, None, False, (0, 1)),
    ],
)
def test_private_servers_keep_results_longer(
    hours: float | None, minutes: float | None, private: bool, expected: tuple[float, float]
) -> None:
    assert serve._keep(hours, minutes, private=private) == tuple(time * 3_600 for time in expected)


@pytest.mark.parametrize(
    ("arguments", "days"),
    [([], 7), (["--token", "x" * 20], 1), (["--allow-host", "a.example"], 1), (["--host", "localhost"], 7)],
)
def test_a_server_of_one_user_is_private(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], days: int
) -> None:
    found: list[Any] = []
    monkeypatch.setattr("mafdn.web.server.serve", lambda settings, **_: found.append(settings))
    assert cli("serve", "--no-browser", "--folder", tmp_path, *arguments)[0] == 0
    assert found[0].keep_seconds == days * 86_400


def test_the_browser_is_only_opened_on_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not serve._is_desktop()
    monkeypatch.setenv("DISPLAY", ":0")
    assert serve._is_desktop()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert not serve._is_desktop()


class RealServer:
    """`mafdn serve` in a process of its own."""

    def __init__(self, folder: Path, network: Path) -> None:
        command = [sys.executable, "-m", "mafdn", "serve", "--port", "0", "--no-browser", "--folder", str(folder)]
        self.process = subprocess.Popen([*command, "--network", str(network)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[0]

    def ask(self, path: str, content: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/octet-stream"} if content else {}
        request = urllib.request.Request(self.address + path, content, headers)
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.read()

    def jobs(self) -> list[dict[str, Any]]:
        return json.loads(self.ask("api/v1/jobs"))["jobs"]

    def wait_for(self, *states: str, count: int = 1) -> None:
        """Wait until so many jobs are in one of these states."""
        until = time.monotonic() + WAIT
        while sum(job["state"] in states for job in self.jobs()) < count:
            assert time.monotonic() < until, self.jobs()
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def servers() -> Generator[list[RealServer]]:
    """The servers that a test starts; whichever still runs is killed."""
    running: list[RealServer] = []
    yield running
    for server in running:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_server_goes_on_where_it_was(
    servers: list[RealServer], tmp_path: Path, exported: Path, cli: Run
) -> None:
    folder = tmp_path / "server"
    sources = [draw(tmp_path / f"{n}.png", n, (300, 300)) for n in range(10)]
    servers.append(RealServer(folder, exported))
    names = [json.loads(servers[0].ask(f"api/v1/jobs?name={path.name}", path.read_bytes()))["id"] for path in sources]
    servers[0].wait_for("done", count=2)
    servers[0].stop(signal.SIGKILL)
    servers.append(RealServer(folder, exported))
    assert [job["id"] for job in servers[1].jobs()] == names
    servers[1].wait_for("done", count=10)
    for path, name in zip(sources, names, strict=True):
        assert cli("upscale", path, "--network", exported)[0] == 0
        expected = path.with_name(f"{path.stem}_x2.png").read_bytes()
        assert servers[1].ask(f"api/v1/jobs/{name}/result") == expected
    assert servers[1].stop(signal.SIGTERM) == 0
    for name in names:
        left = {file.name for file in (folder / "jobs" / name).iterdir()}
        assert left == {"job.json", "source.png", "source_x2.png"}
    assert not list(folder.glob("viewer-*"))


@pytest.mark.slow
def test_a_signal_lets_the_running_picture_finish(servers: list[RealServer], tmp_path: Path, exported: Path) -> None:
    folder = tmp_path / "server"
    content = draw(tmp_path / "a.png", size=(1_000, 1_000)).read_bytes()
    servers.append(RealServer(folder, exported))
    while json.loads(servers[0].ask("healthz"))["status"] != "ok":
        time.sleep(0.1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(servers[0].ask, "api/v1/upscale?tile=96", content)
        while not json.loads(servers[0].ask("api/v1/info"))["queue"]["running"]:
            time.sleep(0.02)
        queued = [json.loads(servers[0].ask("api/v1/jobs?tile=96", content))["id"] for _ in range(5)]
        assert servers[0].stop(signal.SIGTERM) == 0
        assert answer.result().startswith(b"\x89PNG")
    records = [json.loads((folder / "jobs" / name / "job.json").read_text()) for name in queued]
    states = [record["state"] for record in records]
    assert set(states) == {"done", "queued"}  # those already in the process, and those that waited
    assert {path.name for path in (folder / "jobs").iterdir()} == set(queued)


@pytest.mark.slow
def test_a_second_signal_stops_at_once(servers: list[RealServer], tmp_path: Path, exported: Path) -> None:
    folder = tmp_path / "server"
    content = draw(tmp_path / "a.png", size=(2_500, 2_500)).read_bytes()
    servers.append(RealServer(folder, exported))
    name = json.loads(servers[0].ask("api/v1/jobs?tile=96", content))["id"]
    servers[0].wait_for("running")
    servers[0].process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    assert servers[0].stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    assert json.loads((folder / "jobs" / name / "job.json").read_text())["state"] == "queued"
