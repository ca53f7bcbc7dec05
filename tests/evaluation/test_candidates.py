"""The networks of a comparison, from names, files and patterns."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import pytest

from mafdn.errors import UsageError, WeightsError
from mafdn.evaluation.candidates import find_candidates
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, save_network

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)
"""Those of the exported network, too."""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_network(MAFDN(SMALL), path, card={})
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
        (2, "small"),
        (2, "imdn2"),
        (3, "bicubic"),
        (3, "MAFDN (reconstruction)"),
        (3, "AFAN-style (reconstruction)"),
        (3, "imdn3"),
        (4, "bicubic"),
        (4, "MAFDN (reconstruction)"),
        (4, "AFAN-style (reconstruction)"),
    ]
    assert [c.file is not None for c in found[:4]] == [False, True, False, True]
    assert [c.measurable for c in found[:4]] == [True, True, False, True]
    assert [c.shipped for c in found[:4]] == [False, True, False, False]
    with pytest.raises(UsageError, match="none of the requested scales"):
        find_candidates([str(weights)], [3, 4])
    with pytest.raises(UsageError, match="none of the requested scales"):
        find_candidates([str(tmp_path / "no{scale}.pth")], [2, 3])
    with pytest.raises(UsageError, match="unknown network 'vdsr'"):
        find_candidates(["vdsr"], [4])
    with pytest.raises(WeightsError):
        find_candidates([str(tmp_path / "no.safetensors")], [4])


def test_a_file_is_compared_once_and_equal_names_are_disambiguated(
    weights: Path, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / weights.name
    other.write_bytes(weights.read_bytes())
    alike = [str(weights), str(tmp_path / "sub" / ".." / weights.name), str(weights).replace("small", "s{scale}")]
    (tmp_path / "s2.safetensors").symlink_to(weights)
    assert [c.source for c in find_candidates(alike, [2])] == [str(weights)]
    names = [c.name for c in find_candidates([str(weights), str(other), str(exported)], [2])]
    assert names == [
        f"{tmp_path.name}/small.safetensors",
        "sub/small.safetensors",
        f"{exported.parent.name}/small.onnx",
    ]


def test_an_exported_file_is_counted_by_its_header(exported: Path) -> None:
    (candidate,) = find_candidates([str(exported)], [2])
    assert candidate.network is not None
    assert candidate.network.settings == replace(SMALL, over_parameterized=False)


@pytest.mark.parametrize(
    "lie", [{"width": 10}, {"scale": 4}, {"width": 10**9}, {"width": "8"}, {"unknown": 1}, {"architecture": "vdsr"}]
)
def test_a_wrong_header_is_ignored(lie: dict[str, object], exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "lie.onnx"
    model = onnx.load(exported)
    settings = asdict(SMALL)
    header: dict[str, object] = {"architecture": "mafdn", "settings": settings}
    (header if "architecture" in lie else settings).update(lie)
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, path)
    (candidate,) = find_candidates([str(path)], [2])
    assert (candidate.network, candidate.architecture, candidate.name) == (None, "", "lie")
