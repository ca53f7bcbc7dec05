"""What `mafdn evaluate` writes and draws."""

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.evaluation.benchset import BenchPicture, Protocol
from mafdn.evaluation.outputs import ResultFolder, write_csv
from mafdn.evaluation.strips.drawing import StripPicture, draw_strip, most_different_crop
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize
from tests.conftest import Run
from tests.evaluation.conftest import noise, scores_of, write_picture
from tests.support import failed

X2 = Protocol(scale=2)


def test_the_strip_needs_matplotlib(bench: Path, monkeypatch: pytest.MonkeyPatch, cli: Run) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "mafdn.evaluation.strips.drawing", raising=False)
    monkeypatch.delitem(sys.modules, "mafdn.evaluation.strips.extremes", raising=False)
    result = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--strip", bench / "s.png")
    failed(result, 1, "--strip needs matplotlib", "mafdn[train]")


def test_csv(cli: Run, bench: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--csv", target, "--json")
    failed(cli(*arguments), 1, target, "exists", "--overwrite")
    assert target.read_text() == "old"
    code, out, _ = cli(*arguments, "--overwrite")
    assert code == 0
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [row["picture"] for row in rows] == ["a", "b", "c"] * 2
    scores = json.loads(out)["scores"]
    constant = {(row["bench"], row["scale"], row["channels"], row["lr"], row["lr_sha256"]) for row in rows}
    assert constant == {("Small", "2", "luma", "made", scores[0]["lr"]["sha256"])}
    for score, start in zip(scores, (0, 3), strict=True):
        mean = np.mean([float(row["psnr"]) for row in rows[start : start + 3]])
        assert (rows[start]["network"], mean) == (score["network"], pytest.approx(score["mean"]["psnr"]))
    write_csv(target, X2, [scores_of("a, b", math.inf)])
    assert target.read_text().splitlines()[1] == '"a, b",Set,2,luma,p0,inf,inf,,'


def test_results_are_saved(cli: Run, bench: Path, tmp_path: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos")
    assert cli(*arguments)[0] == 0
    assert cli(*arguments, "--save", tmp_path / "out")[0] == 0  # even if the scores are cached
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert names == [f"{n}/Small/x2/{p}.png" for n in ("bicubic", "lanczos") for p in ("a", "b", "c")]
    lr = imresize(read_rgb8(bench / "a.png"), 0.5)
    assert np.array_equal(read_rgb8(tmp_path / "out" / names[3]), imresize(lr, 2, kernel="lanczos3"))
    failed(cli(*arguments, "--save", tmp_path / "out"), 1, "not empty", "--overwrite")
    assert cli(*arguments, "--save", tmp_path / "out", "--overwrite")[0] == 0


def test_saved_names_never_collide(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "out", X2)
    pixels = noise(0)
    picture = BenchPicture(name="p", hr=pixels, lr=pixels)
    for network in ("x/n.pth", "x_n.pth", "../n"):
        folder.save("Set", network, picture, pixels)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("p.png"))
    assert found == ["out/n/Set/x2/p.png", "out/x_n.pth/Set/x2/p.png", "out/x_n.pth_/Set/x2/p.png"]


def test_the_most_different_crop() -> None:
    hr = noise(0, 64, 96)
    worse = hr.copy()
    worse[40:50, 60:70] ^= 64
    rows, columns = most_different_crop(hr, worse, hr, border=2, side=16)
    assert rows.start <= 40
    assert rows.stop >= 50
    assert columns.start <= 60
    assert columns.stop >= 70
    worse[:2] = ~hr[:2]  # edges are not measured
    assert most_different_crop(hr, worse, hr, border=2, side=16) == (rows, columns)
    assert most_different_crop(hr, worse, hr, border=2, side=500) == (slice(0, 64), slice(0, 96))


def test_a_strip_shows_pixels_as_they_are(tmp_path: Path) -> None:
    hr = noise(0, 96, 96)
    place = (slice(6, 90), slice(3, 87))
    picture = StripPicture(name="$a", hr=hr, results={"n" * 99: hr}, psnr={"n" * 99: 30.0}, place=place)
    draw_strip({"one": [picture], "none": []}, tmp_path / "strip.png")
    strip = read_rgb8(tmp_path / "strip.png")
    crop = hr[place].repeat(3, 0).repeat(3, 1)
    top = next(y for y in range(len(strip)) if np.array_equal(strip[y : y + 252, 284 : 284 + 252], crop))
    assert np.array_equal(strip[top : top + 252, 544 : 544 + 252], crop)


def test_a_strip_of_a_run(cli: Run, bench: Path, tmp_path: Path) -> None:
    target = tmp_path / "strip.png"
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--strip", target)
    code, out, _ = cli(*arguments)
    assert code == 0
    assert out.endswith(f"{target}\n")
    image = pyvips.Image.new_from_file(str(target))
    assert (image.width, image.height) == (2 * 24 + 4 * 260 - 8, 2 * 24 + 2 * 44 + 3 * 300 + 12)
    failed(cli(*arguments), 1, target, "exists", "--overwrite")
    flat = tmp_path / "flat"
    write_picture(flat / "p.png", np.full((40, 48, 3), 7, np.uint8))
    arguments = ("evaluate", "--bench", flat, "-s", 2, "--network", "lanczos", "--strip", target)
    failed(cli(*arguments, "--overwrite"), 2, "on any picture")


def test_crops_of_a_strip_are_chosen(cli: Run, bench: Path, tmp_path: Path) -> None:
    target = tmp_path / "strip.png"
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--strip", target, "--overwrite")
    assert cli(*arguments, "--crop", "b:8,16,24,12", "--crop", "Small/a:0,0,42,40")[0] == 0
    strip = read_rgb8(target)
    assert strip.shape[:2] == (2 * 24 + 44 + 2 * 300 + 12, 2 * 24 + 4 * 260 - 8)
    for number, (name, place) in enumerate({"b": np.s_[16:28, 8:32], "a": np.s_[0:40, 0:42]}.items()):
        crop = read_rgb8(bench / f"{name}.png")[place]
        zoom = 252 // max(crop.shape[:2])
        crop = crop.repeat(zoom, 0).repeat(zoom, 1)
        top, left = 24 + 32 + 300 * number, 24 + 260
        assert np.array_equal(strip[top : top + crop.shape[0], left : left + crop.shape[1]], crop)
    assert cli(*arguments, "--crop", "0,0,32,16")[0] == 0
    assert read_rgb8(target).shape[0] == 2 * 24 + 2 * 44 + 3 * 300 + 12
    for crop, word in (
        ("b:30,0,24,24", "not inside Small/b, which is 48x40"),
        ("b:1,2,3", "is not X,Y,W,H"),
        ("0,0,4,300", "8 to 252"),
        ("d:0,0,9,9", "not a picture of Small"),
    ):
        failed(cli(*arguments, "--crop", crop), 2, word)
    failed(cli(*arguments, "--crop", "0,0,9,9", "--crop", "9,9,9,9"), 2, "names of their pictures")
    failed(cli(*arguments[:-3], "--crop", "0,0,9,9"), 2, "--strip")


def test_targets_with_another_suffix_are_refused(cli: Run, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"precious")
    failed(cli("evaluate", "--bench", tmp_path, "--csv", weights), 2, ".csv")
    failed(cli("evaluate", "--bench", tmp_path, "--strip", weights), 2, ".png")
    assert weights.read_bytes() == b"precious"
