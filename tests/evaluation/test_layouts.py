"""HR and LR pictures in the layouts that people have, and what a measurement says of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.evaluation.benchset import read_bench
from mafdn.evaluation.layouts import MADE, bench_files, bench_name, find_bench
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize
from tests.conftest import Run
from tests.evaluation.conftest import noise, write_picture
from tests.support import failed

LAYOUTS = {
    "this project": ("Set5", "HR/{}.png", "LRbicx2/{}x2.png", "LRbicx2"),
    "BasicSR": ("Set5", "GTmod12/{}.png", "LRbicx2/{}.png", "LRbicx2"),
    "EDSR": ("Set5", "HR/{}.png", "LR_bicubic/X2/{}x2.png", "LR_bicubic/X2"),
    "EDSR, given by its HR folder": ("Set5/HR", "{}.png", "../LR_bicubic/X2/{}x2.png", "LR_bicubic/X2"),
    "IMDN": ("Set5", "{}.png", "../Set5_LR/x2/{}.png", "Set5_LR/x2"),
    "DIV2K": ("DIV2K_valid_HR", "{}.png", "../DIV2K_valid_LR_bicubic/X2/{}x2.png", "DIV2K_valid_LR_bicubic/X2"),
    "DIV2K, given by its root": (
        "DIV2K",
        "DIV2K_valid_HR/{}.png",
        "DIV2K_valid_LR_bicubic/X2/{}x2.png",
        "DIV2K_valid_LR_bicubic/X2",
    ),
    "SelfExSR": ("Urban100", "image_SRF_2/{}_SRF_2_HR.png", "image_SRF_2/{}_SRF_2_LR.png", "image_SRF_2"),
    "a plain folder": ("Set5", "HR/{}.png", "LR/{}.png", "LR"),
    "an underscore": ("Set5", "HR/{}.bmp.png", "lr/{}.bmp_x2.png", "lr"),
}


def write_set(root: Path, hr: str, lr: str, *, names: tuple[str, ...] = ("a", "b")) -> None:
    """Write HR pictures of noise, and LR pictures with half the brightness of reduced ones."""
    for number, name in enumerate(names):
        pixels = noise(number)
        write_picture(root / hr.format(name), pixels)
        write_picture(root / lr.format(name), imresize(pixels, 0.5) // 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lr_pictures_are_found(tmp_path: Path, layout: str) -> None:
    folder, hr, lr, label = LAYOUTS[layout]
    write_set(tmp_path / folder, hr, lr)
    found = find_bench(tmp_path / folder, 2)
    assert (len(found.pairs), found.lr_folder, found.unused) == (2, label, ())
    for picture in read_bench(tmp_path / folder, 2):
        assert np.array_equal(picture.lr, imresize(picture.hr, 0.5) // 2)
    assert find_bench(tmp_path / folder, 2, lr=MADE).lr_folder is None
    assert all(np.array_equal(p.lr, imresize(p.hr, 0.5)) for p in read_bench(tmp_path / folder, 2, lr=MADE))


def test_sets_are_named_after_their_folders(tmp_path: Path) -> None:
    for given, name in (
        ("Set5", "Set5"),
        ("Set5/HR", "Set5"),
        ("DIV2K_valid_HR", "DIV2K_valid"),
        ("Urban100/image_SRF_4", "Urban100"),
    ):
        (tmp_path / given).mkdir(parents=True, exist_ok=True)
        assert bench_name(tmp_path / given) == name


def test_lr_pictures_among_hr_pictures_are_not_measured(tmp_path: Path) -> None:
    write_set(tmp_path / "Urban100", "image_SRF_2/{}_HR.png", "image_SRF_2/{}_LR.png")
    (tmp_path / "Urban100" / "image_SRF_2" / "._a_HR.png").write_text("a hidden file of macOS")
    assert [path.name for path in bench_files(tmp_path / "Urban100", 2)] == ["a_HR.png", "b_HR.png"]
    assert list(find_bench(tmp_path / "Urban100" / "image_SRF_2", 2).pairs) == ["a_HR", "b_HR"]


def test_tables_and_json_say_where_lr_came_from(tmp_path: Path, cli: Run) -> None:
    write_set(tmp_path / "Own", "HR/{}.png", "LR_bicubic/X2/{}x2.png")
    write_set(tmp_path / "None", "HR/{}.png", "x/{}.png")
    arguments = ("evaluate", "--bench", tmp_path / "Own", "-s", 2, "--network", "lanczos", "--network", "bicubic")
    first = json.loads(cli(*arguments, "--bench", tmp_path / "None", "--json")[1])["scores"]
    assert [score["lr"]["source"] for score in first] == ["own", "own", "made", "made"]
    assert first[0]["lr"]["folder"] == "LR_bicubic/X2"
    again = json.loads(cli(*arguments, "--bench", tmp_path / "None", "--json")[1])["scores"]
    assert again == first, "from the cache"
    made = json.loads(cli(*arguments, "--lr", "made", "--json")[1])["scores"]
    assert made[0]["lr"]["sha256"] == first[2]["lr"]["sha256"] != first[0]["lr"]["sha256"]
    assert made[0]["mean"] == first[2]["mean"]
    code, out, _ = cli(*arguments)
    assert code == 0
    assert f"Own x2: LR own (LR_bicubic/X2), SHA-256 {first[0]['lr']['sha256'][:12]}" in out
    assert "LR made by bicubic reduction" in cli(*arguments, "--lr", "made")[1]


def test_the_hash_is_of_pixels_not_of_files(tmp_path: Path, cli: Run) -> None:
    write_set(tmp_path / "Set", "HR/{}.png", "LR/{}.png")
    arguments = ("evaluate", "--bench", tmp_path / "Set", "-s", 2, "--network", "bicubic", "--json")
    first = json.loads(cli(*arguments)[1])["scores"][0]
    for path in (tmp_path / "Set").glob("*/*.png"):
        image = pyvips.Image.new_from_array(read_rgb8(path), interpretation="srgb")
        image.pngsave(str(path), compression=0)
    assert json.loads(cli(*arguments)[1])["scores"][0] == first
    assert len(first["hr_sha256"]) == len(first["lr"]["sha256"]) == 64
    write_picture(tmp_path / "Set" / "HR" / "a.png", noise(7))
    changed = json.loads(cli(*arguments)[1])["scores"][0]
    assert (changed["lr"], changed["hr_sha256"] == first["hr_sha256"]) == (first["lr"], False)


def test_unused_lr_pictures_are_noted(tmp_path: Path, cli: Run) -> None:
    write_set(tmp_path / "Set", "HR/{}.png", "LR_unknown/{}.png")
    arguments = ("evaluate", "--bench", tmp_path / "Set", "-s", 2, "--network", "bicubic")
    code, _, err = cli(*arguments)
    assert code == 0
    assert err == (
        "note: the LR pictures of Set were made by bicubic reduction: LR_unknown has none for x2 under a known name; "
        "set lr to that folder to use it\n"
    )
    assert cli(*arguments, "--lr", "made")[2] == ""


def test_lr_pictures_that_do_not_fit_are_named(tmp_path: Path, cli: Run) -> None:
    write_set(tmp_path / "Set", "HR/{}.png", "LR/{}.png")
    arguments = ("evaluate", "--bench", tmp_path / "Set", "-s", 2, "--network", "bicubic")
    write_picture(tmp_path / "Set" / "LR" / "b.png", noise(1, 16, 16))
    failed(cli(*arguments), 1, tmp_path / "Set" / "LR" / "b.png", "16x16", "48x40", "(--lr)")
    (tmp_path / "Set" / "LR" / "b.png").unlink()
    failed(
        cli(*arguments),
        1,
        "no LR picture for",
        tmp_path / "Set" / "HR" / "b.png",
        "bx2, b_x2, b",
        "set lr to made (--lr)",
    )
    assert cli(*arguments, "--lr", "made")[0] == 0


@pytest.mark.parametrize("lr", ["HR/{}x2.png", "HR/{}_x2.png", "HR/{}X2.png"])
def test_lr_pictures_among_hr_pictures_are_refused(tmp_path: Path, cli: Run, lr: str) -> None:
    write_set(tmp_path / "Set", "HR/{}.png", lr)
    arguments = ("evaluate", "--bench", tmp_path / "Set", "-s", 2, "--network", "bicubic")
    first = lr.removeprefix("HR/").format("a")
    moved = tmp_path / "Set" / "LRbicx2"
    failed(cli(*arguments), 2, f"HR and LR pictures (a.png, {first})", f"move the LR pictures into {moved}")
    moved.mkdir()
    for name in "ab":
        (tmp_path / "Set" / lr.format(name)).rename(moved / f"{name}x2.png")
    found = find_bench(tmp_path / "Set", 2)
    assert (len(found.pairs), found.lr_folder) == (2, "LRbicx2")


def test_names_that_only_end_like_a_scale_are_hr_pictures(tmp_path: Path) -> None:
    write_set(tmp_path / "Set", "HR/{}.png", "LRbicx2/{}.png", names=("vx2", "x2", "tux4"))
    assert len(bench_files(tmp_path / "Set")) == 3
