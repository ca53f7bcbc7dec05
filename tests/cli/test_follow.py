"""`mafdn upscale --jsonl`: a line for every picture while the run goes on."""

import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mafdn.errors import MafdnError
from tests.conftest import Run
from tests.support import Repeat, draw
from tests.upscaling.conftest import Networks, names, upscale

PROGRAM = """
import sys
import mafdn.api
from mafdn.upscaling.folder import pipeline
from tests.cli.test_follow import Remembering, Stepped
from tests.upscaling.conftest import Networks
mafdn.api.network_set = lambda *_: Networks(engine=Stepped)
pipeline.ThreadPoolExecutor = Remembering
from mafdn.cli import main
main()
"""
"""The command with a network that waits for a line on standard input before every picture."""


class Remembering(ThreadPoolExecutor):
    """Remembers what the threads do that write pictures."""

    writing: ClassVar[list[Future[Any]]] = []

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        future = super().submit(*arguments, **options)
        if self._thread_name_prefix == "finish":
            self.writing.append(future)
        return future


class Stepped(Repeat):
    def run(self, x: np.ndarray) -> np.ndarray:
        sys.stdin.readline()
        wait(Remembering.writing)  # the pictures before, which are reported after this one
        return super().run(x)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four pictures, one of them damaged."""
    for seed, name in enumerate("abcd"):
        draw(tmp_path / "in" / f"{name}.png", seed)
    (tmp_path / "in" / "b.png").write_text("no picture")
    return tmp_path / "in"


def start(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "upscale", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_lines_are_printed_while_the_run_goes_on(pictures: Path, tmp_path: Path) -> None:
    process = start(pictures, "-o", tmp_path / "out", "-s", 2, "--jsonl", "--report", tmp_path / "report.json")
    assert process.stdin
    assert process.stdout
    assert process.stderr

    def line() -> dict[str, Any]:
        assert process.stdout
        return json.loads(process.stdout.readline())

    def step() -> None:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()

    begun = line()
    assert begun["event"] == "start"
    assert begun["counts"] == {"done": 0, "kept": 0, "failed": 1, "left": 3, "skipped": 0}
    assert begun["settings"]["scale"] == 2
    events = [line()]
    assert (events[0]["event"], events[0]["status"], Path(events[0]["source"]).name) == ("picture", "failed", "b.png")
    step()
    step()  # the first picture is reported while the third has not begun
    events.append(line())
    assert (events[1]["status"], events[1]["new_size"], Path(events[1]["target"]).name) == (
        "done",
        [32, 24],
        "a_x2.png",
    )
    assert (tmp_path / "out" / "a_x2.png").is_file()
    assert process.poll() is None
    step()
    events += [line(), line()]
    end = line()
    assert process.stdout.read() == ""
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == "mafdn: 1 of 4 pictures failed\n"
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    assert (end["event"], end["counts"]["done"], end["stopped"]) == ("end", 3, None)
    report = json.loads((tmp_path / "report.json").read_text())
    assert {name: value for name, value in end.items() if name != "event"} == {
        name: value for name, value in report.items() if name != "pictures"
    }
    for event in events:
        assert event.pop("event") == "picture"
    assert sorted(events, key=lambda event: event["source"]) == report["pictures"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_run_that_is_stopped_names_what_is_left(pictures: Path, tmp_path: Path) -> None:
    process = start(pictures, "-o", tmp_path / "out", "-s", 2, "--jsonl")
    assert process.stdin
    assert process.stdout
    assert process.stderr
    assert json.loads(process.stdout.readline())["event"] == "start"
    assert json.loads(process.stdout.readline())["status"] == "failed"
    process.stdin.write("\n\n")
    process.stdin.flush()
    events = [json.loads(process.stdout.readline())]
    process.send_signal(2)
    process.stdin.close()
    events += [json.loads(line) for line in process.stdout]
    assert process.stderr.read().endswith("mafdn: stopped\n")
    assert process.wait(timeout=60) == 130
    process.stdout.close()
    process.stderr.close()
    assert events[-1]["event"] == "end"
    assert events[-1]["stopped"] == "stopped by hand"
    assert len({event["source"] for event in events[:-1]}) == len(events) - 1 == 3
    assert {event["status"] for event in events[:-1]} == {"done", "left"}
    assert events[-1]["counts"]["left"] == sum(event.get("status") == "left" for event in events)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes as POSIX has them")
def test_a_reader_that_leaves_ends_the_run_quietly(pictures: Path, tmp_path: Path) -> None:
    process = start(pictures, "-o", tmp_path / "out", "-s", 2, "--jsonl")
    assert process.stdout
    assert json.loads(process.stdout.readline())["event"] == "start"
    process.stdout.close()
    _, err = process.communicate("\n" * 4, timeout=60)
    assert (process.returncode, err) == (1, "")
    again = upscale(pictures, tmp_path / "out")
    assert again.counts["failed"] == 1
    assert names(tmp_path / "out") == ["a_x2.png", "c_x2.png", "d_x2.png"]


def test_a_dry_run_has_lines_too(cli: Run, pictures: Path, tmp_path: Path) -> None:
    code, out, err = cli("upscale", pictures, "-o", tmp_path / "out", "-s", 2, "--jsonl", "--dry-run")
    assert (code, err) == (1, "mafdn: 1 of 4 pictures failed\n")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["start", *["picture"] * 4, "end"]
    assert [event.get("reason") for event in events[2:5]] == ["new"] * 3
    assert events[-1]["estimate"]["seconds"] > 0
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_is_an_error_without_lines(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, out, err = cli("upscale", tmp_path / "in", "--jsonl")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_network_that_cannot_be_opened_ends_the_lines(
    cli: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Networks):
        def engine(self, scale: int, *, bits: int) -> Repeat:  # noqa: ARG002
            raise MafdnError("the engine is not there")

    monkeypatch.setattr("mafdn.api.network_set", lambda *_: Broken())  # pyright: ignore[reportUnknownLambdaType]
    code, out, err = cli("upscale", pictures, "-o", tmp_path / "out", "--jsonl")
    assert (code, err) == (1, "mafdn: the engine is not there\n")
    assert json.loads(out.splitlines()[-1]) == {"event": "end", "error": "the engine is not there"}
