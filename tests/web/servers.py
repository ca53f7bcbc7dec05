"""Real servers for tests: `mafdn serve` in a process of its own, on a free port of the loopback interface."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support import files_below, use_cache

SECONDS = 120
"""Longest time for an answer, or for a server to start or end."""


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    process: "subprocess.Popen[str]"
    folder: Path
    log: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; a body is the bytes of a picture unless headers say otherwise."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            kind = {} if body is None else {"Content-Type": "application/octet-stream"}
            connection.request(method, path, body, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs."""
        return self.request("GET", "/api/v1/jobs").json["jobs"]

    def wait_for_jobs(self) -> list[dict[str, Any]]:
        """Wait until all jobs are finished."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            jobs = self.jobs()
            if all(job["state"] in ("done", "failed", "canceled") for job in jobs):
                return jobs
            time.sleep(0.1)
        raise TimeoutError(f"not finished: {self.jobs()}")

    def files(self) -> list[Path]:
        """All files of jobs on disk."""
        return files_below(self.folder / "jobs")

    def peak_mib(self) -> float:
        """The highest peak memory of any of its processes so far, by Linux."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in (self.process.pid, *(c.pid for c in children))]
        lines = [line for text in texts for line in text.splitlines() if line.startswith("VmHWM:")]
        return max(int(line.split()[1]) / 1024 for line in lines)

    def wait_until_empty(self) -> None:
        """Wait until no job and no upload has left anything on disk."""
        until = time.monotonic() + SECONDS
        while list((self.folder / "jobs").iterdir()) and time.monotonic() < until:
            time.sleep(0.1)
        assert not list((self.folder / "jobs").iterdir())

    def check_log(self) -> None:
        """Check that nothing unexpected happened."""
        text = self.log.read_text("utf-8", "replace")
        assert "Traceback" not in text, text
        assert "internal error" not in text, text


@contextlib.contextmanager
def running(folder: Path, network: Path, *arguments: str) -> Generator[Running]:
    """Run a server with its files in a folder within this context; it may end before."""
    folder.mkdir(exist_ok=True)
    log = folder / "log.txt"
    command = [
        sys.executable,
        "-m",
        "mafdn",
        "serve",
        "--port",
        "0",
        "--no-browser",
        "--folder",
        str(folder / "server"),
    ]
    command += ["--network", str(network), "--threads", "1", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        use_cache(folder / "cache", patch)
        environment = dict(os.environ)
    with (
        log.open("a") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, log.read_text()
            address = urlsplit(line.split()[0])
            assert address.hostname
            assert address.port
            server = Running(process, folder / "server", log, address.hostname, address.port)
            until = time.monotonic() + SECONDS
            while server.request("GET", "/healthz").json["status"] != "ok" and time.monotonic() < until:
                time.sleep(0.2)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(SECONDS)
                finally:
                    process.kill()
