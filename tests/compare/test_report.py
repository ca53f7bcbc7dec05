"""Comparisons and their reports."""

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from mafdn.compare.report import render
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.scoring import evaluate
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.networks.checkpoints import load_pth
from tests.conftest import Run
from tests.support import failed

SMALL = MAFDNSettings(width=8, blocks=1)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A dataset of two soft pictures, so small that networks take hardly any time."""
    folder = tmp_path / "Little"
    folder.mkdir()
    for i, name in enumerate(("one.png", "two.png")):
        spots = np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)
        pyvips.Image.new_from_array(spots).resize(10).pngsave(str(folder / name))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_network(MAFDN(SMALL), path, card={})
    return path


@pytest.mark.slow
def test_a_comparison_and_its_report(bench: Path, weights: Path, tmp_path: Path, cli: Run) -> None:
    report = tmp_path / "out.md"
    networks = ["bicubic", str(weights), "afan", "mafdn"]
    options = [word for name in networks for word in ("--network", name)]
    code, out, err = cli("compare", "--bench", bench, *options, "--rounds", 1, "--report", report, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "bicubic",
        "MAFDN (reconstruction), small",
        "AFAN-style (reconstruction)",
        "MAFDN (reconstruction), mafdn-x4",
    ]
    assert [bool(row["scores"]) for row in rows.values()] == [True, True, False, True]
    assert [bool(row["count"]) for row in rows.values()] == [False, True, True, True]
    assert [bool(row["latency"]) for row in rows.values()] == [False, True, True, True]
    assert rows["MAFDN (reconstruction), mafdn-x4"]["count"]["parameters"] == 597_072
    assert {d["reference"] for d in found["differences"]["4"]} == {"bicubic", "MAFDN (reconstruction), small"}
    # The evaluation gives the same scores.
    scores = json.loads(cli("evaluate", "--bench", bench, "--network", "mafdn", "--json")[1])["scores"]
    assert rows["MAFDN (reconstruction), mafdn-x4"]["scores"]["Little"]["psnr"] == scores[1]["mean"]["psnr"]
    text = report.read_text()
    stored = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert render(stored, folder="out") == text
    assert str(tmp_path) not in text
    assert "mafdn compare --network bicubic --network small.safetensors --network afan --network mafdn" in text
    assert "--rounds 1 --engine auto --report out.md" in text
    assert "medians of 1 runs in turns" in text
    assert "all cores" in text
    assert "random weights" in text
    for name in ("parameters-x4", "multi-adds-x4", "seconds-x4", "crops-x4"):
        assert f"out/{name}.png" in text
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 1000
    measured, published = text.split("**not measured here**")
    assert "32.38 / 0.8976" not in measured
    assert "| MAFDN | 597K | 33.79G | 32.38 / 0.8976 |" in published


def test_pictures_without_any_error_do_not_stop_a_comparison(tmp_path: Path, cli: Run) -> None:
    folder = tmp_path / "Flat"
    folder.mkdir()
    pyvips.Image.black(48, 40, bands=3).pngsave(str(folder / "flat.png"))
    report = tmp_path / "out.md"
    options = ("--bench", folder, "--network", "bicubic", "--network", "lanczos", "--network", "mafdn", "--rounds", 0)
    code, out, err = cli("compare", *options, "--report", report, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["rows"][0]["scores"]["Flat"]["psnr"] is None
    assert "| bicubic | - | - | - | inf / 1.0000 |" in report.read_text()
    assert "Seconds" not in report.read_text()


def test_without_sets_and_rounds_only_costs_are_compared(cli: Run) -> None:
    code, out, _ = cli("compare", "--network", "imdn", "--network", "ddistill", "--scale", 2, "--rounds", 0, "--json")
    assert code == 0
    found = json.loads(out)
    assert [row["count"]["parameters"] for row in found["rows"]] == [694_404, 657_600]
    text = render(found | {"command": ""}, folder="a b")
    assert "## x2" in text
    assert "(a%20b/compare.json)" in text
    code, out, _ = cli("compare", "--network", "imdn", "--scale", 2, "--rounds", 0)
    assert (code, "694,404" in out, "published" in out) == (0, True, True)


def test_what_cannot_be_compared_gives_a_one_line_error(weights: Path, tmp_path: Path, cli: Run) -> None:
    failed(cli("compare", "--bench", tmp_path / "no", "--rounds", 0), 2, "no benchmark dataset")
    failed(cli("compare", "--network", "vdsr"), 2, "vdsr")
    failed(cli("compare", "--network", weights, "--scale", 2), 2, "none of the requested scales")
    failed(cli("compare", "--report", tmp_path / "x.txt"), 2, ".md")
    failed(cli("compare", "--report", tmp_path / "no" / "x.md"), 2, "there is no folder")
    (tmp_path / "taken").touch()
    failed(cli("compare", "--report", tmp_path / "taken.md"), 2, "must be the report's folder")
    failed(cli("compare", "--published", tmp_path / "no.toml", "--rounds", 0), 2, "cannot read")
    failed(cli("compare", "--network", "imdn", "--engine", "tensorrt", "--rounds", 1), 2, "tensorrt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # from the exporter
def test_a_file_from_another_exporter_measures_the_same(peers: Path, tmp_path: Path) -> None:
    """Static batch, other names, another opset, no simplification, constants left unfolded."""
    network = load_pth(peers / "IMDN_x4.pth").fold()
    other = tmp_path / "elsewhere.onnx"
    dynamic = {2: torch.export.Dim("rows", min=8, max=4096), 3: torch.export.Dim("columns", min=8, max=4096)}
    program = torch.onnx.export(
        network,
        (torch.zeros(1, 3, 24, 24),),
        dynamo=True,
        dynamic_shapes=(dynamic,),
        input_names=["image"],
        output_names=["upscaled"],
        opset_version=20,
        optimize=False,
        verbose=False,
    )
    assert program is not None
    program.save(other)
    bench = peers.parent / "data" / "bench" / "Set5"
    ours, theirs = evaluate([str(peers / "IMDN_x4.pth"), str(other)], [bench], Protocol(scale=4))
    assert theirs.psnr == pytest.approx(ours.psnr, abs=1e-3)
    assert theirs.ssim == pytest.approx(ours.ssim, abs=1e-5)
