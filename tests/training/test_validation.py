"""Validation on held-out pictures."""

import numpy as np
import pytest
import torch
from torch import nn

from mafdn.errors import ConfigError
from mafdn.pixels import psnr_y
from mafdn.training.data.bank import Bank
from mafdn.training.validation import check_split, held_out_psnr_sum, split_bank


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


def test_a_run_needs_validation_and_training_pictures(bank: Bank) -> None:
    notes: list[str] = []
    assert check_split(bank, ["2*", "1*"], on_note=notes.append) == ([1, 2], [0])
    assert notes == []
    assert check_split(bank, ["2*", "none*"], on_note=notes.append) == ([2], [0, 1])
    assert notes == [f"data.held_out: no picture in {bank.folder} matches none*"]
    notes.clear()
    assert check_split(bank, [], on_note=notes.append) == ([], [0, 1, 2])
    assert notes == ["no validation: data.held_out is empty"]
    with pytest.raises(ConfigError, match=r"no picture in .* matches none\*, x; .* with data\.held_out = \[\]"):
        check_split(bank, ["none*", "x"])
    with pytest.raises(ConfigError, match=r"all 3 pictures .* none are left to train on"):
        check_split(bank, ["*.png"])


def test_the_sum_is_that_of_the_pictures(bank: Bank) -> None:
    expected = 0.0
    for index in (0, 2):
        result = np.repeat(np.repeat(bank.lr(index, 2), 2, 0), 2, 1)
        expected += psnr_y(result, bank.hr(index), border=2)
    assert held_out_psnr_sum(Nearest(2), bank, [0, 2], scale=2) == pytest.approx(expected, abs=1e-9)
    assert held_out_psnr_sum(Nearest(2), bank, [], scale=2) == 0
