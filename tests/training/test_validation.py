"""Validation on held-out pictures."""

import numpy as np
import pytest
import torch
from torch import nn

from mafdn.pixels import psnr_y
from mafdn.training.data.bank import Bank
from mafdn.training.validation import held_out_psnr_sum, split_bank


class Nearest(nn.Module):
    """Repeats every pixel; the parameter only has a device."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.device_marker = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def test_patterns_match_file_names_without_folders(bank: Bank) -> None:
    names = [picture.name for picture in bank.pictures]
    held, training = split_bank(bank, ["2*", "none*"])
    assert [names[i] for i in held] == ["deeper/2.png"]
    assert sorted(held + training) == list(range(len(names)))
    assert split_bank(bank, ["deeper*"]) == ([], list(range(len(names))))


def test_the_sum_is_that_of_the_pictures(bank: Bank) -> None:
    expected = 0.0
    for index in (0, 2):
        result = np.repeat(np.repeat(bank.lr(index, 2), 2, 0), 2, 1)
        expected += psnr_y(result, bank.hr(index), border=2)
    assert held_out_psnr_sum(Nearest(2), bank, [0, 2], scale=2) == pytest.approx(expected, abs=1e-9)
    assert held_out_psnr_sum(Nearest(2), bank, [], scale=2) == 0
