"""What `mafdn evaluate` measures, keeps, compares, writes and draws, and one line for everything that is wrong."""

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import pyvips
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mafdn.evaluation import cache, methods
from mafdn.evaluation.benchset import BenchPicture, PictureScore, Protocol, SetScore, read_bench
from mafdn.evaluation.cache import entry_key
from mafdn.evaluation.methods import ensemble
from mafdn.evaluation.outputs import ResultFolder, write_csv
from mafdn.evaluation.paired import differences, gains
from mafdn.evaluation.scoring import evaluate, label_networks
from mafdn.evaluation.strips import StripPicture, draw_strip, most_different_crop
from mafdn.inference.engines import Batch, Stencil
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, psnr_rgb, ssim_rgb
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.support import failed, without_torch

X2 = Protocol(scale=2)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    space = "b-w" if pixels.shape[2] == 1 else "srgb"
    pyvips.Image.new_from_array(pixels).copy(interpretation=space).pngsave(str(path))


def noise(seed: int, height: int = 40, width: int = 48, channels: int = 3) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, channels), np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A set of three pictures, the third of them grey."""
    folder = tmp_path / "Small"
    for number, name in enumerate(("a", "b", "c")):
        write_picture(folder / f"{name}.png", noise(number, channels=1 if name == "c" else 3))
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """An untrained network for x2."""
    path = tmp_path / "tiny.safetensors"
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)).fold(), path, card={})
    return path


# --- protocol


def test_rgb_metrics_agree_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (40, 52, 3), np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    inner = (slice(3, -3), slice(3, -3))
    assert psnr_rgb(a, b, border=3) == pytest.approx(peak_signal_noise_ratio(a[inner], b[inner], data_range=255))
    full = structural_similarity(
        *(x[inner].astype(np.float64) for x in (a, b)),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        truncate=3.5,
        channel_axis=2,
        full=True,
    )[1]
    assert ssim_rgb(a, b, border=3) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_rgb_is_measured_on_request(cli: Run, bench: Path) -> None:
    report = json.loads(cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--rgb", "--json")[1])
    assert report["protocol"]["channels"] == "rgb"
    hr = read_rgb8(bench / "a.png")
    expected = psnr_rgb(imresize(imresize(hr, 0.5), 2), hr, border=2)
    assert report["scores"][0]["pictures"][0]["psnr"] == pytest.approx(expected)


def test_grey_pictures_are_measured_as_rgb_and_named(cli: Run, bench: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "--scale", 2, "--network", "lanczos")
    code, _, err = cli(*arguments)
    assert code == 0
    assert err == "note: grey pictures were measured as RGB with three equal channels: Small/c\n"
    first = cli(*arguments, "--json")
    assert first[2] == ""
    assert json.loads(first[1])["notes"] == [err.removeprefix("note: ").strip()]
    write_picture(bench / "c.png", noise(2, channels=1).repeat(3, 2))
    again = json.loads(cli(*arguments, "--json")[1])
    assert again["notes"] == []
    assert again["scores"] == json.loads(first[1])["scores"]


class Crooked:
    """An engine that is not indifferent to flips: what it gives grows to the right and downwards."""

    name, version, device, precision, scale = "crooked", "0", "cpu", "fp32", 2
    stencil: Stencil | None = None

    def run(self, x: Batch) -> Batch:
        big = x.repeat(2, 2).repeat(2, 3)
        y, right = np.mgrid[: big.shape[2], : big.shape[3]].astype(np.float32)
        return big + 0.01 * right + 0.02 * y - 0.3


def test_self_ensemble_is_the_mean_of_eight() -> None:
    lr = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    # Flips turn what grows into what falls: along an axis of n the mean is that of its middle. Half of the eight
    # turn a quarter, and lay the slope of rows along columns.
    middle = 0.5 * (0.01 * 13 / 2 + 0.02 * 9 / 2) + 0.5 * (0.01 * 9 / 2 + 0.02 * 13 / 2) - 0.3
    expected = np.clip(lr.repeat(2, 0).repeat(2, 1) / 255 + middle, 0, 1) * 255
    assert np.abs(ensemble(Crooked(), lr) - expected).max() <= 0.5 + 1e-3


def test_self_ensemble_concerns_networks_alone(cli: Run, bench: Path, network: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", network, "--network", "lanczos", "--json")
    plain = json.loads(cli(*arguments)[1])["scores"]
    plus = json.loads(cli(*arguments, "--self-ensemble")[1])["scores"]
    assert [score["network"] for score in plus] == ["bicubic", "tiny+", "lanczos"]
    assert (plus[0], plus[2]) == (plain[0], plain[2])
    assert plus[1]["mean"] != plain[1]["mean"]


# --- LR folders


@pytest.mark.parametrize("name", ["{}x2.png", "{}.png", "{}.webp"])
def test_lr_pictures_are_found_by_name(bench: Path, tmp_path: Path, name: str) -> None:
    low = tmp_path / "low"
    low.mkdir()
    for path in bench.iterdir():
        image = pyvips.Image.new_from_array(imresize(read_rgb8(path), 0.5) // 2)
        image.write_to_file(str(low / name.format(path.stem)), **({"lossless": True} if "webp" in name else {}))
    for picture in read_bench(bench, 2, lr=low):
        assert np.array_equal(picture.lr, imresize(picture.hr, 0.5) // 2)
    low.rename(bench / "LRbicx2")
    assert all((picture.lr <= 128).all() for picture in read_bench(bench, 2))


def test_wrong_lr_pictures_are_one_line(cli: Run, bench: Path, tmp_path: Path) -> None:
    low = tmp_path / "low"
    for name in ("a", "b"):
        write_picture(low / f"{name}.png", noise(0, 16, 24))
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--lr")
    failed(cli(*arguments, tmp_path / "no"), 2, "no LR pictures", tmp_path / "no")
    failed(cli(*arguments, low), 1, low, "no LR picture for", bench / "c.png", "cx2")
    write_picture(low / "cx2.png", noise(0, 16, 24))
    failed(cli(*arguments, low), 1, low / "a.png", "24x16", "48x40", bench / "a.png")
    failed(cli(*arguments, low, "--bench", tmp_path), 2, "one bench set")
    low.rename(bench / "LRbicx2")
    failed(cli(*arguments[:-1]), 1, bench / "LRbicx2" / "a.png", "24x16")


# --- what is wrong


def test_wrong_requests_are_one_line(cli: Run, bench: Path, network: Path, tmp_path: Path) -> None:
    def ask(*arguments: object) -> tuple[int, str, str]:
        return cli("evaluate", "--bench", bench, *arguments)

    (tmp_path / "empty").mkdir()
    failed(cli("evaluate", "--bench", tmp_path / "no"), 2, "no bench set", tmp_path / "no")
    failed(cli("evaluate", "--bench", tmp_path / "empty"), 2, "no pictures", tmp_path / "empty")
    failed(ask("--bench", bench), 2, "twice")
    failed(ask("--network", "vdsr"), 2, "unknown network 'vdsr'")
    failed(ask("--network", tmp_path / "no.pth"), 1, "no.pth", "no such file")
    failed(ask("--network", tmp_path), 1, "regular file")
    failed(ask("--network", network), 2, network, "upscales by 2", "--scale 2")
    failed(ask("--network", shipped(4, ".onnx"), "-s", 2), 2, "--scale 4")
    (tmp_path / "folder.csv").mkdir()
    failed(ask("--csv", tmp_path / "folder.csv"), 2, "it is a folder")
    failed(ask("--strip", tmp_path / "no" / "strip.png"), 2, "no folder")
    failed(ask("--strip", tmp_path / "strip.png", "--network", "bicubic"), 2, "besides bicubic")
    failed(ask("--network", "lanczos", "--save", network), 1, "cannot write", network)
    (bench / "b.png").write_bytes((bench / "b.png").read_bytes()[:60])
    failed(ask("--network", "lanczos"), 1, bench / "b.png", "damaged")
    (bench / "b.png").unlink()
    (bench / "b.png").mkdir()
    failed(ask("--network", "lanczos"), 1, bench / "b.png", "not a regular file")


def test_the_strip_needs_matplotlib(bench: Path, monkeypatch: pytest.MonkeyPatch, cli: Run) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "mafdn.evaluation.strips", raising=False)
    monkeypatch.delitem(sys.modules, "mafdn.evaluation.extremes", raising=False)
    result = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--strip", bench / "s.png")
    failed(result, 1, "--strip needs matplotlib", "mafdn[train]")


# --- the cache


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that were opened since."""
    log: list[str] = []
    open_method = methods.open_method

    def logged(network: str, **rest: Any) -> object:
        log.append(network)
        return open_method(network, **rest)

    monkeypatch.setattr("mafdn.evaluation.scoring.open_method", logged)
    return log


def test_nothing_is_measured_twice(bench: Path, network: Path, opened: list[str], tmp_path: Path) -> None:
    asked = ["bicubic", str(network)]
    notes: list[str] = []
    first = evaluate(asked, [bench], X2, on_note=notes.append)
    assert opened == asked
    seen: list[tuple[int, int]] = []
    second = evaluate(asked, [bench], X2, on_progress=lambda *step: seen.append(step), on_note=notes.append)
    assert (second, opened, seen) == (first, asked, [])
    assert notes[0] == notes[1]
    assert evaluate(asked, [bench], X2, fresh=True, on_progress=lambda *step: seen.append(step)) == first
    assert seen == [(n, 6) for n in range(1, 7)]
    opened.clear()
    copy = tmp_path / "copy" / "Small"
    copy.mkdir(parents=True)
    for path in bench.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert [replace(s, bench="Small") for s in evaluate(asked, [bench, copy], X2)] == [*first, *first]
    assert opened == [], "a set is known by its bytes"


def test_whatever_changes_scores_makes_them_new(
    bench: Path, network: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["bicubic", str(network)]
    evaluate(asked, [bench], X2)

    def measured_anew(protocol: Protocol = X2) -> list[str]:
        opened.clear()
        evaluate(asked, [bench], protocol)
        return opened

    assert measured_anew(replace(X2, channels="rgb")) == asked
    assert measured_anew(replace(X2, self_ensemble=True)) == asked[1:]
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)).fold(), network, card={})
    assert measured_anew() == asked[1:]
    monkeypatch.setattr(cache, "engine_label", lambda *_: "torch 9")
    assert measured_anew() == asked[1:]
    (bench / "a.png").rename(bench / "d.png")
    assert measured_anew() == asked
    write_picture(bench / "d.png", noise(9))
    assert measured_anew() == asked
    for name in "bcd":
        write_picture(bench / "LRbicx2" / f"{name}.png", noise(9, 24, 24)[:20])
    assert measured_anew() == asked
    monkeypatch.setattr(cache, "MEASURING", cache.MEASURING + 1)
    assert measured_anew() == asked
    assert measured_anew() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pictures": [], "grey": []}', '{"pictures": [{"name": "a"}]}'])
def test_a_damaged_entry_is_measured_again(bench: Path, content: str) -> None:
    (first,) = evaluate(["bicubic"], [bench], X2)
    (entry,) = cache.entries_folder().iterdir()
    entry.write_text(content)
    assert evaluate(["bicubic"], [bench], X2) == [first]
    assert json.loads(entry.read_text())["grey"] == ["c"]


def test_an_unwritable_cache_is_a_note(bench: Path, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAFDN_CACHE", str(tmp_path / "file"))
    (bench / "c.png").unlink()
    code, out, err = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos")
    assert code == 0
    assert "lanczos dB" in out
    assert err.startswith("note: scores could not be cached")
    assert err.count("\n") == 1


def test_a_second_run_needs_no_torch(bench: Path, network: Path, cli: Run) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", network, "--json")
    first = cli(*arguments)
    assert first[0] == 0
    done = without_torch(*arguments)
    assert (done.returncode, done.stdout) == (0, first[1])
    done = without_torch(*arguments, "--no-cache")
    assert (done.returncode, done.stderr) == (
        1,
        f"mafdn: measuring {network} needs torch: pip install 'mafdn[train]'\n",
    )


def test_infinite_scores_are_kept(bench: Path, opened: list[str]) -> None:
    write_picture(bench / "a.png", np.full((40, 48, 3), 7, np.uint8))
    first = evaluate(["bicubic"], [bench], X2)
    assert first[0].pictures[0].psnr == math.inf
    assert evaluate(["bicubic"], [bench], X2) == first
    assert opened == ["bicubic"]


# --- differences


def scores_of(network: str, *psnr: float, bench: str = "Set") -> SetScore:
    rows = tuple(PictureScore(name=f"p{i}", psnr=value, ssim=value / 100) for i, value in enumerate(psnr))
    return SetScore(network=network, bench=bench, scale=2, pictures=rows)


def test_the_paired_difference() -> None:
    rng = np.random.default_rng(0)
    old = rng.normal(30, 5, 100)
    gain = rng.normal(0.2, 0.5, 100)
    scores = [scores_of("old", *old), scores_of("new", *(old + gain))]
    (found,) = differences(scores, reference="old", networks=["new"])
    assert found.psnr is not None
    assert found.ssim is not None
    assert found.psnr.mean == pytest.approx(gain.mean())
    error = 1.96 * gain.std() / 10  # a hundred pictures are enough for the normal interval
    assert found.psnr.low == pytest.approx(gain.mean() - error, abs=0.02)
    assert found.psnr.high == pytest.approx(gain.mean() + error, abs=0.02)
    assert found.ssim.low == pytest.approx(found.psnr.low / 100)
    assert (found.improved, found.pictures, found.left_out) == ((gain > 0).sum(), 100, ())
    assert differences(scores, reference="old", networks=["new"]) == [found], "the same every time"


def test_several_sets_are_pooled_and_perfect_pictures_left_out() -> None:
    scores = [
        scores_of("old", 30, math.inf, 31),
        scores_of("new", 31, 40, 30),
        scores_of("old", 20, 20, bench="Other"),
        scores_of("new", 23, 23, bench="Other"),
        scores_of("old", math.inf, bench="Flat"),
        scores_of("new", math.inf, bench="Flat"),
    ]
    one, other, flat, pooled = differences(scores, reference="old", networks=["new"])
    assert (one.bench, one.improved, one.pictures, one.left_out) == ("Set", 1, 2, ("p1",))
    assert other.psnr is not None
    assert (other.psnr.low, other.psnr.high) == (3, 3)
    assert (flat.psnr, flat.ssim, flat.pictures) == (None, None, 0)
    assert pooled.psnr is not None
    assert (pooled.bench, pooled.psnr.mean, pooled.pictures) == (None, 1.5, 4)
    assert pooled.left_out == ("Set/p1", "Flat/p0")
    assert [gain.picture for gain in gains(scores, reference="old", network="new")] == ["p2", "p0", "p0", "p1"]


def test_networks_are_compared_with_the_first(cli: Run, bench: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_picture(other / "flat.png", np.full((40, 48, 3), 7, np.uint8))
    arguments = ("evaluate", "--bench", bench, "--bench", other, "-s", 2)
    _, out, _ = cli(*arguments, "--network", "lanczos", "--network", "bicubic")
    for words in ("paired difference from lanczos", "all sets", "of 3", "left out: flat"):
        assert words in out
    report = json.loads(cli(*arguments, "--network", "lanczos", "--json")[1])
    assert [(d["network"], d["reference"]) for d in report["differences"]] == [("lanczos", "bicubic")] * 3
    assert report["differences"][1]["psnr"] is None
    assert "paired" not in cli(*arguments, "--network", "bicubic")[1]


def test_names_are_kept_apart(tmp_path: Path, bench: Path) -> None:
    files = [tmp_path / folder / "n.onnx" for folder in ("1", "2")]
    for path in files:
        path.parent.mkdir()
        path.touch()
    asked = ["bicubic", str(files[0]), str(files[1]), str(files[0])]
    assert label_networks(asked, X2) == {"bicubic": "bicubic", "n": str(files[0]), str(files[1]): str(files[1])}
    plus = label_networks(asked, replace(X2, self_ensemble=True))
    assert list(plus) == ["bicubic", "n+", f"{files[1]}+"]
    write_picture(bench / "a.jpg", noise(7))
    assert [p.name for p in read_bench(bench, 2)] == ["a.jpg", "a.png", "b.png", "c.png"]


# --- files


def test_csv(cli: Run, bench: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")
    code, out, _ = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--csv", target, "--json")
    assert code == 0
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [row["picture"] for row in rows] == ["a", "b", "c", "mean"] * 2
    assert {(row["bench"], row["scale"], row["channels"]) for row in rows} == {("Small", "2", "luma")}
    for score, row in zip(json.loads(out)["scores"], rows[3::4], strict=True):
        assert (row["network"], float(row["psnr"])) == (score["network"], score["mean"]["psnr"])
    write_csv(target, X2, [scores_of("a, b", math.inf)])
    assert target.read_text().splitlines()[1] == '"a, b",Set,2,luma,p0,inf,inf'


def test_results_are_saved(cli: Run, bench: Path, tmp_path: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos")
    assert cli(*arguments)[0] == 0
    assert cli(*arguments, "--save", tmp_path / "out")[0] == 0  # also when the scores are known
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert names == [f"{n}/Small/x2/{p}.png" for n in ("bicubic", "lanczos") for p in ("a", "b", "c")]
    lr = imresize(read_rgb8(bench / "a.png"), 0.5)
    assert np.array_equal(read_rgb8(tmp_path / "out" / names[3]), imresize(lr, 2, kernel="lanczos3"))


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
    flat = tmp_path / "flat"
    write_picture(flat / "p.png", np.full((40, 48, 3), 7, np.uint8))
    arguments = ("evaluate", "--bench", flat, "-s", 2, "--network", "lanczos", "--strip", target)
    failed(cli(*arguments), 2, "on any picture")


def test_weights_beside_an_onnx_file_are_part_of_its_entry(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    model = onnx.load(exported)
    onnx.save(model, path, save_as_external_data=True, location="numbers.bin", size_threshold=0)
    protocol = Protocol(scale=4)
    before = entry_key(str(path), "set", protocol)
    assert entry_key(str(path), "set", protocol) == before
    content = bytearray((tmp_path / "numbers.bin").read_bytes())
    content[40] ^= 1
    (tmp_path / "numbers.bin").write_bytes(content)
    assert entry_key(str(path), "set", protocol) != before


def test_targets_that_would_cost_a_file_are_refused(cli: Run, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"precious")
    failed(cli("evaluate", "--bench", tmp_path, "--csv", weights), 2, ".csv")
    failed(cli("evaluate", "--bench", tmp_path, "--strip", weights), 2, ".png")
    assert weights.read_bytes() == b"precious"
