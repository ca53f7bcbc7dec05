"""The measurement on degraded LR pictures, its tables and its pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mafdn._support.atomic import sha256
from mafdn.degradation.chain import parse_degradation
from mafdn.pictures.reading import read_rgb8
from mafdn.weights.shipped import shipped
from tests.conftest import ROOT
from tests.evaluation.conftest import noise, write_picture
from tools.degraded.__main__ import main
from tools.degraded.measure import CASES, measure, psnr_of
from tools.degraded.pictures import README_PLACES, SIDES, Place, draw_bench, save_sheet
from tools.degraded.tables import (
    SHORT,
    STORED,
    below_bicubic,
    below_bicubic_text,
    full_tables,
    gains,
    short_table,
    write_report,
)


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    """Two datasets, of three pictures and of one."""
    for number, name in enumerate("abc"):
        write_picture(tmp_path / "bench" / "B100" / f"{name}.png", noise(number))
    write_picture(tmp_path / "bench" / "Set5" / "d.png", noise(7))
    return tmp_path / "bench"


def stored(project: Path, report: dict[str, Any]) -> Path:
    (project / STORED).parent.mkdir(parents=True, exist_ok=True)
    write_report(project / STORED, report)
    return project


def test_the_first_pictures_are_measured_with_every_degradation(benches: Path, tmp_path: Path) -> None:
    cases = {name: CASES[name] for name in SHORT}
    report = measure(benches, cases=cases, scales=[2], benches={"B100": 2, "Set5": None})
    assert [(row["bench"], row["case"]) for row in report["rows"]] == [
        (bench, case) for bench in ("B100", "Set5") for case in cases
    ]
    assert report["benches"]["B100"]["pictures"] == ["a", "b"]
    assert report["benches"]["Set5"]["pictures"] == ["d"]
    assert report["cases"]["q75"] == "jpeg:75"
    assert [n.get("sha256") for n in report["networks"]][2:] == [
        sha256(shipped(2, ".onnx", variant)) for variant in ("classic", "photo")
    ]
    project = stored(tmp_path, report)
    assert json.loads((project / STORED).read_text()) == report
    assert psnr_of(report)["x2 Set5 clean"]["bicubic"] == [
        {"name": "d", "psnr": report["rows"][6]["psnr"]["bicubic"][0]}
    ]
    low, high = (next(row for row in report["rows"] if row["case"] == case) for case in ("q30", "clean"))
    mean = np.mean(gains(high, "photo"))
    lines = full_tables(project).splitlines()
    assert lines[2].startswith("| **B100** (2), bicubic PSNR | ")
    assert next(line for line in lines if line.startswith("| photo weights |")).split(" | ")[1] == f"{mean:+.2f}"
    worst = next(line for line in lines if line.startswith("| classic weights, worst picture"))
    assert worst.split(" | ")[-1] == f"{min(gains(low, 'classic')):+.2f} |"
    assert "| x2, photo weights |" in short_table(project)


def test_pictures_below_bicubic_are_named() -> None:
    psnr = {"bicubic": [30.0, 28.0, None], "photo": [30.5, 27.958, None], "classic": [31.0, 28.0, 30.0]}
    report: dict[str, Any] = {
        "cases": {"twice": "jpeg:80+jpeg:70"},
        "benches": {"Set5": {"pictures": ["a", "b", "c"]}},
        "rows": [{"scale": 2, "bench": "Set5", "case": "twice", "psnr": psnr}],
    }
    assert list(below_bicubic(report)) == [(2, "Set5", "twice", "b")]
    assert below_bicubic_text(report).endswith(", except: Set5/b at x2, jpeg:80+jpeg:70 (-0.04 dB).")
    psnr["photo"][1] = 28.1
    assert below_bicubic_text(report).endswith("with every degradation.")


def test_perfect_pictures_have_no_gain() -> None:
    row = {"psnr": {"bicubic": [30.0, None], "photo": [31.5, 40.0]}}
    assert gains(row, "photo") == [1.5]


def test_what_lacks_its_data_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("<!-- degraded-short: x -->\n<!-- /degraded-short -->\n")
    main(["--shared", str(tmp_path / "none"), "--output", str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"skipped {name}" for name in (STORED, *(f"docs/photo-{end}.png" for end in ("short", "x2", "x4", "camera")))
    ]
    assert all(line.endswith("(docs/data.md)") for line in lines)
    assert not (tmp_path / STORED).exists()


def test_crops_show_pixels_as_they_are(tmp_path: Path) -> None:
    hr = noise(3, 96, 104)
    write_picture(tmp_path / "Set" / "a.png", hr)
    draw_bench(tmp_path / "Set", tmp_path / "sheet.png", {2: (Place("a", 8, 4, "jpeg:50"),)})
    sheet = read_rgb8(tmp_path / "sheet.png")
    crop = hr[4 : 4 + SIDES[2], 8 : 8 + SIDES[2]]
    assert np.array_equal(sheet[-240:, -240:], crop.repeat(3, 0).repeat(3, 1)), "the original is last"
    save_sheet(tmp_path / "small.png", ("a", "b"), [("row", [crop[:40, :40], crop[:40, :40]])], cell=80)
    small = read_rgb8(tmp_path / "small.png")
    assert np.array_equal(small[-80:, :80], small[-80:, -80:])


def test_the_crops_of_the_documents_are_degraded_by_jpeg() -> None:
    for places in README_PLACES.values():
        for place in places:
            degrade = parse_degradation(place.degrade)
            assert degrade is not None
            assert degrade.steps[0].kind == "jpeg"


def test_the_stored_measurement_is_of_the_shipped_weights() -> None:
    if not (ROOT / STORED).is_file():
        pytest.skip("not measured yet: python -m tools.degraded")
    report = json.loads((ROOT / STORED).read_text("utf-8"))
    measured = {(n["network"], n["scale"]): n["sha256"] for n in report["networks"] if "sha256" in n}
    for variant in ("classic", "photo"):
        for scale in (2, 4):
            assert measured[variant, scale] == sha256(shipped(scale, ".onnx", variant)), "run python -m tools.degraded"
