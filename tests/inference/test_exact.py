"""Exact float32 in torch."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mafdn.inference.exact import exact_float32

CUDNN: Any = torch.backends.cudnn
PRODUCTS: Any = torch.backends.cuda.matmul


@pytest.fixture
def tf32() -> Iterator[None]:
    before = CUDNN.allow_tf32, PRODUCTS.allow_tf32
    CUDNN.allow_tf32 = PRODUCTS.allow_tf32 = True
    yield
    CUDNN.allow_tf32, PRODUCTS.allow_tf32 = before


@pytest.mark.usefixtures("tf32")
def test_tf32_is_off_until_the_last_leaves() -> None:
    def interrupted() -> None:
        with exact_float32(), exact_float32():
            raise KeyError

    with exact_float32():
        with pytest.raises(KeyError):
            interrupted()
        assert (CUDNN.allow_tf32, PRODUCTS.allow_tf32) == (False, False)
    assert (CUDNN.allow_tf32, PRODUCTS.allow_tf32) == (True, True)


NEWER = """
import torch
from mafdn.inference.exact import exact_float32
torch.backends.cuda.matmul.fp32_precision = "tf32"
with exact_float32():
    print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)
print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)
"""


def test_settings_of_the_newer_interface_are_kept() -> None:
    """In a process of its own: torch cannot go back to the older interface."""
    done = subprocess.run([sys.executable, "-c", NEWER], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["ieee ieee", "tf32 tf32"]
