"""DO-Conv, the parts, the network, folding and counting."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mafdn.networks import MAFDN, MAFDNSettings, count, folded_state, over_parameterize
from mafdn.networks.attention import ContrastChannelAttention, PixelAttention, SpatialAttention
from mafdn.networks.counting import input_size

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)


def shaken(network: nn.Module) -> nn.Module:
    """The network with every parameter moved, so that D is no longer zero."""
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return network


@pytest.mark.parametrize(("kernel", "d_mul"), [(1, None), (3, None), (3, 9), (3, 13), (5, 27), ((3, 1), 4)])
def test_do_conv_starts_as_the_plain_convolution(kernel: int | tuple[int, int], d_mul: int | None) -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(4, 6, kernel, padding="same")
    x = torch.randn(2, 4, 9, 8)
    before = conv(x)
    torch.testing.assert_close(over_parameterize(conv, d_mul=d_mul)(x), before, atol=1e-6, rtol=1e-5)


def test_do_conv_is_the_published_composition() -> None:
    torch.manual_seed(2)
    conv = shaken(over_parameterize(nn.Conv2d(3, 5, 3), d_mul=11))
    part = conv.parametrizations.weight[0]  # type: ignore[index,union-attr]
    W = conv.parametrizations.weight.original  # type: ignore[union-attr]
    D = part.D + part.identity
    expected = torch.einsum("ims,ois->oim", D, W).reshape(5, 3, 3, 3)
    torch.testing.assert_close(conv.weight, expected)


def test_every_part_of_do_conv_learns() -> None:
    torch.manual_seed(3)
    conv = over_parameterize(nn.Conv2d(3, 5, 3), d_mul=12)
    conv(torch.randn(1, 3, 8, 8)).square().mean().backward()
    part = conv.parametrizations.weight[0]  # type: ignore[index,union-attr]
    assert (part.D.grad.abs().amax((0, 1)) > 0).all(), "a column of D has no gradient"
    columns = part.D.grad.flatten(0, 1).T
    assert (torch.pdist(columns) > 0).all(), "two columns of D learn the same"


def test_do_conv_refuses_to_lose_rank() -> None:
    with pytest.raises(ValueError, match="at least 9"):
        over_parameterize(nn.Conv2d(3, 5, 3), d_mul=8)


@pytest.mark.parametrize("make", [PixelAttention, ContrastChannelAttention, lambda _: SpatialAttention()])
def test_attention_gates_between_nothing_and_everything(make: object) -> None:
    x = torch.rand(2, 20, 12, 10) + 0.1
    y = make(20)(x)  # type: ignore[operator]
    assert y.shape == x.shape
    assert ((y > 0) & (y < x)).all()


def test_channel_attention_has_a_gradient_on_a_flat_patch() -> None:
    x = torch.full((1, 20, 8, 8), 0.3, requires_grad=True)
    ContrastChannelAttention(20)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def plain_spatial(module: SpatialAttention, x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(module.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


def plain_channel(module: ContrastChannelAttention, x: torch.Tensor) -> torch.Tensor:
    mean = x.mean((2, 3), keepdim=True)
    contrast = mean + torch.sqrt((x - mean).square().mean((2, 3), keepdim=True) + 1e-6)
    return x * torch.sigmoid(module.expand(torch.relu(module.squeeze(contrast))))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("module", "plain"), [(SpatialAttention(3), plain_spatial), (ContrastChannelAttention(6, 2), plain_channel)]
)
def test_written_out_gradients_are_those_of_autograd(module: nn.Module, plain: object, ties: bool) -> None:
    torch.manual_seed(4)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    x = x.round() if ties else x
    module.double()
    weights = torch.randn_like(x)
    gradients = []
    for function in (module, lambda x: plain(module, x)):  # type: ignore[operator]
        leaf = x.clone().requires_grad_()
        output = function(leaf)
        (output * weights).sum().backward()
        gradients.append((output.detach(), leaf.grad, *(p.grad for p in module.parameters())))
        module.zero_grad()
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_folding_changes_nothing(scale: int) -> None:
    torch.manual_seed(scale)
    network = shaken(MAFDN(MAFDNSettings(scale=scale)))
    folded = network.fold()
    x = torch.rand(2, 3, 13, 17)
    with torch.inference_mode():
        y = network(x)
        assert y.shape == (2, 3, 13 * scale, 17 * scale)
        torch.testing.assert_close(folded(x), y, atol=1e-5, rtol=0)
    assert not folded.settings.over_parameterized
    assert replace(folded.settings, over_parameterized=True) == network.settings


def test_folding_leaves_the_network_as_it_was() -> None:
    network = shaken(MAFDN(SMALL))
    first, second = network.fold(), network.fold()
    for name, tensor in folded_state(network).items():
        assert torch.equal(first.state_dict()[name], tensor)
        assert torch.equal(second.state_dict()[name], tensor)
    network(torch.rand(1, 3, 8, 8)).mean().backward()
    assert all(p.grad is not None for p in network.parameters())


TABLE = {  # folded parameters, conv MACs and thop-style in G, training form
    4: (597_072, "33.7558", "33.7904", 669_972),
    3: (587_601, "58.9504", "59.0117", 660_501),
    2: (580_836, "131.2907", "131.4289", 653_736),
}


@pytest.mark.parametrize("scale", TABLE)
def test_counts_are_those_of_the_reconstruction(scale: int) -> None:
    parameters, conv, thop, training = TABLE[scale]
    *parts, total = count(MAFDN(MAFDNSettings(scale=scale)))
    assert total.parameters == parameters
    assert total.training_parameters == training
    assert f"{total.conv_macs / 1e9:.4f}" == conv
    assert f"{total.thop_macs / 1e9:.4f}" == thop
    for column in ("parameters", "training_parameters", "conv_macs", "thop_macs"):
        assert sum(getattr(part, column) for part in parts) == getattr(total, column)


def test_input_size_of_the_count() -> None:
    assert [input_size(s) for s in (2, 3, 4)] == [(360, 640), (240, 426), (180, 320)]


@pytest.mark.parametrize("switch", ["pixel_attention", "channel_attention", "spatial_attention"])
def test_every_attention_can_be_left_out(switch: str) -> None:
    less = MAFDN(replace(SMALL, **{switch: False}))
    assert less(torch.rand(1, 3, 9, 9)).shape == (1, 3, 18, 18)
    assert count(less)[-1].parameters < count(MAFDN(SMALL))[-1].parameters


@pytest.mark.parametrize("wrong", [{"scale": 5}, {"width": 7}, {"width": 0}, {"blocks": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MAFDNSettings(**wrong)
