"""Batches cut on the host and on the device are the same, whatever they are drawn from."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mafdn.errors import OutOfMemoryError
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.batches import HostBatches, ResidentBatches
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.data.teach import teach
from mafdn.training.data.zoom import zoom
from mafdn.training.loop import train
from tests.runs import config, final, same, tiny
from tests.support import draw_photos, use_cache

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank with a teacher, ``one``, at x2."""
    folder = tmp_path_factory.mktemp("taught")
    bank = build_bank([draw_photos(folder / "photos")], folder / "bank", scales=(2, 3), workers=1)
    with pytest.MonkeyPatch.context() as patch:
        use_cache(folder / "cache", patch)
        teach(bank.folder, [tiny(folder / "a.onnx", seed=1)], name="one")
    return open_bank(bank.folder)


@pytest.fixture(scope="module")
def zoomed(taught: Bank) -> Bank:
    """The bank of zoomed pairs of `taught`."""
    folder = taught.folder.parent
    with pytest.MonkeyPatch.context() as patch:
        use_cache(folder / "cache", patch)
        return zoom(taught.folder, [folder / "a.onnx"], folder / "zoomed", per_picture=2)


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("flattest", [0.0, 40.0, 1000.0])
@pytest.mark.parametrize("teacher", ["", "one"])
@pytest.mark.parametrize("zoomed_share", [0.0, 0.6])
@pytest.mark.parametrize("recolored", [0.0, 0.7])
def test_the_device_draws_what_the_host_draws(
    taught: Bank,
    zoomed: Bank,
    candidates: int,
    flattest: float,
    teacher: str,
    zoomed_share: float,
    recolored: float,
) -> None:
    sampler = PatchSampler(
        taught,
        [0, 1, 2],
        scale=2,
        patch=10,
        seed=3,
        min_gradient=flattest,
        candidates=candidates,
        teacher=teacher,
        zoomed=(zoomed, [0, 3, 4]) if zoomed_share else None,
        zoomed_share=zoomed_share,
        recolored=recolored,
    )
    host, device = HostBatches(sampler, [0, 1, 4], CPU), ResidentBatches(sampler, [0, 1, 4], CPU)
    for step in range(12):
        for detours in (0, 1):
            for ours, theirs in zip(device.get(step, detours), host.get(step, detours), strict=True):
                if ours is None or theirs is None:
                    assert ours is theirs is None
                    assert not teacher
                else:
                    assert torch.equal(ours, theirs)
                    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_pictures_that_exceed_the_memory_name_the_setting(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=10, seed=3)
    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(OutOfMemoryError, match=r'run\.resident = "off"'):
        ResidentBatches(sampler, [0], CPU)


def test_a_run_learns_the_same_from_resident_pictures(workplace: Path) -> None:
    hosted = final(train(config(workplace, "hosted", steps=8)))
    path = config(workplace, "resident", steps=8)
    path.write_text(path.read_text().replace('precision = "fp32"', 'precision = "fp32"\nresident = "on"'))
    resident = final(train(path))
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resident, part), getattr(hosted, part)), part


def test_patches_of_the_sampler_need_no_torch() -> None:
    code = "import sys, mafdn.training.data.patches; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
