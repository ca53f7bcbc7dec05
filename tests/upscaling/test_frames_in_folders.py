"""Animations and pages among the pictures of a folder."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mafdn._support.atomic import temporary_name
from mafdn.pictures.writing import part_of
from mafdn.upscaling.folder.manifest import RESULT_VERSION, settings_digest
from mafdn.upscaling.folder.report import FolderProgress
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import MANIFEST
from mafdn.upscaling.size import Size
from tests.conftest import Run
from tests.support import draw
from tests.upscaling.conftest import names, status, upscale


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with an animation, a document and a picture."""
    folder = tmp_path / "mixed"
    draw(folder / "a.jpg")
    frames = [Image.fromarray(noise((10, 12, 3), seed)) for seed in range(4)]
    frames[0].save(folder / "b.png", save_all=True, append_images=frames[1:], duration=70)
    with tifffile.TiffWriter(folder / "c.tif") as file:
        for seed, shape in enumerate(((10, 12, 3), (30, 20, 3))):
            file.write(noise(shape, seed), photometric="rgb", metadata=None)
    return folder


def frames_of(path: Path) -> int:
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1)


def test_folders_are_upscaled_with_all_frames_and_pages(mixed: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", list[FolderProgress]()
    report = upscale(mixed, out, on_progress=seen.append)
    assert {item.source.name: (item.status, item.frames) for item in report.items} == {
        "a.jpg": ("done", 1),
        "b.png": ("done", 4),
        "c.tif": ("done", 2),
    }
    assert [frames_of(out / name) for name in names(out)] == [1, 4, 2]
    total = 4 * (12 * 16 + 4 * 10 * 12 + 10 * 12 + 30 * 20)
    done = [at.done for at in seen if at.phase == "upscaling"]
    assert {at.total for at in seen if at.phase == "upscaling"} == {total}
    assert done == sorted(done)
    assert upscale(mixed, out).counts["kept"] == 3


def test_the_choice_of_a_frame_is_a_setting(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(mixed, out)
    report = upscale(mixed, out, frame=2)
    assert status(report) == {"a.jpg": "failed", "b.png": "done", "c.tif": "done"}
    assert {item.reason for item in report.with_status("done")} == {"other settings"}
    assert "a.jpg has no frame or page 2" in (report.failed[0].reason or "")
    assert [frames_of(out / name) for name in names(out)] == [1, 1, 1]
    assert upscale(mixed, out, frame=2).counts["kept"] == 2


def test_manifests_of_single_pictures_stay_valid() -> None:
    size, output = Size(scale=2), Output()
    parts = [RESULT_VERSION, asdict(size), 1.0, asdict(output), False, ".jpg"]
    before = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def digest(**more: Any) -> str:
        return settings_digest(size, 1.0, output, exact=False, ending=".jpg", **more)

    assert digest() == digest(count=1) == before
    assert len({before, digest(count=2), digest(frame=1), digest(frame=2)}) == 4
    assert digest(count=2) == digest(count=3)


@pytest.mark.parametrize("name", ["b_x2.png", "c_x2.tif"])
def test_damage_in_the_last_frame_or_page_is_noticed(mixed: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    upscale(mixed, out)
    data = bytearray((out / name).read_bytes())
    if name.endswith(".png"):
        place = data.rindex(b"fdAT") + 20
    else:
        with tifffile.TiffFile(out / name) as file:
            place = int(file.pages[1].tags["StripOffsets"].value[0])  # pyright: ignore
    data[place : place + 100] = bytes(100)
    (out / name).write_bytes(data)
    report = upscale(mixed, out)
    assert {(item.target or Path()).name: item.reason for item in report.with_status("done")} == {name: "damaged"}


def test_files_of_a_killed_run_are_removed(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(mixed, out)
    temporary = out / temporary_name()
    lines = (out / MANIFEST).read_text().splitlines()
    entry = next(json.loads(line) for line in lines if "b_x2.png" in line) | {"temporary": temporary.name}
    with (out / MANIFEST).open("a") as file:
        file.write(json.dumps(entry) + "\n")
    part = part_of(temporary)
    assert part != temporary
    for path in (temporary, part):
        path.write_bytes(b"unfinished")
    upscale(mixed, out)
    assert not temporary.exists()
    assert not part.exists()


def test_the_command_takes_frames_and_pages(mixed: Path, tmp_path: Path, cli: Run) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        return cli("upscale", *arguments, "--strength", 0, "--scale", 2, "--json", "--network", "x2")

    code, out, _ = run(mixed / "b.png", tmp_path / "all.gif")
    assert (code, json.loads(out)["frames"], frames_of(tmp_path / "all.gif")) == (0, 4, 4)
    code, out, _ = cli("upscale", mixed / "b.png", tmp_path / "b.webp", "--scale", 2, "--strength", 0)
    assert "12x10 to 24x20, 4 frames or pages, in" in out
    code, out, _ = run(mixed / "b.png", tmp_path / "one.gif", "--frame", "first")
    assert (code, json.loads(out)["frames"], frames_of(tmp_path / "one.gif")) == (0, 1, 1)
    code, out, _ = run(mixed / "c.tif", tmp_path / "two.tif", "--page", 2)
    assert (code, json.loads(out)["size"]) == (0, [20, 30])
    code, _, error = run(mixed / "c.tif", tmp_path / "three.tif", "--page", 3)
    assert (code, error.count("\n")) == (1, 1)
    assert "c.tif has no frame or page 3, only 2" in error
    for wrong in ("0", "-1", "last", "1.5", ""):
        code, _, error = run(mixed / "c.tif", tmp_path / "no.tif", f"--page={wrong}")
        assert code == 2
        assert "--page" in error or "--frame" in error
