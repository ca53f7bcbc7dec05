"""Plots of quality against cost."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
from matplotlib.figure import Figure

from mafdn.compare import plots
from mafdn.compare.plots import COSTS, Point, draw_costs
from mafdn.compare.report import points


def crowd(count: int) -> list[Point]:
    rng = np.random.default_rng(3)
    return [
        Point(
            name=f"network {i}",
            x=float(600 + 80 * rng.random()),
            psnr=float(32 + 0.2 * rng.random()),
            highlighted=i == 0,
            published=i % 3 == 1,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("ending", [".pdf", ".svg", ".png"])
def test_labels_do_not_overlap(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "Figure", lambda **settings: drawn.append(Figure(**settings)) or drawn[-1])
    draw_costs({"Set5": crowd(12), "Set14": crowd(7)}, tmp_path / f"p{ending}", cost="parameters")
    drawn[0].draw_without_rendering()  # text is measured at the resolution that was drawn last
    for axis, count in zip(drawn[0].axes, (12, 7), strict=True):
        boxes = [text.get_window_extent() for text in axis.texts]
        assert len(boxes) == count
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])
            for x, y in axis.transData.transform([(p.x, p.psnr) for p in crowd(count)]):
                assert not box.contains(x, y)
        assert axis.get_xscale() == "log"


def test_a_published_point_on_its_measured_one_has_no_label_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "Figure", lambda **settings: drawn.append(Figure(**settings)) or drawn[-1])
    measured = Point(name="IMDN", x=715.2, psnr=32.21, highlighted=False, published=False, spread=(715.0, 716.0))
    others = [replace(measured, published=True, x=715.0), replace(measured, published=True, x=500.0)]
    draw_costs({"Set5": [measured, *others]}, tmp_path / "p.png", cost="parameters")
    assert sorted(text.get_text() for text in drawn[0].axes[0].texts) == ["IMDN", "IMDN†"]
    faces = [collection.get_facecolor() for collection in drawn[0].axes[0].collections]
    assert [len(face) for face in faces] == [1, 0, 0]  # filled, hollow, hollow


def test_axes_have_no_tick_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "Figure", lambda **settings: drawn.append(Figure(**settings)) or drawn[-1])
    draw_costs({"Set5 x4": crowd(4)}, tmp_path / "p.png", cost="parameters")
    axis = drawn[0].axes[0].xaxis
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    assert {tick.tick1line.get_markersize() for tick in ticks} == {0}


def test_plots_have_the_size_of_print_in_every_format(tmp_path: Path) -> None:
    panels = {"Set5 $x$4": crowd(4), "Set14 x4": crowd(3), "B100 x4": crowd(2)}
    for ending in (".pdf", ".svg", ".png"):
        draw_costs(panels, tmp_path / f"p{ending}", cost="parameters")
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")
    assert b"/MediaBox [ 0 0 504 417.6 ]" in (tmp_path / "p.pdf").read_bytes()  # two columns of 3.5 inches
    assert 'width="504pt"' in (tmp_path / "p.svg").read_text()
    image = pyvips.Image.new_from_file(str(tmp_path / "p.png"))
    assert (image.width, image.height) == (2100, 1740)  # 300 pixels per inch
    first = (tmp_path / "p.svg").read_bytes()
    draw_costs(panels, tmp_path / "p.svg", cost="parameters")
    assert (tmp_path / "p.svg").read_bytes() == first, "the same every time"


def test_published_figures_are_drawn_apart_and_never_in_time() -> None:
    count = {"parameters": 600_000, "thop_macs": 34e9}
    row = {
        "name": "a",
        "architecture": "mafdn",
        "scale": 4,
        "ours": True,
        "count": count,
        "scores": {"Set5": {"psnr": 31.0, "ssim": 0.9}},
    }
    row["latency"] = {"median": 0.5, "low": 0.4, "high": 0.6}
    printed = {
        "name": "b",
        "like": "",
        "scale": 4,
        "parameters": 7e5,
        "multi_adds": 4e10,
        "scores": {"Set5": (32, 0.9)},
    }
    table = {"rows": [row], "published": [printed, printed | {"scale": 2}]}
    for cost in COSTS:
        drawn = points(table, 4, cost)["Set5"]
        assert [p.published for p in drawn] == ([False] if cost == "seconds" else [False, True])
    assert points(table, 2, "parameters") == {}
    assert math.isclose(points(table, 4, "multi_adds")["Set5"][0].x, 34.0)
