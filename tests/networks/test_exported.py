"""The exported form of a network."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from mafdn.networks import MAFDN, IMDNSettings, MAFDNSettings, build
from mafdn.networks.exported import exported_form
from mafdn.release.quantize import (
    parts,
)

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)


def lively(made: MAFDNSettings) -> MAFDN:
    torch.manual_seed(0)
    network = build(made)
    assert isinstance(network, MAFDN)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.startswith("blocks"):
                tensor.mul_(2)
    return network


@pytest.mark.parametrize("switch", ["", "pixel_attention", "channel_attention", "spatial_attention"])
@pytest.mark.parametrize("over_parameterized", [True, False])
def test_the_exported_form_computes_the_same(switch: str, over_parameterized: bool) -> None:
    made = replace(SMALL, over_parameterized=over_parameterized)
    network = lively(replace(made, **{switch: False}) if switch else made)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.rand(2, 3, 13, 17)
    with torch.inference_mode():
        torch.testing.assert_close(exported_form(network)(x), network(x), atol=1e-5, rtol=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_exported_form_has_fewer_operations(exported: Path) -> None:
    graph = onnx.load(exported).graph
    # Two for each block: its bias and its product; one after the blocks; two in each gate's statistics.
    assert len(parts(graph)["sums"]) == 2 * SMALL.blocks + 1 + 2 * SMALL.blocks
    assert len(parts(graph)["products"]) == SMALL.blocks + 1


def test_a_peer_is_exported_folded() -> None:
    peer = build(IMDNSettings(scale=2))
    x = torch.rand(1, 3, 9, 9)
    with torch.inference_mode():
        assert torch.equal(exported_form(peer)(x), peer.fold()(x))
