"""Building banks: layout, processes, resuming, excluded benchmark pictures, and the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mafdn.errors import ConfigError, MafdnError, PictureError
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import ORIENTATIONS, SAME, imresize, modulo_crop, nearest, orient, orient_back, perceptual_hashes
from mafdn.training.data import build
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.processes import spread
from tests.conftest import Run
from tests.support import failed

Pixels = NDArray[np.uint8]


def scene(seed: int, height: int = 96, width: int = 128) -> Pixels:
    """A smooth (H, W, 3) picture unlike that of any other seed."""
    blots = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return imresize(blots, shape=(height, width))


def save(picture: Pixels, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(picture), interpretation="srgb")
    image.jpegsave(str(path), Q=60) if path.suffix == ".jpg" else image.pngsave(str(path))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    for i in range(9):
        save(scene(i), folder / f"{i}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- layout


def test_a_bank_has_the_pictures_and_their_reductions(bank: Bank, photos: Path) -> None:
    assert [p.name for p in bank.pictures] == ["0.png", "1.png", "deeper/2.png"]
    for i, picture in enumerate(bank.pictures):
        hr = modulo_crop(read_rgb8(photos / picture.name), 6)
        assert np.array_equal(bank.hr(i), hr)
        for scale in (2, 3):
            assert np.array_equal(bank.lr(i, scale), imresize(hr, 1 / scale))
        assert picture.gradient > 20
        assert len(picture.sha256) == 64
        assert int(picture.hash, 16) == perceptual_hashes(read_rgb8(photos / picture.name))[0]
    assert bank.size == sum(p.stat().st_size for p in bank.folder.rglob("*.u8"))


def test_shards_have_consecutive_files(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARD", 4)
    save(scene(3)[:5], many / "3.png")  # too small for the scales
    bank = build_bank([many], tmp_path / "bank", scales=(4, 3), workers=1)
    names = {shard: [bank.pictures[i].name[0] for i in indices] for shard, indices in bank.shards.items()}
    assert names == {0: ["0", "1", "2"], 1: ["4", "5", "6", "7"], 2: ["8"]}
    assert sorted(p.name for p in bank.folder.iterdir()) == ["00000", "00001", "00002", "bank.json"]
    assert [p.offset for p in bank.pictures] == [96 * 120 * i for i in (0, 1, 2, 0, 1, 2, 3, 0)]
    for i, picture in enumerate(bank.pictures):
        assert np.array_equal(bank.hr(i), scene(int(picture.name[0]))[:, :120])


def test_a_bank_is_built_once(bank: Bank, photos: Path) -> None:
    before = (bank.folder / "00000" / "hr.u8").stat()
    again = build_bank([photos], bank.folder, scales=(3, 2))
    assert again.pictures == bank.pictures
    assert (bank.folder / "00000" / "hr.u8").stat() == before


def test_a_bank_of_other_pictures_is_rejected(bank: Bank, photos: Path, many: Path) -> None:
    def refused(*, scales: Sequence[int] = (2, 3), exclude: Sequence[Path] = ()) -> str:
        with pytest.raises(ConfigError, match=r"is a different bank: .*; choose another folder") as caught:
            build_bank([photos], bank.folder, scales=scales, exclude=exclude)
        return str(caught.value)

    assert "its scales are 2, 3, not 2, 4;" in refused(scales=(4, 2))
    assert "it excludes nothing, not many (9 files);" in refused(exclude=[many])
    (photos / "1.png").unlink()
    assert "it was made from photos (3 files), not photos (2 files);" in refused()
    both = refused(scales=(2,), exclude=[many])
    assert "its scales are 2, 3, not 2 and it excludes nothing, not many (9 files) and it was made from" in both


def test_banks_of_earlier_versions_are_compared_by_their_fingerprint(bank: Bank, photos: Path, many: Path) -> None:
    manifest = json.loads((bank.folder / "bank.json").read_text())
    assert manifest.pop("sources")["folders"][0]["files"] == 3
    (bank.folder / "bank.json").write_text(json.dumps(manifest))
    assert build_bank([photos], bank.folder, scales=(3, 2)).sources is None
    with pytest.raises(ConfigError, match="its pictures, scales or excluded benchmark datasets are different"):
        build_bank([photos], bank.folder, scales=(2, 3), exclude=[many])


def test_missing_sources_and_banks_give_a_one_line_error(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("nowhere", "empty"):
        with pytest.raises(ConfigError, match=source):
            build_bank([tmp_path / source], tmp_path / "bank", scales=(2,))
        with pytest.raises(ConfigError, match=source):
            build_bank([photos], tmp_path / "bank", scales=(2,), exclude=[tmp_path / source])
    with pytest.raises(ConfigError, match=r"empty has no bank\.json, so it is not a training bank"):
        open_bank(tmp_path / "empty")


def test_damaged_and_older_banks_give_a_one_line_error(bank: Bank) -> None:
    lr = bank.folder / "00000" / "lr_x3.u8"
    lr.write_bytes(lr.read_bytes()[:-1])
    with pytest.raises(
        ConfigError, match=r"lr_x3\.u8 is not .* choose the folder of a bank, or build a new one in another folder"
    ):
        open_bank(bank.folder)
    (bank.folder / "bank.json").write_text('{"version": 1, "pictures": []}')
    with pytest.raises(ConfigError, match="version 1, not 2; build a new bank in another folder"):
        open_bank(bank.folder)


# --- processes and resuming


def test_workers_do_not_change_a_bank(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARD", 2)
    reported: list[tuple[int, int]] = []
    a = build_bank([many], tmp_path / "a", scales=(2, 3), workers=1)
    b = build_bank([many], tmp_path / "b", scales=(2, 3), workers=2, on_progress=lambda *p: reported.append(p))
    assert contents(a.folder) == contents(b.folder)
    assert reported[-1] == (9, 9)
    assert reported == sorted(reported)


BUILD_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from mafdn.training.data import build

def kill(done, total):
    if done >= 4:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        print(children.read_text() if children.exists() else "", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    build.SHARD = 2
    build.build_bank([Path(sys.argv[1])], Path(sys.argv[2]), scales=(2, 3), workers=2, on_progress=kill)
"""


def running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_killed_build_resumes(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, partial = tmp_path / "bank", tmp_path / "bank.partial"
    command = [sys.executable, "-c", BUILD_UNTIL_KILLED, str(many), str(folder)]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while any(running(int(pid)) for pid in killed.stdout.split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(running(int(pid)) for pid in killed.stdout.split()), "a worker outlived its parent"
    assert not folder.exists()
    kept = {shard.name: (shard / "hr.u8").stat().st_ino for shard in partial.glob("?????")}
    assert 2 <= len(kept) <= 5  # a fast worker may have finished the last one before it died
    (partial / "00004.partial").mkdir(exist_ok=True)  # left by a killed worker
    (partial / "00004.partial" / "hr.u8").write_bytes(b"half")
    (partial / "00005").mkdir()  # left by a build of more pictures
    monkeypatch.setattr(build, "SHARD", 2)
    finished = build_bank([many], folder, scales=(2, 3), workers=1)
    assert {name: (folder / name / "hr.u8").stat().st_ino for name in kept} == kept
    assert contents(folder) == contents(build_bank([many], tmp_path / "whole", scales=(2, 3), workers=1).folder)
    assert len(finished.pictures) == 9
    assert not partial.exists()


@pytest.mark.parametrize("name", ["2024/beach.png", "00001/beach.png", "00001.partial/hr.u8/x", "notes.txt", "0001"])
def test_a_build_removes_nothing_but_its_own_shards(many: Path, tmp_path: Path, name: str) -> None:
    """A folder of photographs may be called as an unfinished bank, and its folders as shards."""
    partial = tmp_path / "bank.partial"
    own = partial / name
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    before = contents(partial)
    with pytest.raises(ConfigError, match="is not part of an unfinished bank; choose another folder"):
        build_bank([many], tmp_path / "bank", scales=(2, 3), workers=1)
    assert contents(partial) == before


def test_files_of_the_system_are_no_pictures_and_stop_no_build(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SHARD", 3)
    expected = build_bank([many], tmp_path / "clean", scales=(2,), workers=1)
    (many / "._0.png").write_text("no picture")
    (many / ".hidden").mkdir()
    save(scene(20), many / ".hidden" / "a.png")
    partial = tmp_path / "bank.partial"
    (partial / "00000").mkdir(parents=True)
    for stray in ("desktop.ini", "00000/.DS_Store", "00000/Thumbs.db"):
        (partial / stray).write_text("")
    bank = build_bank([many], tmp_path / "bank", scales=(2,), workers=1)
    assert (bank.fingerprint, bank.digest) == (expected.fingerprint, expected.digest)


def test_nothing_advises_to_delete_what_may_be_photographs(many: Path, cli: Run) -> None:
    before = contents(many)
    result = cli("bank", "info", many)
    failed(result, 2, "has no bank.json", "mafdn bank build")
    (many / "bank.json").write_text("{}")
    damaged = cli("bank", "info", many)
    failed(damaged, 2, "choose the folder of a bank, or build a new one in another folder")
    texts = (result[2] + damaged[2]).replace(str(many), "")
    assert not any(word in texts.lower() for word in ("delete", "remove", "clear"))
    (many / "bank.json").unlink()
    assert contents(many) == before


def test_a_failed_build_keeps_valid_shards(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARD", 3)
    (many / "5.png").rename(many / "5.bak")
    (many / "5.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"5\.png"):
        build_bank([many], tmp_path / "bank", scales=(2,), workers=1)
    assert not (tmp_path / "bank").exists()
    first = (tmp_path / "bank.partial" / "00000" / "hr.u8").stat().st_ino
    (many / "5.png").unlink()
    assert len(build_bank([many], tmp_path / "bank", scales=(2,), workers=1).pictures) == 8
    assert (tmp_path / "bank" / "00000" / "hr.u8").stat().st_ino == first


def test_errors_and_deaths_of_workers_are_reported() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        spread(int, ["1", "x"], workers=2)
    with pytest.raises(MafdnError, match="fewer workers"):
        spread(os._exit, [3, 3], workers=2)


def test_stopping_does_not_wait_for_running_tasks() -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        spread(time.sleep, [0, 100], workers=2, on_done=stop)
    assert time.monotonic() - start < 30


def test_workers_do_not_import_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom mafdn.training.data.processes import spread\n"
        "print(spread(abs, [-1, -2, -3], workers=2), sys.modules['__main__'].__file__)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == (f"[1, 2, 3] {script}\n", "")


# --- benchmark pictures


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(ORIENTATIONS))
def test_orientations_are_undone(height: int, width: int, orientation: tuple[int, bool]) -> None:
    picture = np.arange(height * width * 3).reshape(height, width, 3)
    assert np.array_equal(orient_back(orient(picture, *orientation), *orientation), picture)


def test_there_are_eight_orientations() -> None:
    corner = np.arange(9).reshape(3, 3)
    assert len({orient(corner, *orientation).tobytes() for orientation in ORIENTATIONS}) == 8
    assert np.array_equal(orient(corner, *ORIENTATIONS[0]), corner)


@given(
    st.integers(0, 10**6),
    st.sampled_from(ORIENTATIONS),
    st.floats(0.5, 1.6),
    st.floats(0.6, 1.0),
    st.integers(50, 95),
)
# A threshold on a distance: one picture in thousands, strongly compressed and less than half as large, is 12 bits away.
@settings(deadline=None, max_examples=40, derandomize=True)
def test_a_changed_picture_is_recognized_and_another_is_not(
    seed: int, orientation: tuple[int, bool], size: float, contrast: float, quality: int
) -> None:
    picture = scene(seed)
    changed = (imresize(picture, size) * contrast + 20 * (1 - contrast)).astype(np.uint8)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(orient(changed, *orientation)), interpretation="srgb")
    changed = pyvips.Image.new_from_buffer(image.jpegsave_buffer(Q=quality), "").numpy()
    known = perceptual_hashes(picture)
    index, distance = nearest(perceptual_hashes(changed)[0], known)
    assert distance <= SAME
    assert ORIENTATIONS[index] == orientation
    assert nearest(perceptual_hashes(scene(seed + 1))[0], known)[1] > SAME


def test_benchmark_pictures_are_left_out(many: Path, tmp_path: Path, cli: Run) -> None:
    bench = tmp_path / "Set"
    save(np.rot90(scene(2)), bench / "turned.png")
    save(scene(5)[:, ::-1], bench / "HR" / "mirrored.jpg")
    save(imresize(scene(7), 0.5), bench / "half.png")
    save(scene(100), bench / "other.png")
    out = tmp_path / "bank"
    code, text, err = cli("bank", "build", many, "--scales", "2", "--exclude", bench, "-o", out, "--workers", 1)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert [line.partition(" (")[0] for line in lines[:3]] == [
        "excluded: 2.png is Set/turned.png",
        "excluded: 5.png is Set/HR/mirrored.jpg",
        "excluded: 7.png is Set/half.png",
    ]
    assert lines[3] == f"{out}: 6 pictures, 0.1 megapixels"
    bank = open_bank(out)
    assert [p.name[0] for p in bank.pictures] == list("013468")
    assert all(e.distance <= SAME for e in bank.excluded)
    assert np.array_equal(bank.hr(2), scene(3))
    only = tmp_path / "only"
    save(scene(2), only / "2.png")
    failed(cli("bank", "build", only, "--exclude", bench, "-o", tmp_path / "none"), 2, "1 are in a benchmark dataset")


# --- the command line


def test_info(bank: Bank, cli: Run) -> None:
    code, out, err = cli("bank", "info", bank.folder, "--json")
    assert (code, err) == (0, "")
    about = json.loads(out)
    gradients = [p.gradient for p in bank.pictures]
    assert (about["pictures"], about["scales"], about["excluded"], about["teachers"]) == (3, [2, 3], [], [])
    assert about["megapixels"] == pytest.approx((48 * 60 + 48 * 48 + 72 * 36) / 1e6)
    assert about["bytes"] == bank.size
    assert (about["gradient"]["0"], about["gradient"]["1"]) == (min(gradients), max(gradients))
    assert about["gradient"]["0.5"] == pytest.approx(np.median(gradients))
    code, out, err = cli("bank", "info", bank.folder)
    assert (code, err) == (0, "")
    assert "x2, x3" in out


def test_help_and_invalid_usage(bank: Bank, photos: Path, tmp_path: Path, cli: Run) -> None:
    for command in ("build", "info", "teach"):
        assert "Example" in cli("bank", command, "--help")[1]
    new = tmp_path / "new"
    failed(cli("bank", "build", photos), 2, "--output")
    failed(cli("bank", "build", "-o", new), 2, "DIR")
    for scales in ("5", "", "2,", "two"):
        failed(cli("bank", "build", photos, "-o", new, "--scales", scales), 2, "--scales", "2,3,4")
    failed(cli("bank", "build", tmp_path / "no", "-o", new), 2, "no is not a folder")
    failed(cli("bank", "build", photos, "-o", bank.folder, "--scales", "2"), 2, "its scales are 2, 3, not 2")
    failed(cli("bank", "build", photos, "-o", new, "--scales", "5"), 2, "--scales must list some of 2,3,4, not '5'")
    failed(cli("bank", "info", tmp_path / "no"), 2, "no does not exist; choose the folder of a bank")
    (tmp_path / "text").write_text("")
    failed(cli("bank", "info", tmp_path / "text"), 2, "text is a file, not a training bank; choose the folder")
    (photos / "bad.png").write_text("no picture")
    failed(cli("bank", "build", photos, "-o", new), 1, "bad.png")
    (photos / "bad.png").unlink()
    (tmp_path / "file").write_text("")
    failed(cli("bank", "build", photos, "-o", tmp_path / "file" / "bank"), 1, "cannot write the bank")
