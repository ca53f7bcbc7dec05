"""`mafdn.hub`: folders in the form of the Hugging Face hub."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import mafdn
from mafdn import UsageError
from mafdn.networks import MAFDN, IMDNSettings, build, save_network
from tests.hosts.conftest import run_documented

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra hub)")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_folder_gives_the_network_back(network: MAFDN, tmp_path: Path) -> None:
    from mafdn.hub import HubMAFDN

    save_network(network, tmp_path / "n.safetensors", card={})
    made = HubMAFDN.of(tmp_path / "n.safetensors")
    made.save_pretrained(tmp_path / "hub")
    assert {path.name for path in (tmp_path / "hub").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert (config["scale"], config["width"], config["blocks"]) == (2, 8, 2)
    loaded = HubMAFDN.from_pretrained(tmp_path / "hub")
    x = torch.rand(1, 3, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), network.fold()(x), atol=1e-6, rtol=0)
    assert not loaded.training
    with torch.inference_mode():  # mafdn itself reads the file too
        torch.testing.assert_close(HubMAFDN.of("x2")(x), mafdn.load_network("x2")(x))


def test_the_documented_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run_documented("HubMAFDN", names)
    assert names["network"].settings.scale == 4


def test_the_card_has_the_metadata_of_the_hub(network: MAFDN, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    from mafdn.hub import HubMAFDN

    save_network(network, tmp_path / "n.safetensors", card={})
    HubMAFDN.of(tmp_path / "n.safetensors").save_pretrained(tmp_path / "hub")
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    metadata = card.data.to_dict()
    assert metadata["library_name"] == "mafdn"
    assert metadata["pipeline_tag"] == "image-to-image"
    assert "super-resolution" in metadata["tags"]
    assert "reconstruction" in card.text


def test_another_network_is_refused(tmp_path: Path) -> None:
    from mafdn.hub import HubMAFDN

    save_network(build(IMDNSettings(scale=2)), tmp_path / "imdn.safetensors", card={})
    with pytest.raises(UsageError, match="is a IMDN"):
        HubMAFDN.of(tmp_path / "imdn.safetensors")


def test_the_network_is_exported_by_torch_for_any_size(network: MAFDN) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    folded = network.fold()
    program = torch.export.export(
        folded, (torch.rand(2, 3, 12, 16),), dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},)
    )
    for shape in ((2, 3, 12, 16), (3, 3, 21, 9)):
        x = torch.rand(shape)
        with torch.inference_mode():
            torch.testing.assert_close(program.module()(x), folded(x), atol=1e-6, rtol=0)
