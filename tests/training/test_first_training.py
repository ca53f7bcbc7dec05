"""The first training of a clone: its pictures, its configuration and its result."""

import re
from pathlib import Path

import numpy as np
import pytest

from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.scoring import evaluate
from mafdn.pictures.reading import read_rgb8
from mafdn.training.config import read_config
from mafdn.training.data.bank import open_bank
from tests.conftest import ROOT, Run
from tests.support import failed
from tools.sample_pictures import PICTURES, SAMPLES, dead_leaves, pictures

CONFIG = ROOT / "configs" / "first-training.toml"


def own_config(folder: Path, *, steps: int | None = None) -> Path:
    """Write a copy of the configuration whose bank and run are in `folder`."""
    text = CONFIG.read_text("utf-8").replace("../samples", (ROOT / "samples").as_posix()).replace("../runs/", "")
    if steps:
        for key, value in {"steps": steps, "warmup": 0, "decay": 0}.items():
            text = re.sub(rf"^{key} = \d+", f"{key} = {value}", text, flags=re.MULTILINE)
    path = folder / "first-training.toml"
    path.write_text(text)
    return path


def test_the_configuration_names_the_pictures_of_the_clone() -> None:
    settings = read_config(CONFIG)
    folders = [CONFIG.parent / name for name in settings.data.folders]
    assert [folder.resolve() for folder in folders] == [SAMPLES / "training", SAMPLES / "test"]
    shipped = {path.resolve().relative_to(SAMPLES).as_posix() for folder in folders for path in folder.iterdir()}
    assert shipped == {*PICTURES, "test/flowers.png"}
    listed = (SAMPLES / "README.md").read_text("utf-8")
    assert all(name in listed for name in ("leaves-0.png", "leaves-7.png", "test/leaves.png", "test/flowers.png"))


def test_a_sample_picture_is_what_its_tool_draws() -> None:
    name = "training/leaves-3.png"
    difference = np.abs(read_rgb8(SAMPLES / name).astype(int) - dead_leaves(PICTURES[name]))
    assert difference.max() <= 1


@pytest.mark.slow
def test_all_sample_pictures_are_what_their_tool_draws() -> None:
    for name, picture in pictures().items():
        assert np.abs(read_rgb8(SAMPLES / name).astype(int) - picture).max() <= 1, name


def test_a_first_training_starts_from_a_clone(tmp_path: Path, cli: Run) -> None:
    code, out, err = cli("train", own_config(tmp_path, steps=4))
    assert code == 0, err
    assert str(tmp_path / "first") in out
    bank = open_bank(tmp_path / "first-bank")
    assert len(bank.pictures) == len(PICTURES) + 1
    assert re.search(r"^step 4: validation \d+\.\d+ dB$", err, re.MULTILINE)
    assert bank.digest in cli("bank", "info", tmp_path / "first-bank")[1]


@pytest.mark.slow
def test_a_first_training_beats_bicubic(tmp_path: Path, cli: Run) -> None:
    code, _, err = cli("train", own_config(tmp_path))
    assert code == 0, err
    networks = ["bicubic", str(tmp_path / "first")]
    bicubic, ours = evaluate(networks, [SAMPLES / "test"], Protocol(scale=2), fresh=True)
    assert all(b.psnr + 1 < o.psnr for b, o in zip(bicubic.pictures, ours.pictures, strict=True))


def test_missing_training_pictures_are_explained(tmp_path: Path, cli: Run) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[data]\nfolders = ["nothing"]\n')
    failed(cli("train", path), 2, tmp_path / "nothing", "download the dataset")
