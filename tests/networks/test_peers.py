"""IMDN, DDistill-SR and the AFAN-style reconstruction: counts to the digit, folding, files, export."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import pyvips
import torch

from mafdn.errors import UsageError, WeightsError
from mafdn.export.onnx import export_onnx
from mafdn.inference import ENGINES, EngineOptions, open_engine
from mafdn.networks import (
    AFAN,
    ARCHITECTURES,
    IMDN,
    TITLES,
    AFANSettings,
    DDistillSettings,
    DDistillSR,
    IMDNSettings,
    MAFDNSettings,
    Network,
    architecture,
    build,
    count,
    load_mafdn,
    load_network,
    save_network,
)
from mafdn.networks.afan import Asymmetric
from mafdn.networks.architectures import SHORT_NAMES, Settings
from mafdn.networks.ddistill import SMALLEST
from mafdn.weights.header import read_header
from tests.conftest import Run
from tests.support import failed, shaken

SMALL = [
    MAFDNSettings(scale=2, width=8, blocks=2),
    IMDNSettings(scale=3, width=8, blocks=2),
    DDistillSettings(scale=2, width=8, blocks=2),
    AFANSettings(scale=4, width=6, blocks=2),
    AFANSettings(scale=3, width=6, blocks=1, asymmetric=False),
]

COUNTS = {  # parameters, conv MACs and thop-style Multi-Adds in G
    ("imdn", 4): (715_176, "40.8859", "40.9080"),
    ("imdn", 3): (703_059, "71.3357", "71.3750"),
    ("imdn", 2): (694_404, "158.7659", "158.8544"),
    ("ddistill", 4): (675_780, "32.6962", "32.8341"),
    ("ddistill", 3): (665_175, "56.8983", "57.1429"),
    ("ddistill", 2): (657_600, "126.3920", "126.9432"),
    ("afan", 4): (542_799, "42.3656", "42.4189"),
    ("afan", 3): (558_717, "56.5312", "56.6259"),
    ("afan", 2): (479_127, "107.7958", "108.0089"),
}
UNFOLDED = {
    4: (692_151, "50.9005", "50.9539"),
    3: (708_069, "71.6807", "71.7754"),
    2: (628_479, "141.9355", "142.1487"),
}


def whole(name: str, scale: int) -> Network:
    make, settings = ARCHITECTURES[name]
    return make(settings(scale=scale))


def made(settings: Settings) -> Network:
    torch.manual_seed(8)
    network = shaken(build(settings))
    assert isinstance(network, Network)
    return network.eval()


@pytest.mark.parametrize(("name", "scale"), COUNTS)
def test_counts_are_those_published(name: str, scale: int) -> None:
    *parts, total = count(whole(name, scale))
    figures = (total.parameters, f"{total.conv_macs / 1e9:.4f}", f"{total.thop_macs / 1e9:.4f}")
    assert figures == COUNTS[name, scale]
    for column in ("parameters", "training_parameters", "conv_macs", "training_conv_macs", "thop_macs"):
        assert sum(getattr(part, column) for part in parts) == getattr(total, column)


@pytest.mark.parametrize("scale", UNFOLDED)
def test_afan_fits_the_published_counts_before_folding(scale: int) -> None:
    total = count(AFAN(AFANSettings(scale=scale)))[-1]
    macs = (f"{total.training_conv_macs / 1e9:.4f}", f"{total.training_thop_macs / 1e9:.4f}")
    assert (total.training_parameters, *macs) == UNFOLDED[scale]


def test_parts_of_afan() -> None:
    parts = {row.part: row.training_parameters for row in count(AFAN())}
    assert parts["head"] == 1_176
    assert parts["blocks.0"] == 76_282
    assert parts["blocks.6"] == 76_282 + 212
    assert parts["fuse"] == 12_390
    assert parts["upsampler"] == 2 * 63_672
    assert parts["tail"] == 1_137
    block = AFAN().blocks[0]
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in block.named_children()}
    assert sizes == {"residual": 53_172, "space": 17_724, "dimension": 1_816, "merge": 3_570, "channel": 0}


def test_afan_is_called_what_it_is() -> None:
    assert TITLES["afan"] == "AFAN-style reconstruction (fits 692K / 50.90G); not the published network"


def test_an_asymmetric_convolution_folds_exactly() -> None:
    torch.manual_seed(9)
    conv = Asymmetric(5).double()
    x = torch.randn(2, 5, 7, 9, dtype=torch.float64)
    kernel, bias = conv.folded()
    folded = torch.nn.functional.conv2d(x, kernel, bias, padding=1)
    torch.testing.assert_close(folded, conv(x), atol=1e-13, rtol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_folding_afan_changes_nothing(scale: int) -> None:
    network = made(AFANSettings(scale=scale))
    folded = network.fold()
    x = torch.rand(2, 3, 13, 17)
    with torch.inference_mode():
        y = network(x)
        torch.testing.assert_close(folded(x), y, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(folded.fold()(x), folded(x), atol=0, rtol=0)
    assert folded.settings == AFANSettings(scale=scale, asymmetric=False)
    assert not any(isinstance(module, Asymmetric) for module in folded.modules())


@pytest.mark.parametrize("settings", SMALL, ids=str)
def test_every_network_maps_and_learns(settings: Settings) -> None:
    network = made(settings).train()
    y = network(torch.rand(2, 3, 17, 19))
    assert y.shape == (2, 3, 17 * settings.scale, 19 * settings.scale)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("kind", [IMDNSettings, DDistillSettings, AFANSettings])
@pytest.mark.parametrize("wrong", [{"scale": 5}, {"width": 0}, {"blocks": 0}], ids=str)
def test_impossible_settings_are_refused(kind: type[Settings], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize("settings", SMALL, ids=str)
def test_a_network_comes_back_from_its_file_alone(settings: Settings, tmp_path: Path) -> None:
    network, path = made(settings), tmp_path / "n.safetensors"
    save_network(network, path, card={"steps": 7})
    loaded = load_network(path)
    assert type(loaded) is type(network)
    assert loaded.settings == settings
    assert read_header(path)[0]["architecture"] == architecture(settings)
    x = torch.rand(1, 3, 17, 18)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize("settings", SMALL[1:], ids=str)
@pytest.mark.parametrize(
    "change", [{"width": 10**9}, {"width": 512, "blocks": 64}, {"blocks": "1"}, {"evil": 1}], ids=str
)
def test_hostile_headers_give_a_one_line_error(settings: Settings, change: dict[str, object], tmp_path: Path) -> None:
    from dataclasses import asdict

    from safetensors.torch import save_file

    header = {"version": 1, "architecture": architecture(settings), "settings": asdict(settings) | change}
    path = tmp_path / "n.safetensors"
    save_file(made(settings).state_dict(), path, {"mafdn": json.dumps(header)})
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_training_does_not_start_from_another_network(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    save_network(made(SMALL[1]), path, card={})
    with pytest.raises(WeightsError, match="contains IMDN, but a MAFDN is needed"):
        load_mafdn(path)


@pytest.mark.parametrize("settings", [SMALL[1], pytest.param(SMALL[2], marks=pytest.mark.slow), SMALL[3]], ids=str)
def test_every_network_can_be_exported(settings: Settings, tmp_path: Path) -> None:
    network, path = made(settings), tmp_path / "n.onnx"
    assert export_onnx(network, path) < 1e-4
    properties = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert json.loads(properties["mafdn"])["architecture"] == architecture(settings)
    engine = open_engine(path)
    assert engine.scale == settings.scale
    x = np.random.default_rng(0).random((1, 3, 31, 22), np.float32)
    with torch.inference_mode():
        np.testing.assert_allclose(engine.run(x), network(torch.from_numpy(x)).numpy(), atol=1e-4)


def test_a_network_that_overflows_is_not_exported(tmp_path: Path) -> None:
    network = IMDN(SMALL[1] if isinstance(SMALL[1], IMDNSettings) else None)
    with torch.no_grad():
        network.tail.weight.fill_(3e38)
    with pytest.raises(WeightsError, match="by nan"):
        export_onnx(network, tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_input_of_ddistill() -> None:
    network = DDistillSR(DDistillSettings(width=8, blocks=1)).eval()
    assert network(torch.rand(1, 3, SMALLEST, SMALLEST)).shape == (1, 3, 4 * SMALLEST, 4 * SMALLEST)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, SMALLEST - 1, 40))


@pytest.mark.usefixtures("unchecked")
def test_a_picture_too_small_to_measure_gives_a_one_line_error(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_network(made(DDistillSettings(width=8, blocks=1)), path, card={})
    pyvips.Image.black(41, 60, bands=3).pngsave(str(tmp_path / "picture.png"))
    failed(cli("evaluate", "--bench", tmp_path, "--network", path), 2, path, "picture of 10x15")
    exported = tmp_path / "small.onnx"
    export_onnx(made(DDistillSettings(width=8, blocks=1)), exported)
    for engine in ENGINES:
        with pytest.raises(UsageError, match="cannot process a picture of 10x12"):
            open_engine(exported, EngineOptions(engine=engine)).run(np.zeros((1, 3, 12, 10), np.float32))


def test_settings_find_their_network() -> None:
    for name, (make, kind) in ARCHITECTURES.items():
        assert architecture(kind()) == name
        assert type(build(replace(kind(), blocks=1))) is make
    assert ARCHITECTURES.keys() == TITLES.keys() == SHORT_NAMES.keys()
