"""Settings, optimizers, checkpoints, the loop, its exact resume, two processes, and the release gate."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch
from torch import nn

from mafdn.errors import ConfigError, MafdnError, WeightsError
from mafdn.networks import MAFDN, MAFDNSettings, load_network, save_network
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import OptimizerSettings, ScheduleSettings, read_config
from mafdn.training.export import export_onnx
from mafdn.training.loop import Progress, learning_rate, train
from mafdn.training.optimizers import Muon, build_optimizers
from mafdn.training.release import release
from tests.conftest import Run

CONFIG = """
[data]
folders = ["photos"]
scales = [2]
held_out = ["held*"]
patch = 12
min_gradient = 0.0
description = "random stripes"

[network]
scale = 2
width = 16
blocks = 1

[schedule]
steps = {steps}
warmup = 2
decay = 5

[run]
folder = "{folder}"
batch = 4
precision = "fp32"
log_every = 5
save_every = {save_every}
validate_every = 10
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png", "held.png")):
        rng = np.random.default_rng(i)
        stripes = np.repeat(np.repeat(rng.integers(0, 256, (16, 12, 3), np.uint8), 4, 0), 5, 1)
        pyvips.Image.new_from_array(stripes).pngsave(str(folder / name))
    return tmp_path


def config(workplace: Path, name: str = "run", *, steps: int = 20, save_every: int = 10) -> Path:
    path = workplace / f"{name}.toml"
    path.write_text(CONFIG.format(steps=steps, folder=name, save_every=save_every))
    return path


# --- settings


def test_the_defaults_are_the_reconstruction(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[data]\nfolders = ["x"]\n')
    settings = read_config(path)
    assert settings.network.width == MAFDNSettings().width
    assert settings.optimizer == OptimizerSettings()


WRONG = {
    "[data]\nfolders = ['x']\npatchs = 3": "data.patch?",
    "[data]\nfolders = ['x']\n[runn]": "did you mean run?",
    "[run]\nbatch = 2": "data is missing",
    "[data]\nfolders = 'x'": "must be a list",
    "[data]\nfolders = ['x']\npatch = 'a'": "must be int",
    "[data]\nfolders = ['x']\n[run]\nbatch = true": "must be int",
    "[data]\nfolders = ['x']\n[run]\nprecision = 'fp8'": "auto, fp32, bf16",
    "[data]\nfolders = ['x']\n[optimizer]\nbetas = [0.9]": "must be a list",
    "[data]\nfolders = ['x']\nscales = [2]\n[network]\nscale = 3": "one of data.scales",
    "[data]\nfolders = ['x']\n[schedule]\nsteps = 10": "must fit",
    "[data]\nfolders = []": "at least one folder",
    "data = 3": "must be a table",
    "[data]\nfolders = ['x']\n[network]\nwidth = 7": "network.width must be even",
    "[data": "not valid TOML",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG.values())
def test_wrong_settings_name_what_would_do(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "no.toml")


def test_the_schedule_rises_holds_and_falls() -> None:
    schedule = ScheduleSettings(steps=100, warmup=9, decay=19)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:81]) == {1.0}
    assert rates[-1] == pytest.approx(0.05)
    assert all(a > b for a, b in pairwise(rates[81:]))


# --- optimizers


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (16, 64, 1, 1), (64, 16, 1, 1)])
def test_a_first_muon_step_is_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(shape))
    kernel.grad = torch.randn(shape)
    Muon([kernel], lr=1.0).step()
    update = kernel.detach().flatten(1) / max(1.0, shape[0] / kernel[0].numel()) ** 0.5
    singular = torch.linalg.svdvals(update)
    assert singular.min() > 0.4
    assert singular.max() < 1.4
    assert (kernel.detach() * kernel.grad).sum() < 0, "not a descent direction"


def test_every_parameter_is_trained_once() -> None:
    network = MAFDN()
    optimizers = build_optimizers(network, OptimizerSettings())
    trained = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(trained) == sorted(id(p) for p in network.parameters())
    names = {id(p): n for n, p in network.named_parameters()}
    muon = {names[id(p)] for g in optimizers[0].param_groups for p in g["params"]}
    assert "blocks.0.refines.0.conv.parametrizations.weight.0.D" in muon
    assert not any(name.endswith("bias") for name in muon)


# --- checkpoints


def checkpoint(step: int) -> Checkpoint:
    w, average, momentum = (torch.full((3,), float(step)) for _ in range(3))
    tensors = {"network": {"w": w}, "ema": {"w": average}, "optimizer": {"w/m": momentum}}
    return Checkpoint(step=step, seconds=1.5, samples=9, bf16=False, **tensors)


def test_the_last_two_checkpoints_are_kept_and_damage_is_survived(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        last = save_checkpoint(tmp_path, checkpoint(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]
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
    with pytest.raises(ConfigError, match="no checkpoint"):
        newest_checkpoint(tmp_path)


# --- the loop


def final(folder: Path) -> Checkpoint:
    found = newest_checkpoint(folder)
    assert found is not None
    return found


def test_training_learns_logs_and_validates(workplace: Path) -> None:
    reports: list[Progress] = []
    folder = train(config(workplace, steps=40), on_progress=reports.append)
    losses = [r.loss for r in reports if r.psnr is None]
    psnrs = [r.psnr for r in reports if r.psnr is not None]
    assert losses[-1] < losses[0] / 2
    assert len(psnrs) == 4
    assert psnrs[-1] > psnrs[0]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(log) == len(reports)
    assert final(folder).samples == 160


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_resuming_changes_nothing(workplace: Path) -> None:
    whole = final(train(config(workplace, "whole")))
    stopped = config(workplace, "parts", save_every=10)

    class PowerCutError(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.step >= 15:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train(stopped, on_progress=cut)
    assert final(workplace / "parts").step == 10
    resumed = final(train(stopped))
    assert resumed.step == whole.step == 20
    steps = [json.loads(line)["step"] for line in (workplace / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 10, 15, 20, 20], "a loss every 5 steps and a validation every 10, none twice"
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resumed, part), getattr(whole, part)), part


def test_a_finished_run_can_be_made_longer(workplace: Path) -> None:
    train(config(workplace, steps=10))
    assert final(train(config(workplace, steps=14))).step == 14


def test_a_run_of_another_network_is_not_continued(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text().replace("width = 16", "width = 18"))
    with pytest.raises(ConfigError, match="another network"):
        train(path)


def test_a_loss_that_is_not_finite_stops_the_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    monkeypatch.setattr(
        MAFDN, "forward", lambda _self, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3) * torch.nan
    )
    monkeypatch.setattr(torch.Tensor, "backward", lambda _self: None)
    with pytest.raises(MafdnError, match="no longer finite"):
        train(config(workplace, steps=20))
    assert same(final(workplace / "run").network, before.network)


def test_weights_that_are_not_finite_are_not_saved(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    broken = Muon.step

    def step(self: Muon) -> None:
        broken(self)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(torch.nan)

    monkeypatch.setattr(Muon, "step", step)
    with pytest.raises(MafdnError, match="no longer finite"):
        train(config(workplace, steps=11))
    assert final(workplace / "run").step == before.step


def test_another_optimizer_is_not_given_this_ones_state(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text() + '\n[optimizer]\nname = "adam"\nlr = 1e-3\n')
    with pytest.raises(ConfigError, match="another optimizer"):
        train(path)


def test_the_precision_a_run_began_with_is_kept(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text().replace('precision = "fp32"', 'precision = "auto"'))
    assert not final(train(path)).bf16


def test_training_can_start_from_weights(workplace: Path) -> None:
    torch.manual_seed(5)
    parent = MAFDN(MAFDNSettings(scale=2, width=16, blocks=1))
    save_network(parent.fold(), workplace / "parent.safetensors", card={})
    path = config(workplace, steps=7)
    path.write_text(path.read_text().replace("batch = 4", 'batch = 4\ninit = "parent.safetensors"'))
    path.write_text(path.read_text().replace("[run]", "[optimizer]\nlr = 1e-9\nsmall_lr = 1e-9\n[run]"))
    folder = train(path)
    trained = MAFDN(parent.settings)
    trained.load_state_dict(final(folder).network)
    x = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(trained(x), parent(x), atol=1e-4, rtol=0)


def spawn(path: Path, processes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, "-m", "mafdn.training.loop", str(path)], env=environment)


def test_two_processes_do_what_one_does(workplace: Path) -> None:
    path = config(workplace, "two", steps=8)
    assert spawn(path, 2).wait(timeout=120) == 0
    one = final(train(config(workplace, "one", steps=8)))
    two = final(workplace / "two")
    assert two.samples == one.samples
    for name, tensor in one.network.items():
        torch.testing.assert_close(two.network[name], tensor, atol=2e-4, rtol=1e-2)


def test_sigterm_finishes_the_step_and_saves(workplace: Path) -> None:
    path = config(workplace, steps=100_000, save_every=100_000)
    code = "import sys; from mafdn.training.loop import train; from pathlib import Path; train(Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    try:
        log = workplace / "run" / "log.jsonl"
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    assert final(workplace / "run").step >= 5


# --- release


def test_the_gate_lets_only_better_weights_through(workplace: Path) -> None:
    folder = train(config(workplace, steps=10))
    weights = workplace / "weights"
    marks = iter([30.0, 31.0, 30.9, 30.0, 30.5])

    def score(path: Path, scale: int) -> dict[str, dict[str, float]]:
        assert path.suffix == ".onnx"
        assert scale == 2
        return {"Set": {"psnr": next(marks), "ssim": 0.9}}

    first = release(folder, weights, score=score)  # nothing ships yet: 30.0
    assert first.released
    shipped = weights / "mafdn-x2.safetensors"
    before = shipped.read_bytes()
    worse = release(folder, weights, score=score)  # 31.0 ships, 30.9 is not better
    assert not worse.released
    assert shipped.read_bytes() == before
    assert release(folder, weights, score=score).released  # 30.0 ships, 30.5 is better
    assert sorted(p.name for p in weights.iterdir()) == ["mafdn-x2.onnx", "mafdn-x2.safetensors"]
    network = load_network(shipped)
    assert not network.settings.over_parameterized
    from mafdn.cards import read_header

    card = read_header(shipped)[1]
    assert card["scores"]["Set"]["psnr"] == 30.5
    assert (card["steps"], card["samples"], card["data"]) == (10, 40, "random stripes")


def test_train_and_release_from_the_command_line(workplace: Path, cli: Run) -> None:
    code, out, err = cli("train", config(workplace, steps=10))
    run = workplace / "run"
    assert (code, out) == (0, f"{run}: checkpoints and log.jsonl\n")
    assert "step 10 of 10" in err
    assert "held-out pictures" in err
    arguments = ("release", run, "--bench", workplace / "photos", "--weights", workplace / "weights")
    code, out, _ = cli(*arguments)
    assert code == 0
    assert out.endswith("released\n")
    code, out, _ = cli(*arguments, "--json")
    outcome = json.loads(out)
    assert (code, outcome["released"]) == (0, False)
    assert outcome["scores"] == outcome["before"]
    assert cli("release", run, "--bench", workplace / "no")[0] == 2
    twice = cli("release", run, "--bench", workplace / "photos", "--bench", workplace / "photos")
    assert twice[0] == 2
    assert "one name" in twice[2]


def test_a_network_that_is_not_finite_is_not_exported(tmp_path: Path) -> None:
    network = MAFDN(MAFDNSettings(scale=2, width=8, blocks=1))
    with torch.no_grad():
        network.tail.bias.fill_(torch.nan)
    with pytest.raises(WeightsError, match="differs from the network by nan"):
        export_onnx(network, tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


def test_releasing_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint"):
        release(tmp_path, tmp_path, score=lambda *_: {})
