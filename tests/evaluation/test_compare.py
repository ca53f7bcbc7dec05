"""Networks side by side: candidates, time in turns, published figures kept apart, plots, and the report."""

import json
import math
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips
import torch
from matplotlib.figure import Figure

from mafdn._support.machine import machine, peak_mib
from mafdn.bench import timing as latency
from mafdn.bench.timing import measure_latency
from mafdn.compare import plots
from mafdn.compare.plots import COSTS, Point, draw_costs
from mafdn.compare.published import read_published
from mafdn.compare.report import points, render
from mafdn.errors import ConfigError, MafdnError, UsageError, WeightsError
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.candidates import find_candidates
from mafdn.evaluation.scoring import evaluate
from mafdn.export.onnx import export_onnx
from mafdn.inference.options import EngineOptions
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, save_network
from mafdn.networks.convert import load_pth
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.support import failed

SMALL = MAFDNSettings(width=8, blocks=1)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A set of two soft pictures, so small that networks take no time."""
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


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MAFDN as ONNX; exporting takes a while."""
    path = tmp_path_factory.mktemp("exported") / "small.onnx"
    export_onnx(MAFDN(SMALL), path)
    return path


def test_candidates_are_names_files_and_patterns(weights: Path, tmp_path: Path) -> None:
    for scale in (2, 3):
        save_network(IMDN(IMDNSettings(scale=scale, width=8, blocks=1)), tmp_path / f"imdn{scale}.safetensors", card={})
    given = ["bicubic", "mafdn", "afan", str(weights), str(tmp_path / "imdn{scale}.safetensors")]
    found = find_candidates(given, [2, 3, 4])
    assert [(c.scale, c.name) for c in found] == [
        (2, "bicubic"),
        (2, "MAFDN (reconstruction)"),
        (2, "AFAN-style (reconstruction)"),
        (2, "IMDN"),
        (3, "bicubic"),
        (3, "MAFDN (reconstruction)"),
        (3, "AFAN-style (reconstruction)"),
        (3, "IMDN"),
        (4, "bicubic"),
        (4, "MAFDN (reconstruction), mafdn-x4"),
        (4, "AFAN-style (reconstruction)"),
        (4, "MAFDN (reconstruction), small"),
    ]
    assert [c.file is not None for c in found[:4]] == [False, True, False, True]
    assert [c.measurable for c in found[:4]] == [True, True, False, True]
    assert [c.ours for c in found[:4]] == [False, True, False, False]
    with pytest.raises(UsageError, match="none of the scales asked for"):
        find_candidates([str(weights)], [2, 3])
    with pytest.raises(UsageError, match="none of the scales asked for"):
        find_candidates([str(tmp_path / "no{scale}.pth")], [2, 3])
    with pytest.raises(UsageError, match="unknown network 'vdsr'"):
        find_candidates(["vdsr"], [4])
    with pytest.raises(WeightsError):
        find_candidates([str(tmp_path / "no.safetensors")], [4])


def test_a_file_is_compared_once_and_files_of_one_name_are_told_apart(
    weights: Path, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / weights.name
    other.write_bytes(weights.read_bytes())
    alike = [str(weights), str(tmp_path / "sub" / ".." / weights.name), str(weights).replace("small", "s{scale}")]
    (tmp_path / "s4.safetensors").symlink_to(weights)
    assert [c.source for c in find_candidates(alike, [4])] == [str(weights)]
    names = [c.name for c in find_candidates([str(weights), str(other), str(exported)], [4])]
    assert names == [
        f"MAFDN (reconstruction), {tmp_path.name}/small.safetensors",
        "MAFDN (reconstruction), sub/small.safetensors",
        f"MAFDN (reconstruction), {exported.parent.name}/small.onnx",
    ]


def test_an_exported_file_is_counted_by_its_header(exported: Path) -> None:
    (candidate,) = find_candidates([str(exported)], [4])
    assert candidate.network is not None
    assert candidate.network.settings == replace(SMALL, over_parameterized=False)


@pytest.mark.parametrize(
    "lie", [{"width": 10}, {"scale": 2}, {"width": 10**9}, {"width": "8"}, {"unknown": 1}, {"architecture": "vdsr"}]
)
def test_a_header_that_lies_is_not_believed(lie: dict[str, object], exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "lie.onnx"
    model = onnx.load(exported)
    settings = asdict(SMALL)
    header: dict[str, object] = {"architecture": "mafdn", "settings": settings}
    (header if "architecture" in lie else settings).update(lie)
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, path)
    (candidate,) = find_candidates([str(path)], [4])
    assert (candidate.network, candidate.architecture, candidate.name) == (None, "", "lie")


def test_time_is_measured_in_turns_and_memory_apart(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = exported, shipped(4, ".onnx")
    seen: list[tuple[int, int]] = []
    asked: list[str] = []
    ask = latency._ask
    monkeypatch.setattr(latency, "_ask", lambda *a: asked.append(Path(a[1].name).stem) or ask(*a))
    found = measure_latency(
        {"small": small, "large": large}, size=(96, 128), rounds=3, on_progress=lambda *t: seen.append(t)
    )
    assert seen == [(n, 8) for n in range(1, 9)]
    assert asked == ["small", "mafdn-x4", "mafdn-x4", "small"] * 2
    assert found["small"].median < found["large"].median
    peaks = [result.peak_mib or 0 for result in found.values()]
    assert peaks[0] != peaks[1]
    for result in found.values():
        assert result.runs == 3
        assert result.low <= result.median <= result.high
        assert result.engine.startswith("openvino ")
        assert 50 < (result.peak_mib or 0) < (peak_mib() or 0)  # less than this process, which holds torch
    assert measure_latency({}, size=(8, 8)) == {}


def test_a_network_that_cannot_be_timed_is_told(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match="is not a network from"):
        measure_latency({"no": tmp_path / "no.onnx"}, size=(8, 8))
    path = tmp_path / "fixed.onnx"
    model = onnx.load(exported)
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = 16
    onnx.save(model, path)
    with pytest.raises(MafdnError, match="cannot take a picture of 8x8") as caught:
        measure_latency({"fixed": path}, size=(8, 8), options=EngineOptions(engine="onnxruntime"))
    assert "\n" not in str(caught.value)

    def kill(done: int, _total: int) -> None:
        if done == 1:
            (child,) = (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_worker(int(p.name)))
            os.kill(child, signal.SIGKILL)

    with pytest.raises(MafdnError, match="was ended"):
        measure_latency({"small": exported}, size=(8, 8), on_progress=kill)


def _is_worker(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(status[1]) == os.getpid() and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_the_machine_is_told() -> None:
    here = machine()
    assert here.processor
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    before = peak_mib() or 0
    ballast = np.ones(round((before + 50) * 2**20 / 8))  # more than this process ever held
    assert (peak_mib() or 0) > before + 40
    del ballast


def test_every_published_figure_has_a_source() -> None:
    figures = read_published()
    assert {figure.like for figure in figures} == {"mafdn", "afan", "ddistill", "imdn"}
    assert all(figure.source for figure in figures)
    imdn = {figure.scale: figure for figure in figures if figure.like == "imdn"}
    assert imdn.keys() == {2, 3, 4}
    assert imdn[4].scores["Set14"] == (28.58, 0.7811)
    assert next(f for f in figures if f.like == "mafdn").inferred


@pytest.mark.parametrize(
    "text",
    [
        "network = 3",
        "[[network]]\nname = 'a'\n[network.x4]\nparameters = 1",
        "[[network]]\nnme = 'a'",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nparameters = nan",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nmulti_adds = -3",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nmultiadds = 3e9",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nSet5 = [30.0, inf]",
        "[",
        "x = \xff",
    ],
)
def test_a_wrong_table_of_published_figures_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read_published(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def crowd(count: int) -> list[Point]:
    rng = np.random.default_rng(3)
    return [
        Point(
            name=f"network {i}",
            x=float(600 + 80 * rng.random()),
            psnr=float(32 + 0.2 * rng.random()),
            ours=i == 0,
            published=i % 3 == 1,
        )
        for i in range(count)
    ]


def test_labels_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "Figure", lambda **settings: drawn.append(Figure(**settings)) or drawn[-1])
    draw_costs({"Set5": crowd(12), "Set14": crowd(7)}, tmp_path / "p.png", cost="parameters", title="crowded")
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
    measured = Point(name="IMDN", x=715.2, psnr=32.21, ours=False, published=False, spread=(715.0, 716.0))
    others = [replace(measured, published=True, x=715.0), replace(measured, published=True, x=500.0)]
    draw_costs({"Set5": [measured, *others]}, tmp_path / "p.png", cost="parameters", title="one")
    assert sorted(text.get_text() for text in drawn[0].axes[0].texts) == ["IMDN", "IMDN, published"]
    faces = [collection.get_facecolor() for collection in drawn[0].axes[0].collections]
    assert [len(face) for face in faces] == [1, 0, 0]  # filled, hollow, hollow


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


def test_published_figures_are_drawn_apart_and_never_in_time() -> None:
    count = {"parameters": 600_000, "thop_macs": 34e9}
    row = {"name": "a", "scale": 4, "ours": True, "count": count, "scores": {"Set5": {"psnr": 31.0, "ssim": 0.9}}}
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


def test_what_cannot_be_compared_is_one_line(weights: Path, tmp_path: Path, cli: Run) -> None:
    failed(cli("compare", "--bench", tmp_path / "no", "--rounds", 0), 2, "no bench set")
    failed(cli("compare", "--network", "vdsr"), 2, "vdsr")
    failed(cli("compare", "--network", weights, "--scale", 2), 2, "none of the scales")
    failed(cli("compare", "--report", tmp_path / "x.txt"), 2, ".md")
    failed(cli("compare", "--report", tmp_path / "no" / "x.md"), 2, "there is no folder")
    (tmp_path / "taken").touch()
    failed(cli("compare", "--report", tmp_path / "taken.md"), 2, "must be the report's folder")
    failed(cli("compare", "--published", tmp_path / "no.toml", "--rounds", 0), 2, "cannot read")
    failed(cli("compare", "--network", "imdn", "--engine", "tensorrt", "--rounds", 1), 2, "tensorrt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter
def test_a_file_of_another_exporter_measures_the_same(peers: Path, tmp_path: Path) -> None:
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
