"""One table over all datasets, in Markdown, LaTeX, CSV and JSON; costs of ONNX files."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mafdn._support.atomic import sha256
from mafdn.evaluation.benchset import LrPictures
from mafdn.evaluation.paired import differences
from mafdn.evaluation.summary.formats import FORMATS, csv_text, json_text, latex, markdown
from mafdn.evaluation.summary.rows import NetworkRow, Summary
from mafdn.networks import count
from mafdn.networks.checkpoints import open_network
from tests.conftest import Run
from tests.evaluation.conftest import noise, scores_of, write_picture
from tests.support import failed

LR = LrPictures(source="own", folder="LR_bicubic/X2", sha256="ab" * 32)


def row(network: str, *scores: tuple[float | None, float], source: str = "") -> NetworkRow:
    sets: list[str] = ["Set5", "Set14"]
    named = dict(zip(sets, scores, strict=False))
    return NetworkRow(
        network=network, scale=2, parameters=597_072, multi_adds=33_790_356_600, scores=named, source=source
    )


@pytest.fixture
def summary() -> Summary:
    rows = [
        row("bicubic_x2", (30.0, 0.9), (29.0, 0.8)),
        row("one", (31.004, 0.91), (30.0, 0.81)),
        row("two", (31.0, 0.92), (None, 0.79)),
        row("paper", (40.0, 0.99), source="A & B, 2020"),
    ]
    scores = [scores_of("bicubic_x2", 30.0, 31.0, 29.0), scores_of("one", 31.0, 32.0, 31.0)]
    compared = differences(scores, reference="bicubic_x2", networks=["one"])
    return Summary(rows=rows, baseline={2: "bicubic_x2"}, differences={2: compared}, lr={2: {"Set5": LR}})


def test_markdown_marks_the_best_and_the_second(summary: Summary) -> None:
    lines = markdown(summary).splitlines()
    assert lines[0] == "| Network | Scale | Params | Multi-Adds | Set5 | Set14 |"
    assert lines[2] == "| bicubic_x2 | x2 | 597.1K | 33.79G | <u>30.00</u> / 0.9000 | 29.00 / <u>0.8000</u> |"
    assert lines[3] == "| one | x2 | 597.1K | 33.79G | **31.00** / <u>0.9100</u> | <u>30.00</u> / **0.8100** |"
    assert lines[4] == "| two | x2 | 597.1K | 33.79G | **31.00** / **0.9200** | **inf** / 0.7900 |"
    assert lines[5] == "| paper† | x2 | 597.1K | 33.79G | 40.00 / 0.9900 | - |"
    assert "| one | bicubic_x2 | Set | x2 | +1.333 [-0.101, +2.768] | +0.0133 [-0.0010, +0.0277] | 3/3 |" in lines
    assert "- † paper: as published, not measured here; A & B, 2020" in lines
    assert f"- x2, Set5: LR own (LR_bicubic/X2), SHA-256 {'ab' * 6}" in lines


def test_latex_uses_booktabs_and_escapes_names(summary: Summary) -> None:
    text = latex(summary)
    lines = text.splitlines()
    assert lines[0].endswith(r"Needs \usepackage{booktabs}.")
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert (
        r"bicubic\_x2 & $\times2$ & 597.1K & 33.79G & \underline{30.00} / 0.9000 & 29.00 / \underline{0.8000} \\"
        in lines
    )
    assert (
        r"two & $\times2$ & 597.1K & 33.79G & \textbf{31.00} / \textbf{0.9200} & \textbf{$\infty$} / 0.7900 \\" in lines
    )
    assert r"paper$^\dagger$ & $\times2$ & 597.1K & 33.79G & 40.00 / 0.9900 & - \\" in lines
    rows = [line for line in lines if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows[:5]} == {5}
    assert rows[5] == r"\multicolumn{6}{l}{\footnotesize $^\dagger$ as published, not measured here} \\"
    assert {line.count(" & ") for line in rows[6:]} == {6}
    assert r"{[}a\_b] \& c\%" in latex(Summary(rows=[row("[a_b] & c%", (30.0, 0.9))]))


def test_csv_has_one_line_for_each_network_and_no_means_of_sets(summary: Summary) -> None:
    rows = list(csv.DictReader(csv_text(summary).splitlines()))
    assert [r["network"] for r in rows] == ["bicubic_x2", "one", "two", "paper"]
    assert [r["source"] for r in rows] == ["measured"] * 3 + ["A & B, 2020"]
    assert float(rows[1]["Set5 psnr"]) == 31.004
    assert rows[2]["Set14 psnr"] == "inf"
    assert (rows[0]["Set5 lr"], rows[0]["Set5 lr_sha256"], rows[3]["Set5 lr"]) == ("own", "ab" * 32, "")


def test_json_has_all_figures(summary: Summary) -> None:
    found = json.loads(json_text(summary))
    assert found["rows"][2]["scores"] == {"Set5": {"psnr": 31.0, "ssim": 0.92}, "Set14": {"psnr": None, "ssim": 0.79}}
    assert [r["published"] for r in found["rows"]] == [False, False, False, True]
    assert found["lr"] == {"2": {"Set5": asdict(LR)}}
    assert found["differences"]["2"][0]["psnr"]["mean"] == pytest.approx(4 / 3)
    assert {"mafdn", "numpy", "openvino"} <= found["versions"].keys()


def test_evaluate_writes_tables_and_replaces_nothing_unasked(
    cli: Run, bench: Path, network: Path, tmp_path: Path
) -> None:
    other = tmp_path / "Other"
    write_picture(other / "p.png", noise(5))
    arguments = ("evaluate", "--bench", bench, "--bench", other, "-s", 2, "--network", network)
    for ending in FORMATS:
        target = tmp_path / f"table{ending}"
        code, out, _ = cli(*arguments, "-o", target)
        assert code == 0
        assert str(target) in out
        assert "Multi-Adds" in out
        assert out.count("tiny") >= 4
        before = target.read_bytes()
        failed(cli(*arguments, "-o", target), 1, target, "exists", "--overwrite")
        assert target.read_bytes() == before
        assert cli(*arguments, "-o", target, "--overwrite")[0] == 0
    found = json.loads((tmp_path / "table.json").read_text())
    bicubic, tiny = found["rows"]
    assert (bicubic["sha256"], bicubic["parameters"]) == ("", None)
    assert (tiny["network"], tiny["file"], tiny["sha256"]) == ("tiny", "tiny.safetensors", sha256(network))
    total = count(open_network(network))[-1]
    assert (tiny["parameters"], tiny["multi_adds"]) == (total.parameters, total.thop_macs)
    assert (tiny["engine"].split()[0], tiny["device"], tiny["precision"]) == ("torch", "cpu", "fp32")
    assert (tiny["self_ensemble"], bicubic["engine"], bicubic["device"]) == (False, "", "")
    assert {bench: len(digest) for bench, digest in found["hr_sha256"]["2"].items()} == {"Small": 64, "Other": 64}
    assert f" with {tiny['engine']} on cpu in fp32\n" in (tmp_path / "table.md").read_text()
    assert f"with {tiny['engine']} on cpu in fp32\n" in (tmp_path / "table.tex").read_text()
    assert tiny["scores"].keys() == {"Small", "Other"}
    assert [(d["network"], d["reference"], d["bench"]) for d in found["differences"]["2"]] == [
        ("tiny", "bicubic", bench) for bench in ("Small", "Other", None)
    ]
    failed(cli(*arguments, "-o", tmp_path / "table.txt"), 2, ".md or .tex or .csv or .json")


def test_multi_adds_are_those_of_all_passes(cli: Run, bench: Path, network: Path, tmp_path: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", network)
    one = json.loads(cli(*arguments, "--json")[1])["networks"]
    eight = json.loads(cli(*arguments, "--ensemble", 8, "-o", tmp_path / "table.md", "--json")[1])["networks"]
    for key in ("conv_macs", "multi_adds"):
        assert eight[1][key] == 8 * one[1][key]
    assert eight[1]["parameters"] == one[1]["parameters"]
    assert [row["self_ensemble"] for row in eight] == [False, True]
    assert "Multi-Adds are those of all eight" in (tmp_path / "table.md").read_text()


def test_the_baseline_is_chosen(cli: Run, bench: Path, network: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "bicubic", "--network", "lanczos")
    default = json.loads(cli(*arguments, "--json")[1])
    assert [(d["network"], d["reference"]) for d in default["differences"]] == [("lanczos", "bicubic")]
    chosen = json.loads(cli(*arguments, "--baseline", "lanczos", "--json")[1])
    assert [(d["network"], d["reference"]) for d in chosen["differences"]] == [("bicubic", "lanczos")]
    assert chosen["baseline"] == "lanczos"
    means = {s["network"]: s["mean"]["psnr"] for s in chosen["scores"]}
    difference = chosen["differences"][0]["psnr"]["mean"]
    assert difference == pytest.approx(means["bicubic"] - means["lanczos"])
    assert "network - baseline, positive is better" in cli(*arguments)[1]
    failed(cli(*arguments, "--baseline", "vdsr"), 2, "vdsr")
    for name in (network, "tiny"):  # as it was given, or as it is named in tables
        chosen = json.loads(cli(*arguments, "--network", network, "--baseline", name, "--json")[1])
        assert [(d["network"], d["reference"]) for d in chosen["differences"]] == [
            ("bicubic", "tiny"),
            ("lanczos", "tiny"),
        ]
    added = json.loads(cli(*arguments, "--baseline", network, "--json")[1])
    assert [score["network"] for score in added["scores"]] == ["bicubic", "tiny", "lanczos"]
    assert [d["reference"] for d in added["differences"]] == ["tiny", "tiny"]
