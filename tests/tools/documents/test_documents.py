"""Figures in README and docs match the measurements, and their commands and links work."""

import json
import re
from pathlib import Path

import pytest

from mafdn._version import __version__
from mafdn.weights.header import read_header
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped
from tests.conftest import ROOT
from tools.degraded.tables import below_bicubic
from tools.documents.update import RESULTS as STORED
from tools.documents.update import renewed

RESULTS = ROOT / STORED
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]


def test_figures_match_the_stored_measurements() -> None:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        assert renewed(path, ROOT) == path.read_text("utf-8"), f"run python -m tools.figures for {path.name}"


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_the_stored_scores_belong_to_the_weights(name: str) -> None:
    variant, scale = NAMES_OF_SCALES[name]
    _, card = read_header(shipped(scale, ".safetensors", variant))
    results = json.loads((RESULTS / f"evaluate-{name}.json").read_text("utf-8"))
    stored = {r["bench"]: r["mean"] for r in results if r["network"] == f"mafdn-{name}"}
    assert stored.keys() == card["scores"].keys() >= {"Set5", "Set14", "B100"}
    assert variant != "classic" or len(stored) == 3
    for bench, score in card["scores"].items():
        assert stored[bench] == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_the_card_is_complete(name: str) -> None:
    variant, scale = NAMES_OF_SCALES[name]
    header, card = read_header(shipped(scale, ".safetensors", variant))
    assert header["settings"]["scale"] == scale
    assert not header["settings"]["over_parameterized"]
    assert "reconstructed" in card["network"]
    assert card["data"]
    assert card["steps"] > 0
    assert card["samples"] > card["steps"]
    assert card["hours"] > 0


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_every_picture_beats_bicubic(name: str) -> None:
    results = json.loads((RESULTS / f"evaluate-{name}.json").read_text("utf-8"))
    by_set: dict[str, list[dict[str, dict[str, float]]]] = {}
    for result in results:
        by_set.setdefault(result["bench"], []).append({p["name"]: p for p in result["pictures"]})
    for bicubic, ours in by_set.values():
        assert all(ours[name]["psnr"] > bicubic[name]["psnr"] for name in bicubic)


def test_every_degraded_picture_beats_bicubic_but_those_that_the_document_names() -> None:
    below = below_bicubic(json.loads((RESULTS / "degraded.json").read_text("utf-8")))
    assert below.keys() <= {(2, "Set14", "q80, then q70", "barbara")}
    assert min(below.values(), default=0) > -0.05
    document = (ROOT / "docs" / "photo.md").read_text("utf-8")
    assert all(f"{bench}/{name} at x{scale}, " in document for scale, bench, _, name in below)


def test_why_an_int8_file_does_not_ship_is_stated() -> None:
    document = (ROOT / "docs" / "int8.md").read_text("utf-8")
    for name in NAMES_OF_SCALES:
        entry = json.loads((RESULTS / f"int8-{name}.json").read_text("utf-8"))
        limits, loss = entry["limits"], entry["loss"]
        picture = loss["mean"] <= limits["mean"] and loss["worst_loss"] > limits["picture"]
        assert (f" {name} ({loss['worst']})" in document) == picture
        assert not (picture and entry["ships"])


@pytest.mark.parametrize(("scale", "floor"), [(2, 37.3), (3, 33.6), (4, 31.5)])
def test_set5_is_above_its_floor(scale: int, floor: float) -> None:
    _, card = read_header(shipped(scale, ".safetensors"))
    assert card["scores"]["Set5"]["psnr"] >= floor


def test_the_readme_has_two_set_up_commands_and_says_reconstruction() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert sum(line.startswith("python3 -m venv") for line in text.splitlines()) == 2
    assert "*reconstruction*" in text


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
