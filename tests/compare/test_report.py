"""Comparisons and their reports."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips
import torch

from mafdn.compare.report import render
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.scoring import evaluate
from mafdn.evaluation.summary.costs import count_onnx, network_costs
from mafdn.export.onnx import export_onnx
from mafdn.networks import AFAN, MAFDN, AFANSettings, MAFDNSettings, count, save_network
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
    arguments = ("compare", "--bench", bench, *options, "--highlight", "mafdn", "--rounds", 1)
    code, out, err = cli(*arguments, "--report", report, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "bicubic",
        "small",
        "AFAN-style (reconstruction)",
        "MAFDN (reconstruction)",
    ]
    titles = [row["title"] for row in rows.values()]
    assert titles[1] == "architecture mafdn, with other settings than those of the published network"
    assert titles[3] == "MAFDN (reconstruction)"
    assert [bool(row["scores"]) for row in rows.values()] == [True, True, False, True]
    assert [bool(row["count"]) for row in rows.values()] == [False, True, True, True]
    assert [bool(row["latency"]) for row in rows.values()] == [False, True, True, True]
    assert rows["MAFDN (reconstruction)"]["count"]["parameters"] == 597_072
    compared = [(d["network"], d["reference"]) for d in found["differences"]["4"]]
    assert compared == [("small", "bicubic"), ("MAFDN (reconstruction)", "bicubic")]
    means = {name: row["scores"]["Little"]["psnr"] for name, row in rows.items() if row["scores"]}
    gain = means["MAFDN (reconstruction)"] - means["bicubic"]
    assert found["differences"]["4"][1]["psnr"]["mean"] == pytest.approx(gain)
    # The evaluation gives the same scores.
    scores = json.loads(cli("evaluate", "--bench", bench, "--network", "mafdn", "--json")[1])["scores"]
    assert rows["MAFDN (reconstruction)"]["scores"]["Little"]["psnr"] == scores[1]["mean"]["psnr"]
    text = report.read_text()
    stored = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert render(stored, folder="out") == text
    assert str(tmp_path) not in text
    assert "mafdn compare --network bicubic --network small.safetensors --network afan --network mafdn" in text
    assert "--highlight mafdn --rounds 1 --engine auto --report out.md" in text
    assert "MAFDN is a reconstruction from its paper's abstract" in text
    assert "| **MAFDN (reconstruction)** |" in text
    assert "network - baseline, paired by picture; positive is better" in text
    assert "Little: LR pictures made by bicubic reduction, SHA-256" in text
    assert "medians of 1 runs in turns" in text
    assert "all cores" in text
    assert "random weights" in text
    for name in ("parameters-x4.svg", "multi-adds-x4.svg", "seconds-x4.svg", "crops-x4.png"):
        assert f"out/{name}" in text
        assert (tmp_path / "out" / name).stat().st_size > 1000
    assert (tmp_path / "out" / "parameters-x4.pdf").read_bytes().startswith(b"%PDF")
    failed(cli(*arguments, "--report", report), 1, report, "exists", "--overwrite")
    measured, published = text.split("**not measured here**")
    assert "32.38 / 0.8976" not in measured
    assert "| MAFDN | 597K | 33.79G | 32.38 / 0.8976 |" in published


def test_networks_are_compared_without_the_shipped_one(
    bench: Path, weights: Path, exported: Path, tmp_path: Path, cli: Run
) -> None:
    other = tmp_path / "other.safetensors"
    save_network(MAFDN(SMALL), other, card={})
    options = [word for name in (weights, other, "bicubic") for word in ("--network", name)]
    arguments = ("compare", "--bench", bench, *options, "--rounds", 0, "--no-published")
    found = json.loads(cli(*arguments, "--json")[1])
    assert found["baseline"] == {"4": "small"}
    assert [(d["network"], d["reference"]) for d in found["differences"]["4"]] == [
        ("other", "small"),
        ("bicubic", "small"),
    ]
    target = tmp_path / "table.json"
    report = tmp_path / "out.md"
    code, out, err = cli(*arguments, "--baseline", other, "-o", target, "--report", report)
    assert (code, err) == (0, "")
    assert "network - baseline, positive is better" in out
    text = report.read_text()
    assert "small: architecture mafdn, with other settings than those of the published network." in text
    for words in ("reconstruction", "Published", "Figures from papers", str(tmp_path)):
        assert words not in text
    assert "--baseline other.safetensors" in text
    assert (tmp_path / "out" / "crops-x4.png").is_file()
    table = json.loads(target.read_text())
    assert [(row["network"], row["file"]) for row in table["rows"]] == [
        ("small", "small.safetensors"),
        ("other", "other.safetensors"),
        ("bicubic", ""),
    ]
    assert table["baseline"] == {"4": "other"}
    scores = json.loads(cli("evaluate", "--bench", bench, *options, "--baseline", other, "--json")[1])
    assert [(d["network"], d["reference"]) for d in scores["differences"]] == [("small", "other"), ("bicubic", "other")]
    assert scores["differences"] == table["differences"]["4"], "the same signs in both commands"
    failed(cli(*arguments, "-o", target), 1, target, "exists", "--overwrite")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    failed(cli(*arguments, "--report", tmp_path / "full.md"), 1, tmp_path / "full", "not empty", "--overwrite")
    failed(cli(*arguments, "--highlight", "vdsr"), 2, "--highlight vdsr", "not one of the networks")
    failed(cli("compare", "--network", "afan", "--baseline", "afan", "--rounds", 0), 2, "random weights")
    # A network of another scale cannot be the baseline there.
    arguments = ("compare", "--bench", bench, "--network", "bicubic", "--network", exported, "--scale", 2, "--scale", 4)
    code, _, err = cli(*arguments, "--baseline", exported, "--rounds", 0)
    assert (code, f"the baseline {exported} has no x4" in err) == (0, True)


@pytest.mark.usefixtures("unchecked")
def test_means_of_rows_and_columns_are_counted_in_onnx_files(tmp_path: Path) -> None:
    network = AFAN(AFANSettings(scale=2, width=8, blocks=1)).fold()
    path = tmp_path / "afan.onnx"
    export_onnx(network, path)
    total = count(network)[-1]
    expected = (total.parameters, total.conv_macs, total.thop_macs)
    for counted in (network_costs(path, 2), count_onnx(path, 2)):
        assert counted is not None
        assert (counted.parameters, counted.conv_macs, counted.thop_macs) == expected


def test_onnx_files_have_parameters_and_multi_adds(exported: Path, tmp_path: Path, cli: Run) -> None:
    model = onnx.load(exported)
    model.ClearField("metadata_props")
    onnx.save(model, tmp_path / "foreign.onnx")
    options = ("--network", exported, "--network", tmp_path / "foreign.onnx", "--scale", 2, "--rounds", 0)
    known, foreign = json.loads(cli("compare", *options, "--json")[1])["rows"]
    assert (known["name"], foreign["name"], foreign["architecture"]) == ("small", "foreign", "")
    for key in ("parameters", "conv_macs", "thop_macs"):
        assert foreign["count"][key] == known["count"][key] > 0


def test_published_figures_are_marked_in_tables(tmp_path: Path, cli: Run) -> None:
    target = tmp_path / "table.tex"
    options = ("--network", "imdn", "--scale", 2, "--rounds", 0, "-o", target)
    assert cli("compare", *options)[0] == 0
    text = target.read_text()
    assert r"IMDN (random weights) & $\times2$ & 694.4K & 158.85G" in text
    assert "% Measured by mafdn" in text
    assert r"IMDN$^\dagger$ & $\times2$ & - & - & 38.00 / 0.9605 &" in text
    assert "Hui et al., ACM Multimedia 2019" in text
    assert cli("compare", *options, "--overwrite", "--no-published")[0] == 0
    assert "dagger" not in target.read_text()


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
def test_a_file_from_another_exporter_measures_the_same(peers: Path, datasets: Path, tmp_path: Path) -> None:
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
    bench = datasets / "Set5"
    ours, theirs = evaluate([str(peers / "IMDN_x4.pth"), str(other)], [bench], Protocol(scale=4))
    assert theirs.psnr == pytest.approx(ours.psnr, abs=1e-3)
    assert theirs.ssim == pytest.approx(ours.ssim, abs=1e-5)
