"""What README and docs say is what was measured, and what can be typed."""

import importlib.util
import json
from pathlib import Path

import pytest

from mafdn.cards import read_header, shipped

ROOT = Path(__file__).parents[1]


def test_figures_are_those_that_were_stored() -> None:
    spec = importlib.util.spec_from_file_location("figures", ROOT / "scripts" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    for name in ("README.md", "docs/training.md"):
        text = (ROOT / name).read_text("utf-8")
        assert figures.filled(text) == text, f"run scripts/figures.py: {name} is out of date"


def test_the_stored_scores_are_those_of_the_weights() -> None:
    _, card = read_header(shipped(4, ".safetensors"))
    results = json.loads((ROOT / "docs" / "results" / "evaluate-x4.json").read_text("utf-8"))
    stored = {r["bench"]: r["mean"] for r in results if r["network"] == "mafdn-x4"}
    assert stored.keys() == card["scores"].keys() == {"Set5", "Set14", "B100"}
    for bench, score in card["scores"].items():
        assert stored[bench] == pytest.approx(score, abs=1e-4)


def test_the_card_is_complete() -> None:
    header, card = read_header(shipped(4, ".safetensors"))
    assert header["settings"]["scale"] == 4
    assert not header["settings"]["over_parameterized"]
    assert "reconstructed" in card["network"]
    assert card["data"]
    assert card["steps"] > 0
    assert card["samples"] > card["steps"]
    assert card["hours"] > 0


def test_every_picture_beats_bicubic() -> None:
    results = json.loads((ROOT / "docs" / "results" / "evaluate-x4.json").read_text("utf-8"))
    by_set: dict[str, list[dict[str, dict[str, float]]]] = {}
    for result in results:
        by_set.setdefault(result["bench"], []).append({p["name"]: p for p in result["pictures"]})
    for bicubic, ours in by_set.values():
        assert all(ours[name]["psnr"] > bicubic[name]["psnr"] for name in bicubic)


def test_the_readme_has_two_set_up_commands_and_says_reconstruction() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert sum(line.startswith("python3 -m venv") for line in text.splitlines()) == 2
    assert "*reconstruction*" in text
