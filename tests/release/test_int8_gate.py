"""The gate that decides whether int8 ships, and the files that passed it."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips

from mafdn._support.atomic import sha256
from mafdn.evaluation.benchset import PictureScore, SetScore
from mafdn.inference.engines.base import HALF_RANGE
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.release import int8_gate as int8
from mafdn.release.int8_gate import judge
from mafdn.release.quantize import (
    largest_weight,
    read_onnx_header,
)
from mafdn.training.data.bank import Bank
from mafdn.training.data.build import build_bank
from mafdn.weights.resolve import NAMES_OF_SCALES
from tests.conftest import ROOT, Run
from tests.release.conftest import shipped_fp32, shipped_int8
from tests.support import soft_batch
from tools.documents.update import RESULTS
from tools.quantize import quantize_and_document


def few_crops(_bank: Bank, *, scale: int) -> list[np.ndarray]:
    """Replace the 400 crops, whose choice has its own test."""
    return [soft_batch(32, 32, scale)] * 3


def quantize_as(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate quantize a network as a copy of this file, which takes no time."""
    monkeypatch.setattr(int8, "quantize_onnx", lambda _source, target, _crops: shutil.copy(path, target))


def scored(bench: str, *psnrs: float) -> SetScore:
    pictures = tuple(PictureScore(name=str(i), psnr=value, ssim=0.9) for i, value in enumerate(psnrs))
    return SetScore(network="n", bench=bench, scale=2, pictures=pictures)


def test_the_gate_is_the_mean_over_sets_and_the_worst_picture() -> None:
    float32 = scored("A", 30, 30), scored("B", 30)
    passed = judge([float32[0], scored("A", 29.92, 29.96), float32[1], scored("B", 29.97)])
    assert passed.reason == ""
    assert passed.mean == pytest.approx(0.045)
    assert passed.sets == pytest.approx({"A": 0.06, "B": 0.03})
    assert (passed.worst, passed.worst_loss) == ("A/0", pytest.approx(0.08))
    mean = judge([float32[0], scored("A", 29.9, 29.9), float32[1], scored("B", 29.99)])
    assert "0.055 dB on average" in mean.reason
    assert "A/" not in mean.reason
    single = judge([float32[0], scored("A", 29.79, 30.2), float32[1], scored("B", 30)])
    assert "0.210 dB on A/0" in single.reason
    assert "average" not in single.reason
    assert judge([float32[0], scored("A", float("nan"), 30)]).reason


def test_quantize_writes_only_what_passes(
    exported: Path, quantized: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, weights = tmp_path / "photos", tmp_path / "weights"
    for folder in (photos, weights):
        folder.mkdir(parents=True)
    pyvips.Image.new_from_array((255 * soft_batch(140, 140)[0].transpose(1, 2, 0)).astype(np.uint8)).pngsave(
        str(photos / "a.png")
    )
    build_bank([photos], tmp_path / "bank", scales=(2,), workers=1)
    network = weights / "n.onnx"
    shutil.copy(exported, network)
    monkeypatch.setattr(
        "mafdn.release.int8_gate.calibration_crops", lambda _bank, *, scale: [soft_batch(32, 32, scale)] * 3
    )
    arguments = ("quantize", network, "--calibration", tmp_path / "bank", "--bench", photos)
    monkeypatch.setattr(int8, "MEAN_LIMIT", -100.0)
    with monkeypatch.context() as patch:
        quantize_as(quantized, patch)
        code, _, err = cli(*arguments)
    assert code == 1
    assert "int8 loses" in err
    assert "was not written" in err
    assert [path.name for path in weights.iterdir()] == ["n.onnx"]
    monkeypatch.setattr(int8, "MEAN_LIMIT", 100.0)
    monkeypatch.setattr(int8, "PICTURE_LIMIT", 100.0)
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    assert json.loads(out)["sets"].keys() == {"photos"}
    assert (weights / "n-int8.onnx").is_file()
    assert cli(*arguments)[0] == 1  # exists
    assert cli(*arguments, "--overwrite", "--bench", tmp_path / "no")[0] == 2


def test_datasets_of_the_same_name_are_refused_before_any_work(exported: Path, tmp_path: Path, cli: Run) -> None:
    for folder in ("good", "bad"):
        (tmp_path / folder / "Set").mkdir(parents=True)
        pyvips.Image.black(48, 48).pngsave(str(tmp_path / folder / "Set" / "a.png"))
    benches = ("--bench", tmp_path / "bad" / "Set", "--bench", tmp_path / "good" / "Set")
    code, _, err = cli("quantize", exported, "--calibration", tmp_path / "no", *benches, "-o", tmp_path / "n-int8.onnx")
    assert (code, err.count("\n")) == (2, 1)
    assert "two benchmark datasets have the same name, Set" in err


def test_quantizing_shipped_weights_updates_the_documents(
    exported: Path, quantized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize_as(quantized, monkeypatch)
    photos = tmp_path / "photos"
    for folder in (photos, tmp_path / "weights", tmp_path / "docs" / "results"):
        folder.mkdir(parents=True)
    (tmp_path / "README.md").write_text("")
    (tmp_path / "docs" / "int8.md").write_text("<!-- int8: mafdn quantize -->\n<!-- /int8 -->\n")
    picture = (255 * soft_batch(140, 140)[0].transpose(1, 2, 0)).astype(np.uint8)
    pyvips.Image.new_from_array(picture).pngsave(str(photos / "a.png"))
    build_bank([photos], tmp_path / "bank", scales=(2,), workers=1)
    network = tmp_path / "weights" / "mafdn-x2.onnx"
    shutil.copy(exported, network)
    monkeypatch.setattr(
        "mafdn.release.int8_gate.calibration_crops", lambda _bank, *, scale: [soft_batch(32, 32, scale)] * 3
    )
    stored = tmp_path / "docs" / "results" / "int8-x2.json"
    for limit, ships in ((100.0, True), (-100.0, False)):
        for module in ("mafdn.release.int8_gate", "tools.documents.update"):
            monkeypatch.setattr(f"{module}.MEAN_LIMIT", limit)
            monkeypatch.setattr(f"{module}.PICTURE_LIMIT", 100.0)
        quantize_and_document("x2", tmp_path, calibration=tmp_path / "bank", benches=[photos])
        assert json.loads(stored.read_text())["ships"] is ships
        assert ("| yes |" if ships else "| no |") in (tmp_path / "docs" / "int8.md").read_text()
        assert int8_file(network).is_file() is ships


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_shipped_int8_files_belong_to_the_weights_and_were_measured(name: str) -> None:
    path = shipped_int8(name)
    assert has_int8(shipped_fp32(name))
    stored = json.loads((ROOT / RESULTS / f"int8-{name}.json").read_text("utf-8"))
    assert stored["sha256"] == sha256(path)
    assert read_onnx_header(path)["weight_range"] == "half"
    assert largest_weight(onnx.load(path).graph) <= HALF_RANGE
    assert stored["loss"]["sets"].keys() == {"Set5", "Set14", "B100"}
    float32 = {s["bench"]: s["mean"]["psnr"] for s in stored["scores"][::2]}
    results = json.loads((ROOT / RESULTS / f"evaluate-{name}.json").read_text("utf-8"))
    shipping = {
        r["bench"]: r["mean"]["psnr"] for r in results if r["network"] == f"mafdn-{name}" and r["bench"] in float32
    }
    assert float32 == pytest.approx(shipping, abs=1e-3)
