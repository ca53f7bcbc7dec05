"""The weights that a run may start from: names, runs, weights files and checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from mafdn.errors import ConfigError, MafdnError, UsageError, WeightsError
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, save_network
from mafdn.training.loop import train
from mafdn.training.pretrained import locate, open_pretrained, pretrained_file
from mafdn.training.record.run_folder import RunFolder
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.runs import config, saved_run
from tests.support import failed

SETTINGS = MAFDNSettings(scale=2, width=16, blocks=1)


def parent(scale: int = 2) -> MAFDN:
    torch.manual_seed(5)
    return MAFDN(MAFDNSettings(scale=scale, width=16, blocks=1)).requires_grad_(False)


def folded_head(network: MAFDN) -> torch.Tensor:
    return network.fold().head.weight


@pytest.mark.parametrize("kind", ["a run", "folded weights", "training form", "params_ema", "another scale"])
def test_a_run_starts_from_everything_that_has_weights(kind: str, tmp_path: Path) -> None:
    network = parent(3 if kind == "another scale" else 2)
    path = tmp_path / "n.safetensors"
    if kind == "a run":
        path = saved_run(tmp_path / "run", network)
    elif kind == "params_ema":
        path = tmp_path / "n.pth"
        torch.save({"params": MAFDN(SETTINGS).state_dict(), "params_ema": network.state_dict()}, path)
    else:
        save_network(network if kind == "training form" else network.fold(), path, card={"steps": 7})
    target = MAFDN(SETTINGS)
    pretrained = open_pretrained(str(path), target)
    pretrained.transfer_to(target)
    assert torch.equal(target.head.weight, network.head.weight)
    if kind not in ("a run", "another scale"):
        x = torch.rand(1, 3, 6, 6)
        with torch.inference_mode():
            torch.testing.assert_close(target(x), network(x), atol=1e-5, rtol=0)
    expected = {"a run": 10, "params_ema": None}.get(kind, 7)
    assert pretrained.card.get("steps") == expected
    assert (pretrained.note != "") == (kind == "params_ema")
    assert pretrained.origin.startswith(f"{pretrained.file.name}, SHA-256 ")


def test_shipped_weights_are_named_without_a_folder(tmp_path: Path) -> None:
    assert locate("x4", tmp_path) == "x4"
    assert locate("mafdn", tmp_path) == "mafdn"
    assert locate("n.pth", tmp_path) == str(tmp_path / "n.pth")
    assert pretrained_file("x4", scale=2) == shipped(4, ".safetensors")
    assert pretrained_file("mafdn", scale=2) == shipped(2, ".safetensors")
    pattern = str(tmp_path / "n_x{scale}.pth")
    (tmp_path / "n_x3.pth").touch()
    assert pretrained_file(pattern, scale=3).name == "n_x3.pth"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("bicubic", ConfigError, "bicubic is a baseline, not a network; use a weights file"),
        ("imdn", ConfigError, "imdn is an architecture without weights"),
        ("{}/n.onnx", ConfigError, "cannot be trained further: an ONNX file holds a fixed graph; use the weights"),
        ("{}/none.pth", WeightsError, "no such file"),
        ("vdsr", UsageError, "unknown network"),
        ("{}/photos", WeightsError, "nor the folder of a training run"),
    ],
)
def test_what_has_no_weights_is_refused(name: str, kind: type[MafdnError], words: str, tmp_path: Path) -> None:
    (tmp_path / "n.onnx").touch()
    (tmp_path / "photos").mkdir()
    with pytest.raises(kind, match=f"^run.init: .*{words}"):
        pretrained_file(name.format(tmp_path), scale=2)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    save_network(IMDN(IMDNSettings(scale=2, width=16, blocks=1)), path, card={})
    target = MAFDN(SETTINGS)
    with pytest.raises(
        WeightsError, match=r"^run.init: .*n\.safetensors: the weights do not fit: their network is IMDN"
    ):
        open_pretrained(str(path), target).transfer_to(target)


def test_a_configuration_starts_from_a_run_and_keeps_its_history(workplace: Path, cli: Run) -> None:
    saved_run(workplace / "first", parent())
    path = config(workplace, steps=8)
    path.write_text(path.read_text().replace('folder = "run"', 'folder = "run"\ninit = "first"'))
    assert train(path) == workplace / "run"
    card = RunFolder(workplace / "run").parent
    assert card is not None
    assert (card["steps"], card["samples"]) == (10, 40)
    extended = workplace / "configs" / "more.toml"
    extended.parent.mkdir()
    extended.write_text('extends = "../run.toml"\n[run]\nfolder = "more"\n')
    assert train(extended) == workplace / "configs" / "more"
    assert cli("export", workplace / "run", "-o", workplace / "own.safetensors")[0] == 0
    for start, words in (("x2", "the weights do not fit: their width is 50"), ("bicubic", "a baseline")):
        path.write_text(
            path.read_text().replace('folder = "run"', f'folder = "r-{start}"').replace('"first"', f'"{start}"')
        )
        extended.write_text('extends = "../run.toml"\n')
        for file in (path, extended):  # a name is not a path relative to a file
            failed(cli("train", file), 1 if start == "x2" else 2, words)
        path.write_text(path.read_text().replace(f'"{start}"', '"first"').replace(f"r-{start}", "run"))


def test_the_note_about_averaged_weights_is_kept_on_the_card(tmp_path: Path) -> None:
    path = tmp_path / "n.pth"
    torch.save({"params_ema": parent().state_dict()}, path)
    card = open_pretrained(str(path), MAFDN(SETTINGS)).card
    assert card["source"] == "n.pth"
    assert len(card["source_sha256"]) == 64
    assert json.dumps(card)
