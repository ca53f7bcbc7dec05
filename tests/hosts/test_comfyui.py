"""The nodes for ComfyUI, loaded as ComfyUI loads a folder of `custom_nodes`."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mafdn

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"


@pytest.fixture
def nodes(spandrel: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the folder, under a name made of its path."""
    del spandrel
    name = str(FOLDER).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_nodes_are_described_as_comfyui_expects(nodes: Any) -> None:
    assert set(nodes.NODE_CLASS_MAPPINGS) == set(nodes.NODE_DISPLAY_NAME_MAPPINGS)
    for kind in nodes.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(kind, kind.FUNCTION))
        assert isinstance(kind.RETURN_TYPES, tuple)
        assert set(kind.INPUT_TYPES()) <= {"required", "optional", "hidden"}
        assert isinstance(kind.CATEGORY, str)


def test_a_batch_is_upscaled(nodes: Any, picture: np.ndarray) -> None:
    kind = nodes.NODE_CLASS_MAPPINGS["MAFDNUpscale"]
    inputs = kind.INPUT_TYPES()["required"]
    scales, _ = inputs["scale"]
    image = torch.from_numpy(np.stack([picture, picture[::-1]]).astype(np.float32) / 255)
    (larger,) = getattr(kind(), kind.FUNCTION)(image=image, scale=scales[0], network="classic")
    assert larger.shape == (2, 48, 64, 3)
    assert larger.dtype == torch.float32
    expected = mafdn.upscale(picture, scale=2, network="classic", engine=mafdn.EngineOptions(precision="fp32"))
    assert np.abs(larger[0].numpy() * 255 - expected).max() < 0.6
    assert 0 <= larger.min() <= larger.max() <= 1


def test_the_loader_of_comfyui_reads_shipped_weights(nodes: Any, spandrel: types.ModuleType) -> None:
    """Its node "Load Upscale Model" passes a state dict to spandrel's `ModelLoader`."""
    del nodes  # loading the folder installs the architecture
    from mafdn.weights.shipped import shipped

    model = spandrel.ModelLoader().load_from_file(shipped(2, ".safetensors")).eval()
    assert isinstance(model, spandrel.ImageModelDescriptor)
    assert model.scale == 2
