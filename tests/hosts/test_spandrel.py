"""MAFDN in spandrel: recognized by its tensors alone, and unchanged by a round trip, as spandrel tests its own."""

import shutil
import types
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from mafdn.networks import MAFDN, MAFDNSettings
from mafdn.networks.held import held
from mafdn.weights.shipped import shipped
from tests.hosts.conftest import run_documented
from tests.support import shaken

SMALL = MAFDNSettings(scale=2, width=8, blocks=1)
VARIANTS = [
    SMALL,
    MAFDNSettings(),
    *(replace(SMALL, scale=scale) for scale in (3, 4)),
    *(replace(SMALL, width=width) for width in (2, 12)),
    *(replace(SMALL, blocks=blocks) for blocks in (2, 11)),
    *(
        replace(SMALL, **{switch: False})
        for switch in ("pixel_attention", "channel_attention", "spatial_attention", "over_parameterized")
    ),
]


@pytest.fixture
def installed(spandrel: types.ModuleType) -> Any:
    """A loader of spandrel whose registry holds its own networks and then MAFDN."""
    import mafdn.spandrel

    registry = spandrel.ArchRegistry()
    registry.add(*(entry for entry in spandrel.MAIN_REGISTRY if entry.architecture.id != "MAFDN"))
    assert len(mafdn.spandrel.install(registry)) == 1
    assert mafdn.spandrel.install(registry) == []
    return spandrel.ModelLoader(registry=registry)


@pytest.mark.usefixtures("spandrel")
def test_the_documented_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(shipped(4, ".safetensors"), "mafdn-x4.safetensors")
    names: dict[str, Any] = {"image": torch.rand(1, 3, 9, 11)}
    run_documented("mafdn.spandrel", names)
    assert names["larger"].shape == (1, 3, 36, 44)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize("form", ["state dict", "safetensors", "pth"])
def test_every_variant_is_recognized_among_all_networks(
    installed: Any, settings: MAFDNSettings, form: str, tmp_path: Path
) -> None:
    network = shaken(MAFDN(settings)).eval()
    state = dict(network.state_dict())
    if form == "state dict":
        loaded = installed.load_from_state_dict(state)
    elif form == "safetensors":
        safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "n.safetensors")
        loaded = installed.load_from_file(tmp_path / "n.safetensors")
    else:
        torch.save({"params_ema": state}, tmp_path / "n.pth")
        loaded = installed.load_from_file(tmp_path / "n.pth")
    assert (loaded.architecture.id, loaded.scale, loaded.purpose) == ("MAFDN", settings.scale, "SR")
    assert asdict(loaded.model.settings) == asdict(replace(settings, over_parameterized=False))
    x = torch.rand(1, 3, 7, 9)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), network(x).clamp(0, 1), atol=1e-5, rtol=0)
    again = installed.load_from_state_dict(dict(loaded.model.state_dict()))
    assert again.model.settings == loaded.model.settings


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 8), (2, 3), (16, 5), (35, 114)])
def test_any_size_is_accepted(installed: Any, network: MAFDN, height: int, width: int) -> None:
    loaded = installed.load_from_state_dict(dict(network.state_dict()))
    assert loaded.size_requirements.check(width, height)
    assert loaded(torch.rand(1, 3, height, width)).shape == (1, 3, 2 * height, 2 * width)


def test_tiles_are_discouraged_unless_the_gates_are_held(
    installed: Any, spandrel: types.ModuleType, network: MAFDN
) -> None:
    loaded = installed.load_from_state_dict(dict(network.state_dict()))
    assert loaded.tiling == spandrel.ModelTiling.DISCOURAGED
    constant = held(network, torch.full((2, 16), 0.5))
    assert installed.load_from_state_dict(dict(constant.state_dict())).tiling == spandrel.ModelTiling.SUPPORTED


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close(installed: Any, dtype: torch.dtype) -> None:
    loaded = installed.load_from_file(shipped(4, ".safetensors"))
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6), size=(24, 24), mode="bilinear")
    with torch.inference_mode():
        expected = loaded(x)
        rounded = loaded.to(dtype)(x.to(dtype)).float()
    assert (rounded - expected).abs().mean() < 0.01
    assert loaded.supports_half
    assert loaded.supports_bfloat16


def test_other_networks_are_not_taken_for_it(installed: Any, spandrel: types.ModuleType) -> None:
    with pytest.raises(spandrel.UnsupportedModelError):
        installed.load_from_state_dict(
            {"head.weight": torch.zeros(8, 3, 3, 3), "tail.weight": torch.zeros(12, 8, 3, 3)}
        )


@pytest.mark.usefixtures("spandrel")
def test_other_tensors_are_refused() -> None:
    from mafdn.spandrel import settings_of

    state = dict(MAFDN(SMALL).state_dict())
    with pytest.raises(ValueError, match="are no MAFDN"):
        settings_of({})
    with pytest.raises(ValueError, match="are no MAFDN"):
        settings_of(state | {"tail.weight": torch.tensor(0.0)})
    with pytest.raises(ValueError, match="13 rows, which is no scale"):
        settings_of(state | {"tail.weight": torch.zeros(13, 8, 3, 3)})
