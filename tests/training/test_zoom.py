"""Zoomed pairs: windows of photographs at or near full size, and a teacher's outputs for them."""

import json
from pathlib import Path

import numpy as np
import pytest

from mafdn.errors import ConfigError, UsageError
from mafdn.inference import open_engine, upscale
from mafdn.training.data import build
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.data.teach import teach
from mafdn.training.data.zoom import SIDE, window, zoom
from mafdn.training.loop import train
from tests.conftest import Run
from tests.runs import config, tiny
from tests.support import failed


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return tiny(tmp_path / "a.onnx", seed=1)


def test_hr_pictures_are_the_teachers_results(bank: Bank, a: Path, tmp_path: Path) -> None:
    zoomed = zoom(bank.folder, [a], tmp_path / "zoomed", per_picture=3)
    assert zoomed.zoomed is not None
    assert (zoomed.zoomed.scale, zoomed.zoomed.source) == (2, bank.fingerprint)
    assert len(zoomed.pictures) == 9
    engine = open_engine(a)
    for i in range(9):
        assert np.array_equal(zoomed.hr(i), upscale(engine, zoomed.lr(i, 2)))
        assert zoomed.pictures[i].name == bank.pictures[i // 3].name
    assert len({zoomed.lr(i, 2).tobytes() for i in range(9)}) == 9


def test_windows_are_taken_at_full_size_and_reduced() -> None:
    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (300, 200, 3), np.uint8)
    full = 0
    for turn in range(60):
        cut = window(photograph, smallest=0.5, seed=(0, turn))
        assert cut.shape[0] == SIDE
        assert 100 <= cut.shape[1] <= SIDE
        flat = np.abs(np.diff(cut[..., 1].astype(int), axis=0)).mean()
        full += flat > 80  # reducing removes the noise
    assert 5 <= full <= 30


def test_zooming_resumes_where_it_was_killed(
    photos: Path, tmp_path: Path, a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SHARD", 1)
    bank = build_bank([photos], tmp_path / "shards", scales=(2,), workers=1)
    whole = zoom(bank.folder, [a], tmp_path / "whole")

    class PowerCutError(Exception):
        pass

    def cut(done: int, _: int) -> None:
        if done == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        zoom(bank.folder, [a], tmp_path / "parts", on_progress=cut)
    with pytest.raises(ConfigError):
        open_bank(tmp_path / "parts")
    first = (tmp_path / "parts.partial" / "00000" / "hr.u8").stat().st_ino
    parts = zoom(bank.folder, [a], tmp_path / "parts")
    assert (tmp_path / "parts" / "00000" / "hr.u8").stat().st_ino == first
    assert (parts.fingerprint, parts.pictures) == (whole.fingerprint, whole.pictures)
    for i in range(3):
        assert np.array_equal(parts.hr(i), whole.hr(i))


def test_a_share_of_the_patches_is_zoomed(bank: Bank, a: Path, tmp_path: Path) -> None:
    zoomed = zoom(bank.folder, [a], tmp_path / "zoomed")
    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=8, seed=0, zoomed=(zoomed, [0, 1, 2]), zoomed_share=0.25)
    drawn = np.concatenate([sampler.draw(step, range(8)).places.picture[:, 0, 0] for step in range(100)])
    assert 0.2 < (drawn >= 3).mean() < 0.3


def test_banks_that_do_not_match_are_rejected(bank: Bank, a: Path, tmp_path: Path) -> None:
    zoom(bank.folder, [a], tmp_path / "zoomed")
    with pytest.raises(ConfigError, match="zoomed pairs; choose a bank of photographs"):
        zoom(tmp_path / "zoomed", [a], tmp_path / "twice")
    with pytest.raises(ConfigError, match="a bank of different pairs"):
        zoom(bank.folder, [a], tmp_path / "zoomed", per_picture=2)
    with pytest.raises(UsageError, match="factor"):
        zoom(bank.folder, [a], tmp_path / "x", smallest=0.95)


def test_a_run_rejects_pairs_of_other_pictures_and_scales(workplace: Path, a: Path, tmp_path: Path) -> None:
    path = config(workplace, steps=7)
    train(path)
    other = build_bank([workplace / "photos"], tmp_path / "two", scales=(2, 4), workers=1)
    zoom(other.folder, [a], tmp_path / "other")
    own = workplace / "bank"
    x2, x3 = tiny(tmp_path / "x2.onnx", seed=2), tiny(tmp_path / "x3.onnx", seed=3, scale=3)
    text = path.read_text().replace("[data]", '[data]\nteacher = "t"\nzoomed = "{}"').replace('"run"', '"again"')

    def refused(zoomed: Path, expected: str) -> None:
        path.write_text(text.format(zoomed))
        with pytest.raises(ConfigError, match=expected):
            train(path)

    teach(own, [x2], name="t")
    refused(tmp_path / "other", "made from a different bank")
    refused(own, "is not a bank of zoomed pairs")
    refused(tmp_path / "none", "does not exist; choose the folder of a bank")
    three = build_bank([workplace / "photos"], tmp_path / "three", scales=(3,), workers=1)
    zoom(three.folder, [x3], tmp_path / "x3-pairs")
    manifest = tmp_path / "x3-pairs" / "bank.json"
    table = json.loads(manifest.read_text())
    table["zoomed"]["source"] = open_bank(own).fingerprint
    manifest.write_text(json.dumps(table))
    refused(tmp_path / "x3-pairs", "pairs for x3, not x2")
    zoom(own, [x2], tmp_path / "pairs")
    path.write_text(text.format(tmp_path / "pairs"))
    train(path)
    zoom(own, [x2], tmp_path / "more", per_picture=2)
    refused(tmp_path / "more", "data.zoomed would change the run in .*, which was started with other pictures")


def test_zoom_from_the_command_line(bank: Bank, a: Path, tmp_path: Path, cli: Run) -> None:
    code, out, err = cli("bank", "zoom", bank.folder, "--network", a, "-o", tmp_path / "z", "--per-picture", 2)
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'z'}: 6 zoomed pairs")
    assert json.loads(cli("bank", "info", tmp_path / "z", "--json")[1])["zoomed"]["per_picture"] == 2
    assert "zoomed pairs by" in cli("bank", "info", tmp_path / "z")[1]
    failed(cli("bank", "zoom", tmp_path / "no", "--network", a, "-o", tmp_path / "y"), 2, "no does not exist; choose")
