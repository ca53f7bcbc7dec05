"""The measurement of a training step."""

import json
from dataclasses import asdict

import pytest
import torch

from mafdn.networks import MAFDNSettings
from mafdn.training.profile import TOP, profile_step


def test_a_step_is_measured_in_both_precisions() -> None:
    threads, seen = torch.get_num_threads(), []
    settings = MAFDNSettings(scale=2, width=8, blocks=1)
    results = profile_step(settings, batch=2, patch=8, turns=2, on_progress=lambda *step: seen.append(step))
    assert [r.precision for r in results] == ["fp32", "bf16"]
    assert seen == [(n, 6) for n in range(1, 7)]
    assert torch.get_num_threads() == threads
    for result in results:
        assert min(result.plain, result.ours, result.ratio) > 0
        assert (result.batch, result.patch) == (2, 8)
        for operators in (result.plain_operators, result.operators):
            assert len(operators) == TOP
            times = [operator.milliseconds for operator in operators]
            assert times == sorted(times, reverse=True)
            assert 0.2 < sum(operator.share for operator in operators) <= 1
    assert json.loads(json.dumps([asdict(r) for r in results]))[0]["precision"] == "fp32"


@pytest.mark.slow
def test_a_step_takes_at_most_nine_tenths_of_the_plain_one() -> None:
    """The ratio is 0.7 to 0.86, depending on the processor."""
    for result in profile_step(MAFDNSettings(), batch=4, turns=7):
        assert result.ratio < 0.9, result.precision
