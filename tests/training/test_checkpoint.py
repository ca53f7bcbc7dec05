"""Checkpoints: retention and damaged files."""

import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from mafdn.errors import ConfigError
from mafdn.training.record.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint


def checkpoint(step: int) -> Checkpoint:
    w, average, momentum = (torch.full((3,), float(step)) for _ in range(3))
    tensors = {"network": {"w": w}, "ema": {"w": average}, "optimizer": {"w/m": momentum}}
    return Checkpoint(step=step, seconds=1.5, samples=9, bf16=False, **cast(Any, tensors))


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_a_checkpoint_is_as_readable_as_other_files(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        path = save_checkpoint(tmp_path, checkpoint(1))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_the_last_two_checkpoints_are_kept_and_damage_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path, missing_ok: bool = False) -> None:
        if not missing_ok:
            raise PermissionError("used by another process")

    for step in (1, 2, 3):
        last = save_checkpoint(tmp_path, checkpoint(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]
    with monkeypatch.context() as in_use:
        in_use.setattr(Path, "unlink", refused)
        save_checkpoint(tmp_path, checkpoint(4))
    assert len(list(tmp_path.iterdir())) == 3
    last.with_name("step-00000004.safetensors").unlink()
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert (newest.step, newest.seconds, newest.samples) == (3, 1.5, 9)
    assert torch.equal(newest.optimizer["w/m"], torch.full((3,), 3.0))
    last.write_bytes(last.read_bytes()[:40])
    survived = newest_checkpoint(tmp_path)
    assert survived is not None
    assert survived.step == 2
    assert newest_checkpoint(tmp_path / "nothing") is None
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ConfigError, match="none of the checkpoints"):
        newest_checkpoint(tmp_path)
