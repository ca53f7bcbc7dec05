"""Measure `mafdn serve` under load: bursts of clients, throughput compared with the command, and memory.

    python -m tools.load > docs/results/server.json

First, all clients send requests at the same time: each must be answered, by the picture or by 429. Then, in turns, the
server and `mafdn upscale` do the same folder; the rates are those between the first and the last result, so that
neither start counts, and the results must be the same to the byte. At last the server does many pictures, and its
memory (proportional set size of all its processes) is compared between the first and the last quarter. The pictures are
made in a temporary folder; everything stays on the loopback interface. The exit code is 1 if a goal is missed.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyvips

from mafdn._support.machine import machine

LEAST_SHARE = 0.95
"""Goal: rate of the server as a share of the command's."""
GROWTH_MIB = 64
"""Goal: most MiB by which memory is higher in the last quarter of the pictures than in the first."""
MAFDN = (sys.executable, "-m", "mafdn")
SECONDS = 600
"""Longest time for a request."""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: "subprocess.Popen[str]"
    host: str
    port: int

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Send a request; returns status, headers and body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            kind = {"Content-Type": "application/octet-stream"} if body else {}
            connection.request(method, path, body or None, kind)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def wait_until_ready(self) -> None:
        """Wait until the network is open."""
        while json.loads(self.request("GET", "/healthz")[2])["status"] != "ok":
            time.sleep(0.2)

    @property
    def memory_mib(self) -> float | None:
        """Memory of the server and its processes; `None` where the system does not tell."""
        try:
            return sum(_proportional(pid) for pid in _family(self.process.pid)) / 1024
        except OSError:
            return None


@contextlib.contextmanager
def serving(folder: Path, *, queue: int) -> Generator[Server]:
    """Run a server on a free port within this context."""
    command = [*MAFDN, "serve", "--port", "0", "--no-browser", "--folder", str(folder), "--queue", str(queue)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = urlsplit(process.stdout.readline().split()[0])
            assert address.hostname
            assert address.port
            server = Server(process, address.hostname, address.port)
            server.wait_until_ready()
            yield server
        finally:
            process.terminate()


def pictures(folder: Path, count: int, side: int) -> list[Path]:
    """Write different pictures of `side` x `side` pixels."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:side, 0:side]
    paths: list[Path] = []
    for number in range(count):
        smooth = np.stack([rows * (number % 5 + 1), columns * 2, rows + columns], axis=2)
        pixels = (smooth + random.integers(0, 40, (side, side, 3))) % 256
        paths.append(folder / f"{number:04d}.png")
        pyvips.Image.new_from_array(pixels.astype(np.uint8), interpretation="srgb").write_to_file(str(paths[-1]))
    return paths


def burst(server: Server, paths: list[Path], *, requests: int, clients: int) -> dict[str, Any]:
    """Send requests from many clients at the same time, once each: a full queue is an answer."""
    files = [path.read_bytes() for path in paths]
    barrier = threading.Barrier(clients)

    def client(number: int) -> list[tuple[int, bool, float]]:
        barrier.wait()
        found: list[tuple[int, bool, float]] = []
        for at in range(number, requests, clients):
            began = time.perf_counter()
            try:
                status, headers, _ = server.request("POST", "/api/v1/upscale?scale=2", files[at % len(files)])
            except (OSError, http.client.HTTPException) as error:
                print(f"request {at}: {error!r}", file=sys.stderr)
                status, headers = 0, {}
            found.append((status, "retry-after" in headers, time.perf_counter() - began))
        return found

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = [answer for found in pool.map(client, range(clients)) for answer in found]
    statuses = Counter(status for status, _, _ in answers)
    good = all(status == 200 or (status == 429 and retry) for status, retry, _ in answers)
    times = [seconds for status, _, seconds in answers if status == 200]
    return {
        "requests": requests,
        "clients": clients,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "seconds": time.perf_counter() - began,
        "median_seconds": statistics.median(times) if times else None,
        "longest_seconds": max(times, default=None),
        "reached": good and len(answers) == requests,
    }


def by_server(server: Server, paths: list[Path]) -> tuple[float, dict[str, str]]:
    """Do pictures as jobs; returns the rate in pictures per second, and the hashes of the results."""
    before = {job["id"] for job in json.loads(server.request("GET", "/api/v1/jobs")[2])["jobs"]}
    for path in paths:
        status, _, body = server.request("POST", f"/api/v1/jobs?scale=2&name={path.name}", path.read_bytes())
        assert status == 202, body
    while True:
        jobs = [j for j in json.loads(server.request("GET", "/api/v1/jobs")[2])["jobs"] if j["id"] not in before]
        if all(job["state"] in ("done", "failed") for job in jobs):
            break
        time.sleep(0.2)
    ends = sorted(job["finished"] for job in jobs)
    hashes: dict[str, str] = {}
    for job in jobs:
        status, _, body = server.request("GET", f"/api/v1/jobs/{job['id']}/result")
        assert status == 200, job["error"]
        hashes[job["result_name"]] = hashlib.sha256(body).hexdigest()
        server.request("DELETE", f"/api/v1/jobs/{job['id']}")
    return (len(ends) - 1) / (ends[-1] - ends[0]), hashes


def by_command(folder: Path, target: Path) -> tuple[float, dict[str, str]]:
    """Do a folder with `mafdn upscale`; returns what `by_server` does."""
    command = [*MAFDN, "upscale", str(folder), "-o", str(target), "--scale", "2", "--jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ends = [time.perf_counter() for line in process.stdout if json.loads(line).get("status") == "done"]
    assert process.returncode == 0
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in target.glob("*.png")}
    return (len(ends) - 1) / (ends[-1] - ends[0]), hashes


def compare(server: Server, paths: list[Path], folder: Path, *, rounds: int) -> dict[str, Any]:
    """Compare the rates of the server and of the command, in turns."""
    pairs: list[tuple[float, float]] = []
    same = True
    for number in range(rounds):
        own, results = by_server(server, paths)
        other, expected = by_command(paths[0].parent, folder / f"results-{number}")
        pairs.append((own, other))
        same = same and results == expected
    share = statistics.median(own / other for own, other in pairs)
    return {"rates": pairs, "share": share, "same_bytes": same, "reached": share >= LEAST_SHARE and same}


def memory(server: Server, paths: list[Path], *, count: int) -> dict[str, Any]:
    """Do many pictures one after the other, and compare memory in the first and the last quarter."""
    files = [path.read_bytes() for path in paths]
    seen: list[float] = []
    for number in range(count):
        status, _, body = server.request("POST", "/api/v1/upscale?scale=2", files[number % len(files)])
        assert status == 200, body
        found = server.memory_mib
        if found is None:
            return {"pictures": number + 1, "reached": None}
        seen.append(found)
    quarter = max(1, count // 4)
    first, last = statistics.median(seen[:quarter]), statistics.median(seen[-quarter:])
    grown = last - first
    return {
        "pictures": count,
        "first_mib": first,
        "last_mib": last,
        "peak_mib": max(seen),
        "reached": grown <= GROWTH_MIB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure mafdn serve under load.")
    parser.add_argument("--requests", type=int, default=200, help="requests of the burst")
    parser.add_argument("--clients", type=int, default=32, help="clients of the burst")
    parser.add_argument("--queue", type=int, default=24, help="places in the queue during the burst")
    parser.add_argument("--rounds", type=int, default=3, help="comparisons with the command; 0 for none")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a comparison")
    parser.add_argument("--pictures", type=int, default=100, help="pictures for the comparison of memory; 0 for none")
    parser.add_argument("--size", type=int, default=64, help="side of pictures in pixels")
    given = parser.parse_args()
    found: dict[str, Any] = {"machine": asdict(machine()), "size": given.size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = pictures(folder / "pictures", given.batch, given.size)
        with serving(folder / "burst", queue=given.queue) as server:
            found["burst"] = burst(server, paths, requests=given.requests, clients=given.clients)
        with serving(folder / "server", queue=max(100, given.batch)) as server:
            if given.rounds:
                found["throughput"] = compare(server, paths, folder, rounds=given.rounds)
            if given.pictures:
                found["memory"] = memory(server, paths, count=given.pictures)
    print(json.dumps(found, indent=2))
    missed = [key for key, part in found.items() if isinstance(part, dict) and part.get("reached") is False]
    for key in missed:
        print(f"{key}: the goal is missed", file=sys.stderr)
    return 1 if missed else 0


def _family(pid: int) -> list[int]:
    """A process and all that it started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return [pid, *(process for child in children for process in _family(child))]


def _proportional(pid: int) -> int:
    """Proportional set size of a process in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main())
