"""Teachers: outputs of networks for a bank's pictures, stored in the bank."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips
import torch
from numpy.typing import NDArray

from mafdn.errors import ConfigError, MafdnError, UsageError, WeightsError
from mafdn.inference import open_engine, upscale
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.pixels import imresize
from mafdn.training.data import build
from mafdn.training.data import teach as teaching
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.data.teach import teach
from tests.conftest import Run
from tests.runs import tiny
from tests.support import failed, without_torch


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return tiny(tmp_path / "a.onnx", seed=1)


@pytest.fixture
def b(tmp_path: Path) -> Path:
    return tiny(tmp_path / "b.onnx", seed=2)


def unit(low: NDArray[np.uint8]) -> NDArray[np.float32]:
    return low.astype(np.float32) / np.float32(255)


def taught(bank: Bank, name: str) -> list[NDArray[np.uint8]]:
    opened = open_bank(bank.folder)
    return [np.array(opened.teacher(i, name)) for i in range(len(opened.pictures))]


def test_a_teachers_results_are_those_of_its_engine(bank: Bank, a: Path) -> None:
    ticks: list[tuple[int, int]] = []
    teacher = teach(bank.folder, [a], name="one", on_progress=lambda *t: ticks.append(t))
    assert (teacher.scale, teacher.networks[0].file, teacher.self_ensemble) == (2, "a.onnx", False)
    assert open_bank(bank.folder).teachers == {"one": teacher}
    engine = open_engine(a)
    for i, result in enumerate(taught(bank, "one")):
        assert np.array_equal(result, upscale(engine, bank.lr(i, 2)))
        assert result.shape == bank.hr(i).shape
        assert 0 < result.mean() < 255
    assert ticks[-1] == (3, 3)
    assert open_bank(bank.folder).size == sum(p.stat().st_size for p in bank.folder.rglob("*.u8"))


def test_several_networks_are_averaged_before_rounding(bank: Bank, a: Path, b: Path) -> None:
    teach(bank.folder, [a, b], name="two")
    engines = [open_engine(path) for path in (a, b)]
    for i, result in enumerate(taught(bank, "two")):
        mean = np.mean([upscale(engine, unit(bank.lr(i, 2))) for engine in engines], axis=0)
        assert np.abs(result - mean * 255).max() <= 0.501


def test_a_self_ensemble_is_the_mean_over_eight_orientations(bank: Bank, a: Path) -> None:
    teach(bank.folder, [a], name="eight", self_ensemble=True)
    engine = open_engine(a)
    for i, result in enumerate(taught(bank, "eight")):
        low = unit(bank.lr(i, 2))
        by_hand = []
        for turns in range(4):
            turned = np.rot90(low, turns)
            by_hand.append(np.rot90(upscale(engine, turned), -turns))
            by_hand.append(np.rot90(upscale(engine, turned[:, ::-1])[:, ::-1], -turns))
        assert np.abs(result - np.mean(by_hand, axis=0) * 255).max() <= 0.501
        assert not np.array_equal(result, upscale(engine, bank.lr(i, 2)))


@pytest.mark.usefixtures("unchecked")
def test_a_weights_file_teaches(bank: Bank, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MAFDN(MAFDNSettings(scale=3, width=8, blocks=1)).fold()
    save_network(network, tmp_path / "net.safetensors", card={})
    assert teach(bank.folder, [tmp_path / "net.safetensors"], name="own").scale == 3
    low = torch.from_numpy(unit(bank.lr(0, 3))).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network(low)[0].clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
    assert np.abs(taught(bank, "own")[0] - expected).max() < 0.55


def test_patches_of_the_teacher_fit(bank: Bank, a: Path) -> None:
    teach(bank.folder, [a], name="one")
    opened = open_bank(bank.folder)
    plain = PatchSampler(opened, [0, 1, 2], scale=2, patch=8, seed=4)
    sampler = PatchSampler(opened, [0, 1, 2], scale=2, patch=8, seed=4, teacher="one")
    engine = open_engine(a)
    for step in range(20):
        batch, same = sampler.batch(step, [0, 1]), plain.batch(step, [0, 1])
        assert np.array_equal(batch.hr, same.hr), "a teacher changes what is drawn"
        assert batch.teacher is not None
        assert batch.teacher.shape == batch.hr.shape
    whole = PatchSampler(opened, [1], scale=2, patch=24, seed=0, teacher="one")  # the patch is the picture
    upright = (b for b in (whole.batch(step, [0]) for step in range(100)) if np.array_equal(b.hr[0], opened.hr(1)))
    batch = next(upright)
    assert batch.teacher is not None
    assert np.array_equal(batch.teacher[0], upscale(engine, batch.lr[0]))
    with pytest.raises(ConfigError, match="no teacher 'one' at x3"):
        PatchSampler(opened, [0], scale=3, patch=8, seed=0, teacher="one")


def test_a_killed_teach_command_resumes(
    photos: Path, tmp_path: Path, a: Path, b: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SHARD", 1)
    bank = build_bank([photos], tmp_path / "shards", scales=(2,), workers=1)
    teach(bank.folder, [a], name="whole")

    class PowerCutError(Exception):
        pass

    def cut(done: int, _: int) -> None:
        if done == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        teach(bank.folder, [a], name="parts", on_progress=cut)
    assert set(open_bank(bank.folder).teachers) == {"whole"}, "an unfinished teacher must not be used"
    partial = bank.folder / "teachers" / "parts.partial"
    first = (partial / "00000.u8").stat().st_ino
    with pytest.raises(ConfigError, match=r"made by a\.onnx; choose another name"):
        teach(bank.folder, [b], name="parts")
    (partial / "00001.u8.partial").write_bytes(b"half")
    (bank.folder / "teachers" / "new.partial").mkdir()  # left by a run killed right after its start
    teach(bank.folder, [b], name="new")
    teach(bank.folder, [a], name="parts")
    assert not partial.exists()
    assert len(list(partial.with_name("parts").iterdir())) == 4
    assert (partial.with_name("parts") / "00000.u8").stat().st_ino == first
    assert all(np.array_equal(x, y) for x, y in zip(taught(bank, "parts"), taught(bank, "whole"), strict=True))


def test_a_name_belongs_to_one_teacher(bank: Bank, a: Path, b: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = teach(bank.folder, [a, b], name="two")
    with pytest.raises(ConfigError, match="another name"):
        teach(bank.folder, [a], name="two")
    with pytest.raises(ConfigError, match="another name"):
        teach(bank.folder, [a, b], name="two", self_ensemble=True)
    monkeypatch.setattr(teaching, "open_engine", None)
    assert teach(bank.folder, [b, a], name="two") == teacher


def test_networks_that_do_not_match_are_rejected(bank: Bank, a: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 and 3"):
        teach(bank.folder, [a, tiny(tmp_path / "x3.onnx", seed=0, scale=3)], name="t")
    with pytest.raises(UsageError, match="upscales by 4"):
        teach(bank.folder, [tiny(tmp_path / "x4.onnx", seed=0, scale=4)], name="t")
    for name in ("", "../t", "a.partial", "a b"):
        with pytest.raises(UsageError, match="name"):
            teach(bank.folder, [a], name=name)
    assert not (bank.folder / "teachers").exists()


def test_values_that_are_not_finite_are_refused(bank: Bank, a: Path) -> None:
    model = onnx.load(a)
    kernel = np.full((12, 3, 3, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel, "kernel"))
    onnx.save(model, a)
    with pytest.raises(WeightsError, match="not finite"):
        teach(bank.folder, [a], name="nan")
    assert open_bank(bank.folder).teachers == {}


def test_large_pictures_are_taught_in_tiles(tmp_path: Path, a: Path) -> None:
    (tmp_path / "p").mkdir()
    blots = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    pyvips.Image.new_from_array(imresize(blots, shape=(400, 420))).pngsave(str(tmp_path / "p" / "p.png"))
    bank = build_bank([tmp_path / "p"], tmp_path / "one", scales=(2,), workers=1)
    assert teach(bank.folder, [a], name="whole").tile == 1024
    assert teach(bank.folder, [a], name="tiles", tile=96).tile == 96
    with pytest.raises(ConfigError, match=r"was made by a\.onnx in tiles of 96; choose another name"):
        teach(bank.folder, [a], name="tiles", tile=128)
    assert teach(bank.folder, [a], name="tiles").tile == 96
    difference = taught(bank, "whole")[0].astype(int) - taught(bank, "tiles")[0]
    assert np.abs(difference).max() <= 1


def test_a_teacher_belongs_to_the_contents_of_a_bank(bank: Bank, a: Path) -> None:
    teacher = teach(bank.folder, [a], name="one")
    file = bank.folder / "teachers" / "one" / "teacher.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in written.items() if key not in ("digest", "tile")}))
    earlier = teach(bank.folder, [a], name="one")
    assert (earlier.digest, earlier.tile, earlier.networks) == ("", 512, teacher.networks)
    file.write_text(json.dumps(written | {"digest": "0" * 64}))
    with pytest.raises(ConfigError, match="was made from different pictures than those in"):
        open_bank(bank.folder)
    file.write_text(json.dumps(written))
    half = bank.folder / "teachers" / "half.partial"
    half.mkdir()
    (half / "teacher.json").write_text(json.dumps(written | {"name": "half", "digest": "0" * 64}))
    with pytest.raises(ConfigError, match=r"half\.partial was made from different pictures than those in"):
        teach(bank.folder, [a], name="half")


def test_teach_from_the_command_line(bank: Bank, a: Path, b: Path, tmp_path: Path, cli: Run) -> None:
    call = ("bank", "teach", bank.folder, "--name", "two", "--network")
    code, out, err = cli(*call, a, "--network", b, "--ensemble", 8)
    assert (code, err) == (0, "")
    assert cli(*call, a, "--network", b, "--self-ensemble")[0] == 0, "the same"
    assert "teacher two, x2 by " in out
    assert out.endswith(" with self-ensemble\n")
    teacher = json.loads(cli("bank", "info", bank.folder, "--json")[1])["teachers"][0]
    assert (teacher["name"], teacher["scale"], teacher["self_ensemble"]) == ("two", 2, True)
    assert {n["file"] for n in teacher["networks"]} == {"a.onnx", "b.onnx"}
    assert "teacher two" in cli("bank", "info", bank.folder)[1]
    failed(cli(*call, a), 2, "choose another name (--name)")
    failed(cli(*call, tmp_path / "no.onnx"), 1, "no.onnx")
    assert "teacher a, x2 by a.onnx" in cli("bank", "teach", bank.folder, "--network", a)[1]
    failed(
        cli("bank", "teach", tmp_path / "no", "--network", a, "--name", "x"),
        2,
        "does not exist; choose the folder of a bank",
    )
    array = bank.folder / "teachers" / "two" / "00000.u8"
    array.write_bytes(array.read_bytes()[1:])
    failed(cli("bank", "info", bank.folder), 2, "teachers/two", "damaged", "move them out of the bank")


def test_a_bank_that_cannot_be_written_gives_a_one_line_error(bank: Bank, a: Path) -> None:
    (bank.folder / "teachers").write_text("")
    with pytest.raises(MafdnError, match="cannot write the teacher"):
        teach(bank.folder, [a], name="x")


def test_an_onnx_file_teaches_without_torch(bank: Bank, a: Path, tmp_path: Path) -> None:
    done = without_torch("bank", "teach", bank.folder, "--network", a, "--name", "x")
    assert (done.returncode, done.stderr) == (0, "")
    own = tmp_path / "own.safetensors"
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)), own, card={})
    needy = without_torch("bank", "teach", bank.folder, "--network", own, "--name", "y")
    assert needy.returncode == 1
    assert needy.stderr == f'mafdn: exporting {own} needs onnx: pip install "mafdn[train]"\n'


def test_a_teacher_of_other_pictures_is_refused(bank: Bank, a: Path) -> None:
    teach(bank.folder, [a], name="one")
    description = bank.folder / "teachers" / "one" / "teacher.json"
    assert json.loads(description.read_text())["bank"] == bank.fingerprint
    description.write_text(json.dumps(json.loads(description.read_text()) | {"bank": "0" * 64}))
    with pytest.raises(ConfigError, match="teachers/one was made from different pictures"):
        open_bank(bank.folder)


def test_an_unfinished_teacher_is_refused_by_name(bank: Bank) -> None:
    (bank.folder / "teachers" / "half.partial").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"'half' of .* is unfinished"):
        PatchSampler(bank, [0], scale=2, patch=8, seed=0, teacher="half")
