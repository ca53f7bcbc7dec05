"""The description of the machine."""

import os

import numpy as np

from mafdn._support.machine import machine, peak_mib


def test_the_machine_is_described() -> None:
    here = machine()
    assert here.processor
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    before = peak_mib() or 0
    ballast = np.ones(round((before + 50) * 2**20 / 8))  # more than the process has used so far
    assert (peak_mib() or 0) > before + 40
    del ballast
