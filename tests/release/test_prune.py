"""Pruning to fewer channels."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mafdn._support.atomic import sha256
from mafdn.errors import UsageError
from mafdn.networks import MAFDN, MAFDNSettings, load_mafdn, save_network
from mafdn.release.prune import prune
from mafdn.training.data.bank import Bank
from mafdn.weights.header import read_header
from tests.conftest import Run
from tests.runs import saved_run

SETTINGS = MAFDNSettings(scale=2, width=18, blocks=2)
"""Pruned to 16, the stream and the fusion lose two channels, each branch one, and the squeezed layers none."""


@pytest.fixture
def patches() -> Tensor:
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def network_with_idle_channels(settings: MAFDNSettings, idle: tuple[int, ...]) -> MAFDN:
    """A network in which some channels of the stream and of the fusion, and the first of every branch, are always 0."""
    torch.manual_seed(3)
    network = MAFDN(settings).fold()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if ".distills." in name and ".attention." not in name:
                tensor[0] = 0
            elif name.startswith(("head", "fuse", "smooth")) or ".merge." in name or ".refines." in name:
                tensor[list(idle)] = 0
    return network


def test_channels_without_effect_are_removed_without_loss(patches: Tensor) -> None:
    network = network_with_idle_channels(SETTINGS, (2, 11))
    pruned = prune(network, 16, patches)
    assert pruned.settings == MAFDNSettings(scale=2, width=16, blocks=2, over_parameterized=False)
    torch.testing.assert_close(pruned(patches), network(patches), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("switch", ["pixel_attention", "channel_attention", "spatial_attention"])
def test_networks_without_an_attention_can_be_pruned(patches: Tensor, switch: str) -> None:
    settings = MAFDNSettings(scale=2, width=18, blocks=2, **{switch: False})
    network = network_with_idle_channels(settings, (0, 17))
    torch.testing.assert_close(prune(network, 16, patches)(patches), network(patches), atol=1e-5, rtol=1e-5)


def test_squeezed_layers_shrink_with_the_width(patches: Tensor) -> None:
    network = MAFDN(SETTINGS)
    pruned = prune(network, 14, patches)
    name = "blocks.0.channel.squeeze.weight"
    assert [form.state_dict()[name].shape[0] for form in (network, pruned)] == [2, 1]
    assert pruned(patches).shape == (2, 3, 24, 24)


def test_the_network_itself_is_not_changed(patches: Tensor) -> None:
    network = MAFDN(SETTINGS)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    prune(network, 16, patches)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("width", [0, 7, 18, 20])
def test_impossible_widths_are_rejected(patches: Tensor, width: int) -> None:
    with pytest.raises(UsageError, match=f"even and below 18.* it is {width}"):
        prune(MAFDN(SETTINGS), width, patches)


def test_the_command_writes_a_file_with_the_card_of_the_source(
    bank: Bank, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mafdn.release.prune.SIDE", 16)  # the pictures of the bank are small
    source, target = tmp_path / "wide.safetensors", tmp_path / "narrow.safetensors"
    save_network(MAFDN(SETTINGS).fold(), source, card={"data": "noise", "steps": 3, "scores": {"Set5": {"psnr": 1.0}}})
    code, out, err = cli("prune", source, "--width", 16, "--bank", bank.folder, "-o", target, "--json")
    assert code == 0, err
    assert load_mafdn(target).settings.width == 16
    _, card = read_header(target)
    assert (card["data"], card["steps"]) == ("noise", 3)
    assert "scores" not in card
    assert card["pruned"]["from"] == f"wide.safetensors, SHA-256 {sha256(source)}"
    assert json.loads(out)["psnr_to_source"] == card["pruned"]["psnr_to_source"] > 20
    code, _, err = cli("prune", source, "--width", 16, "--bank", bank.folder, "-o", target)
    assert (code, err.count("\n")) == (1, 1)
    assert "exists" in err


def test_the_card_of_a_checkpoint_is_that_of_its_run(
    bank: Bank, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mafdn.release.prune.SIDE", 16)  # the pictures of the bank are small
    run, target = tmp_path / "run", tmp_path / "narrow.safetensors"
    for step in (10, 20):
        saved_run(run, MAFDN(SETTINGS), step=step)
    for source, steps in ((run, 20), (run / "step-00000010.safetensors", 10)):
        assert cli("prune", source, "--width", 16, "--bank", bank.folder, "-o", target, "--overwrite")[0] == 0
        card = read_header(target)[1]
        assert (card["steps"], card["settings"]["network"]["width"]) == (steps, 18)
        assert card["pruned"]["width"] == 16


def test_other_files_are_rejected_in_one_line(bank: Bank, tmp_path: Path, cli: Run) -> None:
    onnx = tmp_path / "network.onnx"
    onnx.touch()
    for arguments in ((onnx, "-o", tmp_path / "a.safetensors"), ("x2", "-o", tmp_path / "a.onnx"), ("bicubic",)):
        code, _, err = cli("prune", *arguments, "--width", 16, "--bank", bank.folder)
        assert (code, err.count("\n")) == (2, 1), err
