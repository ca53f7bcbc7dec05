"""Networks of tests, and programs that use them."""

import importlib.util
import re
import sys
import types
from typing import Any

import pytest
import torch

from mafdn.networks import MAFDN, MAFDNSettings
from tests.conftest import ROOT
from tests.support import shaken

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_documented(word: str, names: dict[str, Any]) -> None:
    """Run the one block of Python code in docs/hosts.md that contains `word`, with these names at hand."""
    (code,) = (found for found in BLOCK.findall((ROOT / "docs" / "hosts.md").read_text("utf-8")) if word in found)
    exec(compile(code, "docs/hosts.md", "exec"), names)


@pytest.fixture(scope="module")
def network() -> MAFDN:
    """A small x2 network in training form whose parts all have an effect; no test changes it."""
    torch.manual_seed(0)
    made = shaken(MAFDN(MAFDNSettings(scale=2, width=8, blocks=2)))
    with torch.no_grad():
        for name, tensor in made.named_parameters():
            if ".channel." in name:
                tensor.mul_(12)  # so that its gates depend on the picture
    return made


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The package spandrel, with a placeholder for torchvision where that is missing.

    On import, some of its other networks take functions from torchvision, which has no build
    for some builds of torch. MAFDN uses none.
    """
    if importlib.util.find_spec("torchvision") is None:
        functional = types.ModuleType("torchvision.transforms.functional")
        for name in ("InterpolationMode", "rotate", "normalize"):
            setattr(functional, name, None)
        monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, "torchvision.transforms", types.ModuleType("torchvision.transforms"))
        monkeypatch.setitem(sys.modules, functional.__name__, functional)
    return pytest.importorskip("spandrel", reason="spandrel is not installed (pip install --no-deps spandrel einops)")
