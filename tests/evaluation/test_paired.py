"""Paired comparison of networks."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mafdn.evaluation.benchset import Protocol, read_bench
from mafdn.evaluation.paired import differences, gains, t_quantile
from mafdn.evaluation.scoring import label_networks
from tests.conftest import Run
from tests.evaluation.conftest import noise, scores_of, write_picture

X2 = Protocol(scale=2)


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
    assert (found.psnr.low, found.psnr.high) == pytest.approx((gain.mean() - error, gain.mean() + error), abs=0.01)
    assert found.ssim.low == pytest.approx((gain.mean() - error) / 100, abs=1e-4)
    assert (found.improved, found.pictures, found.left_out) == ((gain > 0).sum(), 100, ())
    assert differences(scores, reference="old", networks=["new"]) == [found], "the same every time"


@pytest.mark.parametrize("count", [3, 5, 14])
def test_intervals_cover_95_percent(count: int) -> None:
    """Of samples from a normal distribution around 0."""
    rng = np.random.default_rng(count)
    covered = 0
    for _ in range(2000):
        values = rng.normal(size=count)
        (found,) = differences(
            [scores_of("old", *[0.0] * count), scores_of("new", *values)], reference="old", networks=["new"]
        )
        assert found.psnr is not None
        assert found.psnr.low is not None
        assert found.psnr.high is not None
        covered += found.psnr.low <= 0 <= found.psnr.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("freedom", "expected"), [(2, 4.30265), (9, 2.26216), (10, 2.22814), (99, 1.98422)])
def test_quantiles_of_the_t_distribution(freedom: int, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=1e-5)


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
    assert (other.psnr.mean, other.psnr.low, other.psnr.high) == (3, None, None), "two pictures have no interval"
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
    for words in ("paired difference from lanczos", "all datasets", "of 3", "restored them perfectly: flat"):
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
    assert label_networks(asked, X2) == {"bicubic": "bicubic", "n": str(files[0]), "2/n.onnx": str(files[1])}
    plus = label_networks(asked, replace(X2, self_ensemble=True))
    assert list(plus) == ["bicubic", "n+", "2/n.onnx+"]
    write_picture(bench / "a.jpg", noise(7))
    assert [p.name for p in read_bench(bench, 2)] == ["a.jpg", "a.png", "b.png", "c.png"]
