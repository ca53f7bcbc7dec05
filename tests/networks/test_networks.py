"""DO-Conv, the building blocks, the network, folding and counting."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mafdn.networks import MAFDN, MAFDNSettings, Network, count, folded_state, over_parameterize
from mafdn.networks.fast import CONTRAST_EPSILON, activated, contrast, mean_and_maximum
from mafdn.networks.layers import ContrastChannelAttention, PixelAttention, SpatialAttention
from mafdn.networks.reference import PlainMAFDN, plain_channel, plain_pixel, plain_spatial
from mafdn.weights.sizes import input_size
from tests.support import shaken

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)


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
    parametrized: Any = conv.parametrizations
    part, W = parametrized.weight[0], parametrized.weight.original
    D = part.D + part.identity
    expected = torch.einsum("ims,ois->oim", D, W).reshape(5, 3, 3, 3)
    torch.testing.assert_close(conv.weight, expected)


def test_every_part_of_do_conv_learns() -> None:
    torch.manual_seed(3)
    conv = over_parameterize(nn.Conv2d(3, 5, 3), d_mul=12)
    conv(torch.randn(1, 3, 8, 8)).square().mean().backward()
    parametrized: Any = conv.parametrizations
    part = parametrized.weight[0]
    assert (part.D.grad.abs().amax((0, 1)) > 0).all(), "a column of D has no gradient"
    columns = part.D.grad.flatten(0, 1).T
    assert (torch.pdist(columns) > 0).all(), "two columns of D learn the same"


def test_do_conv_refuses_to_lose_rank() -> None:
    with pytest.raises(ValueError, match="at least 9"):
        over_parameterize(nn.Conv2d(3, 5, 3), d_mul=8)


@pytest.mark.parametrize("make", [PixelAttention, ContrastChannelAttention, lambda _: SpatialAttention()])
def test_attention_gates_are_between_0_and_1(make: Callable[[int], nn.Module]) -> None:
    x = torch.rand(2, 20, 12, 10) + 0.1
    y = make(20)(x)
    assert y.shape == x.shape
    assert ((y > 0) & (y < x)).all()


def test_channel_attention_has_a_gradient_on_a_flat_patch() -> None:
    x = torch.full((1, 20, 8, 8), 0.3, requires_grad=True)
    ContrastChannelAttention(20)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("module", "plain"),
    [
        (PixelAttention(6), plain_pixel),
        (SpatialAttention(3), plain_spatial),
        (ContrastChannelAttention(6, 2), plain_channel),
    ],
)
def test_written_out_gradients_are_those_of_autograd(
    module: nn.Module, plain: Callable[..., torch.Tensor], ties: bool
) -> None:
    torch.manual_seed(4)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    x = x.round() if ties else x
    module.double()
    weights = torch.randn_like(x)
    gradients = []
    for function in (module, lambda x: plain(module, x)):
        leaf = x.clone().requires_grad_()
        output = function(leaf)
        (output * weights).sum().backward()
        gradients.append((output.detach(), leaf.grad, *(p.grad for p in module.parameters())))
        module.zero_grad()
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def with_gradients(network: nn.Module, x: torch.Tensor, *, bf16: bool = False) -> dict[str, torch.Tensor]:
    """The output, and the gradient of a loss by every parameter; named as in MAFDN for a plain network too."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = network(x)
    (output.float() - 0.5).abs().mean().backward()
    gradients: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        gradients[name.removeprefix("network.")] = parameter.grad
    return {"output": output.detach(), **gradients}


WITHOUT = [{}, *({name: False} for name in ("pixel_attention", "channel_attention", "spatial_attention"))]


@pytest.mark.parametrize("change", [*WITHOUT, {"over_parameterized": False}], ids=str)
def test_the_network_is_its_plain_form(change: dict[str, bool], threads: int) -> None:
    torch.manual_seed(5)
    network = shaken(MAFDN(replace(SMALL, width=20, **change)))
    x = torch.rand(3, 11, 13, 3).permute(0, 3, 1, 2)
    ours, plain = with_gradients(network, x), with_gradients(PlainMAFDN(network), x)
    assert ours.keys() == plain.keys()
    for name, tensor in plain.items():
        difference = (ours[name] - tensor).norm()
        assert difference <= 1e-5 * tensor.norm(), f"{name} differs by {difference:.2g} on {threads} threads"


def test_the_network_is_its_plain_form_in_autocast() -> None:
    torch.manual_seed(6)
    network = shaken(MAFDN(SMALL))
    x = torch.rand(3, 12, 12, 3).permute(0, 3, 1, 2)
    exact = with_gradients(network, x)
    errors = [
        sum(float((tensor - exact[name]).square().sum()) for name, tensor in found.items())
        for found in (with_gradients(network, x, bf16=True), with_gradients(PlainMAFDN(network), x, bf16=True))
    ]
    assert errors[0] < 1.5 * errors[1], "rounds more than the plain network does"


@pytest.mark.parametrize("function", [mean_and_maximum, contrast])
def test_gradients_of_the_statistics(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.randperm(2 * 5 * 3 * 4).double().reshape(2, 5, 3, 4).div(60).requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))


def test_channels_in_a_tie_share_the_gradient_of_the_maximum() -> None:
    x = torch.ones(1, 1024, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    mean_and_maximum(x)[:, 1].sum().backward()
    assert x.grad is not None
    assert (x.grad == 1 / 1024).all()


def test_one_activation_equals_four() -> None:
    parts = [torch.randn(2, n, 3, 3) for n in (1, 2)]
    expected = torch.cat([nn.functional.leaky_relu(part, 0.05) for part in parts], dim=1)
    assert torch.equal(activated(parts, 0.05), expected)


def test_no_convolution_of_a_picture_is_slow(threads: int) -> None:
    network, x = MAFDN(SMALL), torch.rand(2, 9, 9, 3).permute(0, 3, 1, 2)
    with torch.profiler.profile(record_shapes=True) as profiled:
        network(x).mean().backward()
    slow = [e for e in profiled.events() or [] if "slow_conv2d_" in e.name and e.input_shapes[0][2:] != [1, 1]]
    assert not slow, f"{slow[0].name} of {slow[0].input_shapes} on {threads} threads"


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


class Other(nn.Module):
    """A network from outside, with every kind of module that thop counts."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = SimpleNamespace(scale=2)
        self.conv = nn.Conv2d(3, 8, 1)
        self.counted = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.BatchNorm2d(8, affine=False),
            nn.InstanceNorm2d(8, affine=True),
            nn.PReLU(),
            nn.Softmax(1),
            nn.AvgPool2d(2),
            nn.Upsample(scale_factor=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(2),
            nn.Linear(1, 5),
            nn.LayerNorm(5),
        )
        self.enlarge = nn.Upsample(scale_factor=2, mode="bicubic")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.counted(self.conv(x))
        return self.enlarge(x)

    def fold(self) -> "Other":
        return copy.deepcopy(self)


def test_modules_that_thop_counts() -> None:
    total = count(cast(Network, Other()))[-1]
    pixels = 360 * 640
    values = 8 * pixels
    norms = (4 + 2 + 4) * values
    others = values + 23 * pixels + values // 4 + values  # PReLU, Softmax, AvgPool2d, nearest
    pooled = 8 * (pixels + 1) + 8 * 5 + 4 * 8 * 5  # mean, linear, norm
    assert total.conv_macs == 3 * values
    assert total.thop_macs - total.conv_macs == norms + others + pooled + 259 * 3 * 4 * pixels


def test_input_size_of_the_count() -> None:
    assert [input_size(s) for s in (2, 3, 4)] == [(360, 640), (240, 426), (180, 320)]


@pytest.mark.parametrize("switch", ["pixel_attention", "channel_attention", "spatial_attention"])
def test_every_attention_can_be_left_out(switch: str) -> None:
    less = MAFDN(replace(SMALL, **{switch: False}))
    assert less(torch.rand(1, 3, 9, 9)).shape == (1, 3, 18, 18)
    assert count(less)[-1].parameters < count(MAFDN(SMALL))[-1].parameters


@pytest.mark.parametrize("wrong", [{"scale": 5}, {"width": 7}, {"width": 0}, {"blocks": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MAFDNSettings(**wrong)


def test_the_contrast_keeps_its_precision_in_bf16() -> None:
    """A channel that hardly varies around a large mean: what is subtracted must not be rounded first."""
    torch.manual_seed(0)
    x = (2 + 0.02 * torch.randn(1, 4, 48, 48)).bfloat16()
    weight = torch.randn(1, 4, 1, 1)

    def gradient(function: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        leaf = x.to(dtype).requires_grad_()
        (function(leaf) * weight.to(dtype)).sum().backward()
        assert leaf.grad is not None
        return leaf.grad.double()

    def plain(x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return mean + torch.sqrt((x - mean).square().mean((2, 3), keepdim=True) + CONTRAST_EPSILON)

    exact = gradient(plain, torch.float64)
    error, plain_error = ((gradient(f, torch.bfloat16) - exact).norm() / exact.norm() for f in (contrast, plain))
    assert error < 2 * plain_error
