"""A server with an engine process: results are those of the command, to the byte."""

import json
import os
import signal
import time
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pyvips

from mafdn.web.processes import engine
from tests.conftest import Run
from tests.support import draw
from tests.web.conftest import Client

WAIT = 60.0
"""Seconds after which a test gives up."""


def wait_until_ready(client: Client) -> None:
    until = time.monotonic() + WAIT
    while client.get("/healthz").json()["status"] != "ok":
        assert time.monotonic() < until
        time.sleep(0.05)


def wait(client: Client, name: str, *states: str) -> dict[str, Any]:
    """Wait until a job is in one of these states (default: finished)."""
    until = time.monotonic() + WAIT
    while (job := client.get(f"/api/v1/jobs/{name}").json())["state"] not in (states or ("done", "failed", "canceled")):
        assert time.monotonic() < until, job
        time.sleep(0.02)
    return job


def queue_one(client: Client, path: Path, **options: str) -> dict[str, Any]:
    answer = client.post("/api/v1/jobs", files={"file": (path.name, path.read_bytes())}, data=options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def picture_with_everything(path: Path) -> Path:
    """A 16-bit picture with alpha, a profile and a resolution, or as much of that as its format has."""
    values = np.random.default_rng(3).integers(0, 65_536, (40, 50, 4), np.uint16)
    image = pyvips.Image.new_from_array(values, interpretation="rgb16").copy(xres=5, yres=5)
    image = image.icc_export(output_profile="p3", depth=16) if path.suffix in (".png", ".tif") else image
    image = image.flatten().cast("uchar", shift=True).copy(interpretation="srgb") if path.suffix == ".jpg" else image
    image.write_to_file(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "options", "arguments"),
    [
        ("a.jpg", {}, []),
        ("a.jpg", {"quality": "70", "strip_metadata": "true"}, ["--quality", "70", "--strip-metadata"]),
        ("a.png", {"width": "77"}, ["--width", "77"]),
        ("a.tif", {"scale": "1.5", "strength": "0.5"}, ["--scale", "1.5", "--strength", "0.5"]),
        ("a.png", {"format": "webp", "lossless": "1"}, ["--format", "webp", "--lossless"]),
        ("a.png", {"format": "tiff", "exact": "true", "tile": "96"}, ["--format", "tiff", "--exact", "--tile", "96"]),
    ],
)
def test_results_are_those_of_the_command(
    engine_client: Client,
    exported: Path,
    tmp_path: Path,
    cli: Run,
    name: str,
    options: dict[str, str],
    arguments: list[str],
) -> None:
    source = picture_with_everything(tmp_path / name)
    code, out, err = cli("upscale", source, "--network", exported, *arguments, "--json")
    assert code == 0, err
    report = json.loads(out)
    expected = Path(report["target"])
    direct = engine_client.post("/api/v1/upscale", files={"file": (name, source.read_bytes())}, data=options)
    assert direct.status_code == 200, direct.text
    assert direct.content == expected.read_bytes()
    assert f'filename="{expected.name}"' in direct.headers["content-disposition"]
    told = json.loads(direct.headers["x-mafdn-report"])
    for key in ("scale", "bits", "engine", "notes", "size", "new_size"):
        assert told[key] == report[key]
    job = wait(engine_client, queue_one(engine_client, source, **options)["id"])
    assert job["state"] == "done", job
    assert job["result_name"] == expected.name
    for _ in range(2):  # it can be downloaded more than once
        result = engine_client.get(f"/api/v1/jobs/{job['id']}/result")
        assert result.content == expected.read_bytes()
        assert result.headers["content-type"] == job["result_type"] == direct.headers["content-type"]
    assert engine_client.get(f"/api/v1/jobs/{job['id']}").json()["delivered"]


def test_animations_are_upscaled_whole(engine_client: Client, exported: Path, tmp_path: Path, cli: Run) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (60, 24, 3), np.uint8)
    image = pyvips.Image.new_from_array(frames, interpretation="srgb").copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", 20)
    image.write_to_file(str(tmp_path / "a.gif"))
    assert cli("upscale", tmp_path / "a.gif", "--network", exported)[0] == 0
    job = wait(engine_client, queue_one(engine_client, tmp_path / "a.gif")["id"])
    assert (job["frames"], job["size"], job["new_size"]) == (3, [24, 20], [48, 40])
    result = engine_client.get(f"/api/v1/jobs/{job['id']}/result").content
    assert result == (tmp_path / "a_x2.gif").read_bytes()


def test_shipped_networks_can_be_named(engine_client: Client, tmp_path: Path) -> None:
    job = queue_one(engine_client, draw(tmp_path / "a.png"), network="x3")
    assert job["new_size"] == [48, 36]
    assert wait(engine_client, job["id"])["report"]["scale"] == 3


def test_the_choice_of_weights_is_reported(engine_client: Client, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    pyvips.Image.new_from_array(noise, interpretation="srgb").jpegsave(str(tmp_path / "a.jpg"), Q=40)
    job = wait(engine_client, queue_one(engine_client, tmp_path / "a.jpg", network="auto", scale="2")["id"])
    assert job["report"]["weights"] == {"variant": "photo", "reason": "JPEG quality 40", "jpeg_quality": 40}


def test_nothing_is_left_of_a_direct_request(engine_client: Client, tmp_path: Path) -> None:
    before = set((engine_client.settings.folder / "jobs").iterdir())
    content = draw(tmp_path / "a.png").read_bytes()
    assert engine_client.post("/api/v1/upscale", content=content).status_code == 200
    assert engine_client.post("/api/v1/upscale", content=content[:-30]).status_code == 422
    assert set((engine_client.settings.folder / "jobs").iterdir()) == before


def test_damaged_pictures_fail_in_the_words_of_the_command(
    engine_client: Client, exported: Path, tmp_path: Path, cli: Run
) -> None:
    path = draw(tmp_path / "broken.png", size=(64, 64))
    path.write_bytes(path.read_bytes()[:4_000])
    _, _, err = cli("upscale", path, "--network", exported)
    words = err.removeprefix("mafdn: ").replace(f"{tmp_path}/", "").partition(" (")[0]  # before those of libvips
    assert words == "broken.png seems damaged or incomplete"
    files = {"file": (path.name, path.read_bytes())}
    answer = engine_client.post("/api/v1/upscale", files=files)
    assert (answer.status_code, answer.json()["error"].partition(" (")[0]) == (422, words)
    job = wait(engine_client, queue_one(engine_client, path)["id"])
    assert (job["state"], job["error"].partition(" (")[0], job["retryable"]) == ("failed", words, True)
    small = engine_client.post("/api/v1/upscale", files=files, data={"max_pixels": "9"})
    assert small.status_code == 422
    assert small.json()["error"].startswith("broken.png has 64x64 pixels")


def test_results_are_compared_by_tiles(engine_client: Client, tmp_path: Path) -> None:
    job = wait(engine_client, queue_one(engine_client, draw(tmp_path / "a.png", size=(60, 80)))["id"])
    path = f"/api/v1/jobs/{job['id']}"
    result = pyvips.Image.new_from_buffer(engine_client.get(f"{path}/result").content, "").numpy()
    tile = engine_client.get(f"{path}/preview/after?x=100&y=50&width=1000&height=20&version={job['version']}")
    assert tile.headers["content-type"] == "image/png"
    assert "immutable" in tile.headers["cache-control"]
    np.testing.assert_array_equal(pyvips.Image.new_from_buffer(tile.content, "").numpy(), result[50:70, 100:])
    before = engine_client.get(f"{path}/preview/before?reduce=2&width=80&height=60&format=webp")
    assert before.headers["content-type"] == "image/webp"
    drawn = pyvips.Image.new_from_buffer(before.content, "")
    assert (drawn.width, drawn.height) == (80, 60)
    thumbnail = pyvips.Image.new_from_buffer(engine_client.get(f"{path}/thumbnail?size=40").content, "")
    assert (thumbnail.width, thumbnail.height) == (40, 30)
    assert engine_client.get(f"{path}/preview/after?x=5000").status_code == 422
    for wrong in ("preview/after?width=0", "preview/after?width=5000", "preview/after?x=-1", "preview/between"):
        answer = engine_client.get(f"{path}/{wrong}")
        assert answer.status_code == 422, wrong
        assert list(answer.json()) == ["error"]


def test_results_come_as_an_archive(engine_client: Client, tmp_path: Path) -> None:
    jobs = [queue_one(engine_client, draw(tmp_path / "a.png", n)) for n in range(2)]
    content = (tmp_path / "a.png").read_bytes()
    third = engine_client.post("/api/v1/jobs", files={"file": ("trip/a.png", content)}).json()
    ids = [wait(engine_client, job["id"])["id"] for job in (*jobs, third)]
    answer = engine_client.get(f"/api/v1/results.zip?ids={','.join(ids)}")
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a_x2.png", "a_x2 (2).png", "trip/a_x2.png"]
        single = engine_client.get(f"/api/v1/jobs/{ids[0]}/result").content
        assert archive.read("a_x2.png") == single
    assert all(engine_client.get(f"/api/v1/jobs/{name}").json()["delivered"] for name in ids)


def restarts(client: Client) -> int:
    """How often engine processes of the server were started again, by its metrics."""
    lines = client.get("/metrics").text.splitlines()
    return round(float(next(line.split()[1] for line in lines if line.startswith("mafdn_engine_restarts_total "))))


def suspended(client: Client) -> int:
    """Suspend the engine process once it is idle, so that it finishes no picture; returns its number."""
    process = client.service.queue.processes[0]
    until = time.monotonic() + WAIT
    while not (process.ready and process.idle):
        assert time.monotonic() < until
        time.sleep(0.02)
    number = process._child._process.pid
    os.kill(number, signal.SIGSTOP)
    return number


def test_running_work_is_canceled_at_once(engine_client: Client, tmp_path: Path) -> None:
    before = restarts(engine_client)
    job = queue_one(engine_client, draw(tmp_path / "large.png", size=(1200, 1200)), tile="96")
    wait(engine_client, job["id"], "running")
    service = engine_client.service
    assert engine_client.delete(f"/api/v1/jobs/{job['id']}").json()["state"] == "canceled"
    held = service.store.get(job["id"])
    until = time.monotonic() + WAIT
    while service.queue.is_stopping(held):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert {path.name for path in service.store.folder_of(held).iterdir()} == {"job.json", "source.png"}
    assert restarts(engine_client) == before
    assert engine_client.post(f"/api/v1/jobs/{job['id']}/retry", json={"width": 50}).status_code == 202
    assert wait(engine_client, job["id"])["new_size"] == [50, 50]


def test_a_removed_job_is_gone_although_it_runs(engine_client: Client, tmp_path: Path) -> None:
    job = queue_one(engine_client, draw(tmp_path / "large.png", size=(1200, 1200)), tile="96")
    wait(engine_client, job["id"], "running")
    for expected in (202, 204):
        assert engine_client.delete(f"/api/v1/jobs/{job['id']}").status_code == expected
    assert engine_client.get(f"/api/v1/jobs/{job['id']}").status_code == 404
    folder = engine_client.settings.folder / "jobs" / job["id"]
    until = time.monotonic() + WAIT
    while folder.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_engine_process_that_ends_fails_only_its_picture(engine_client: Client, tmp_path: Path) -> None:
    before = restarts(engine_client)
    number = suspended(engine_client)
    first = queue_one(engine_client, draw(tmp_path / "a.png"))
    wait(engine_client, first["id"], "running")
    os.kill(number, signal.SIGKILL)
    failed = wait(engine_client, first["id"])
    assert failed["state"] == "failed"
    assert "signal 9" in failed["error"]
    assert failed["retryable"]
    assert wait(engine_client, queue_one(engine_client, draw(tmp_path / "a.png"))["id"])["state"] == "done"
    assert restarts(engine_client) == before + 1


def test_pictures_that_were_together_in_a_lost_process_are_tried_alone(engine_client: Client, tmp_path: Path) -> None:
    number = suspended(engine_client)
    jobs = [queue_one(engine_client, draw(tmp_path / f"{n}.png", n)) for n in range(2)]
    for job in jobs:
        wait(engine_client, job["id"], "running")
    os.kill(number, signal.SIGKILL)
    assert [wait(engine_client, job["id"])["state"] for job in jobs] == ["done", "done"]


def test_previews_are_only_kept_under_the_version_of_the_job(engine_client: Client, tmp_path: Path) -> None:
    first = wait(engine_client, queue_one(engine_client, draw(tmp_path / "a.png"))["id"])
    path = f"/api/v1/jobs/{first['id']}"
    assert engine_client.post(f"{path}/retry", json={"width": 24}).status_code == 202
    again = wait(engine_client, first["id"])
    assert again["version"] != first["version"]
    for which in ("preview/after?", "preview/before?", "thumbnail?"):
        kept = engine_client.get(f"{path}/{which}version={again['version']}").headers["cache-control"]
        others = [engine_client.get(f"{path}/{which}{query}") for query in ("", f"version={first['version']}")]
        assert "immutable" in kept
        assert [other.headers["cache-control"] for other in others] == ["private, no-cache"] * 2


def test_headers_alone_are_no_download(engine_client: Client, tmp_path: Path) -> None:
    job = wait(engine_client, queue_one(engine_client, draw(tmp_path / "a.png"))["id"])
    path = f"/api/v1/jobs/{job['id']}"
    for address in (f"{path}/result", f"/api/v1/results.zip?ids={job['id']}"):
        head = engine_client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-disposition"].startswith("attachment")
    assert int(engine_client.head(f"{path}/result").headers["content-length"]) == job["result_bytes"]
    assert not engine_client.get(path).json()["delivered"]


def test_options_of_another_version_fail_only_their_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    message = {"do": "run", "id": "a", "source": str(tmp_path / "a.png"), "network": "auto", "options": {"tile": 7}}
    messages = [message, {**message, "id": "b", "options": {}}]
    channel: Any = SimpleNamespace(messages=lambda: messages, send=lambda _event, **values: sent.append(values))
    worker = engine.EngineWorker(channel, {"engine": {}, "limits": {}, "network": "auto"})
    monkeypatch.setattr(engine.os, "_exit", lambda _: None)
    worker._listen()
    for _ in messages:
        worker._run_next(*worker._ready.get())
    faults = [(values["id"], values["failure"]["fault"]) for values in sent]
    assert faults == [("a", "UsageError"), ("b", "PictureError")]
