"""The loop: it learns, resumes exactly, survives being killed, goes back after a spike, and shares its work."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pyvips
import torch

from mafdn.errors import ConfigError, MafdnError
from mafdn.inference import open_engine
from mafdn.networks import MAFDN, MAFDNSettings, architecture, load_network, save_network
from mafdn.training.averaged import averaged_network
from mafdn.training.checkpoint import newest_checkpoint
from mafdn.training.data.bank import open_bank
from mafdn.training.data.patches import Batch, PatchSampler
from mafdn.training.data.teach import teach
from mafdn.training.journal import Progress, read_log
from mafdn.training.loop import train
from mafdn.training.optimizers import Muon
from mafdn.training.run import Run, open_run
from mafdn.training.workers import open_workers
from mafdn.weights.header import read_header
from tests.conftest import Run as Cli
from tests.runs import config, final, same
from tests.support import failed


def test_training_learns_logs_and_validates(workplace: Path) -> None:
    reports: list[Progress] = []
    folder = train(config(workplace, steps=40), on_progress=reports.append)
    losses = [r.loss for r in reports if r.loss is not None]
    psnrs = [r.psnr for r in reports if r.psnr is not None]
    assert losses[-1] < losses[0] / 2
    assert len(psnrs) == 4
    assert psnrs[-1] > psnrs[0]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(log) == len(reports)
    assert final(folder).samples == 160
    assert any(path.name.startswith("events.out.tfevents") for path in (folder / "tensorboard").iterdir())


def test_bench_pictures_and_held_out_ones_are_not_trained_on(workplace: Path) -> None:
    (workplace / "photos" / "deeper").mkdir()
    (workplace / "photos" / "held.png").rename(workplace / "photos" / "deeper" / "held.png")
    (workplace / "Set").mkdir()
    pyvips.Image.new_from_file(str(workplace / "photos" / "b.png")).rot90().pngsave(str(workplace / "Set" / "b.png"))
    path = config(workplace, steps=10)
    path.write_text(path.read_text().replace("[data]", '[data]\nexclude = ["Set"]\ncandidates = 2'))
    reports: list[Progress] = []
    bank = open_bank(train(path, on_progress=reports.append).parent / "bank")
    assert [p.name for p in bank.pictures] == ["a.png", "deeper/held.png"]
    assert [(e.name, e.match) for e in bank.excluded] == [("b.png", "Set/b.png")]
    assert any(r.psnr is not None for r in reports), "the pattern of a file name must match below a folder, too"


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


def test_a_loss_that_stays_not_finite_stops_the_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    monkeypatch.setattr(
        MAFDN, "forward", lambda _self, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3) * torch.nan
    )
    monkeypatch.setattr(torch.Tensor, "backward", lambda _self: None)
    with pytest.raises(MafdnError, match="does not get past step 15"):
        train(config(workplace, steps=20))
    assert same(final(workplace / "run").network, before.network)


@pytest.mark.parametrize("factor", [float("nan"), 100.0])
def test_a_spike_goes_back_to_the_last_checkpoint_and_on_with_other_patches(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    drawn: dict[int, list[bytes]] = {}
    batch = PatchSampler.batch

    def spoilt(self: PatchSampler, step: int, places: list[int], *, detours: int) -> Batch:
        whole = batch(self, step, places, detours=detours)
        drawn.setdefault(step, []).append(whole.hr.tobytes())
        return whole

    monkeypatch.setattr(PatchSampler, "batch", spoilt)
    gradients = Run.gradients

    def spike(self: Run, *tensors: torch.Tensor) -> torch.Tensor:
        loss = gradients(self, *tensors)
        return loss * factor if self.state.step == 13 and len(drawn[13]) == 1 else loss

    monkeypatch.setattr(Run, "gradients", spike)
    reports: list[Progress] = []
    folder = train(config(workplace), on_progress=reports.append)
    notes = [r for r in reports if r.note]
    assert len(notes) == 1
    assert notes[0].step == 10
    assert "at step 15" in notes[0].note
    assert "back to the checkpoint of step 10" in notes[0].note
    end = final(folder)
    assert (end.step, end.detours) == (20, 1)
    first, second = drawn[13]
    assert first != second
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in log if "loss" in e] == [5, 10, 15, 20]


def test_clipping_shortens_gradients(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    zero = torch.optim.Optimizer.zero_grad

    def watch(self: torch.optim.Optimizer) -> None:
        grads = [p.grad for g in self.param_groups for p in g["params"] if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in grads]).norm()))
        zero(self)

    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", watch)
    path = config(workplace, steps=8)
    path.write_text(path.read_text() + '\n[optimizer]\nname = "adamw"\nlr = 1e-3\nweight_decay = 0.01\nclip = 1e-3\n')
    train(path)
    assert norms
    assert max(norms) <= 1.001e-3


def test_a_teacher_is_learned_from(workplace: Path) -> None:
    torch.manual_seed(2)
    wise = MAFDN(MAFDNSettings(scale=2, width=16, blocks=1))
    save_network(wise.fold(), workplace / "wise.safetensors", card={})
    path = config(workplace, steps=10)
    train(path)
    teach(workplace / "bank", [workplace / "wise.safetensors"], name="wise")
    path.write_text(path.read_text().replace("[data]", '[loss]\nteacher = 1.0\n[data]\nteacher = "wise"'))
    with open_workers() as workers:
        run = open_run(path, workers)
        lr, hr, target = run.next_batch()
        assert target is not None
        with torch.inference_mode():
            made = wise(lr).clamp(0, 1)
        assert (target - made)[..., 4:-4, 4:-4].abs().mean() < (hr - made)[..., 4:-4, 4:-4].abs().mean() / 3
        loss = run.gradients(lr, hr, target)
        with torch.inference_mode():
            torch.testing.assert_close(loss, (run.network(lr) - target).abs().mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # of torch's compiler
def test_a_compiled_run_learns_the_same(workplace: Path) -> None:
    if not shutil.which("g++"):
        pytest.skip("torch.compile needs a C++ compiler")
    eager = final(train(config(workplace, "eager", steps=8)))
    path = config(workplace, "compiled", steps=8)
    path.write_text(path.read_text().replace('precision = "fp32"', 'precision = "fp32"\ncompile = "on"'))
    compiled = final(train(path))
    assert compiled.compiled
    for name, tensor in eager.network.items():
        torch.testing.assert_close(compiled.network[name], tensor, atol=2e-4, rtol=1e-2)


def test_weights_that_are_not_finite_are_not_saved(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    broken = Muon.step

    def step(self: Muon) -> None:
        broken(self)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(torch.nan)

    monkeypatch.setattr(Muon, "step", step)
    with pytest.raises(MafdnError, match="does not get past step 11"):
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


def torchrun(*what: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen([*command, *map(str, what)], env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_two_processes_do_what_one_does(workplace: Path) -> None:
    path = config(workplace, "two", steps=8)
    assert torchrun("-m", "mafdn", "train", path).wait(timeout=120) == 0
    one = final(train(config(workplace, "one", steps=8)))
    two = final(workplace / "two")
    assert two.samples == one.samples
    for name, tensor in one.network.items():
        torch.testing.assert_close(two.network[name], tensor, atol=2e-4, rtol=1e-2)


SPIKY = """
import sys
from pathlib import Path
from mafdn.training.loop import train
from mafdn.training.run import Run

gradients, seen = Run.gradients, set()


def spiky(self, *tensors):
    loss = gradients(self, *tensors)
    first = self.state.step in (13, 23, 33, 43, 53) and self.state.step not in seen
    seen.add(self.state.step)
    return loss * float("nan") if first else loss


Run.gradients = spiky
train(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_spikes_far_apart_do_not_stop_two_processes(workplace: Path) -> None:
    script = workplace / "spiky.py"
    script.write_text(SPIKY)
    assert torchrun(script, config(workplace, steps=60)).wait(timeout=120) == 0
    end = final(workplace / "run")
    assert (end.step, end.detours) == (60, 5)


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


@pytest.mark.slow
def test_killed_five_times_it_goes_on_each_time(workplace: Path) -> None:
    """SIGKILL at random moments: the end is bit for bit that of an uninterrupted run, and no file is left over."""
    whole = final(train(config(workplace, "whole", steps=300, save_every=5)))
    path = config(workplace, "killed", steps=300, save_every=5)
    rng = random.Random(0)
    log = workplace / "killed" / "log.jsonl"
    for _ in range(5):
        before = log.stat().st_size if log.exists() else 0
        process = subprocess.Popen([sys.executable, "-m", "mafdn", "train", str(path)], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not (log.exists() and log.stat().st_size != before) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.2))
        finally:
            process.kill()
            process.wait()
        newest_checkpoint(workplace / "killed")  # never damaged
    assert final(workplace / "killed").step < 300, "killed too late to show anything"
    resumed = final(train(path))
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resumed, part), getattr(whole, part)), part
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(steps)
    assert not list((workplace / "killed").glob("*.partial"))


def test_profiling_changes_nothing(workplace: Path, cli: Cli) -> None:
    path = config(workplace, steps=10)
    code, out, _ = cli("train", "--profile", path, "--json")
    report = json.loads(out)
    measured = report["loop"]
    assert code == 0
    assert [step["precision"] for step in report["step"]] == ["fp32", "bf16"]
    assert all(step["operators"] and step["ratio"] > 0 for step in report["step"])
    assert measured["processes"] == 1
    assert 0 < measured["loop"] < measured["bare"] * 1.5
    assert not (workplace / "run").exists()


def test_a_run_starts_from_another_scale_by_the_command_line(workplace: Path, cli: Cli) -> None:
    parent = MAFDN(MAFDNSettings(scale=3, width=16, blocks=1))
    save_network(parent.fold(), workplace / "parent.safetensors", card={})
    code, _, err = cli("train", config(workplace, steps=10), "--init-body", workplace / "parent.safetensors")
    assert code == 0, err
    assert final(workplace / "run").started_from.startswith("parent.safetensors, SHA-256 ")
    again = ("train", config(workplace, steps=10), "--init-body", workplace / "parent.safetensors")
    assert cli(*again)[0] == 0
    save_network(MAFDN(parent.settings).fold(), workplace / "parent.safetensors", card={})
    code, _, err = cli(*again)
    assert code == 2
    assert "began from parent.safetensors" in err
    assert cli("train", config(workplace, "b"), "--init-body", workplace / "none.safetensors")[0] == 1


@pytest.mark.parametrize(
    "name", ["imdn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("afan", "ddistill"))]
)
def test_every_network_trains_and_is_exported(workplace: Path, name: str, cli: Cli) -> None:
    path = config(workplace)
    text = path.read_text().replace("patch = 12", "patch = 16")  # DDistill-SR takes nothing below 15
    path.write_text(text.replace("[network]", f'[network]\narchitecture = "{name}"'))
    folder = train(path)
    assert json.loads((folder / "settings.json").read_text())["network"]["architecture"] == name
    assert len([entry for entry in read_log(folder) if "psnr" in entry]) == 2
    network, _, checkpoint = averaged_network(folder)
    assert (architecture(network.settings), checkpoint.step) == (name, 20)
    assert cli("release", folder, "--bench", workplace / "photos")[0] == 2  # only MAFDN ships
    exported, weights = workplace / "run.onnx", workplace / "run.safetensors"
    assert cli("export", folder, "-o", exported)[0] == 0
    assert cli("export", folder, "-o", weights)[0] == 0
    assert open_engine(exported).scale == 2
    assert same(load_network(weights).state_dict(), network.fold().state_dict())
    assert read_header(weights)[1]["steps"] == 20


def test_exporting_what_is_no_run_is_one_line(workplace: Path, cli: Cli) -> None:
    failed(cli("export", workplace / "photos", "-o", workplace / "x.onnx"), 2, "holds no checkpoint")
    failed(cli("export", workplace / "photos", "-o", workplace / "x.pth"), 2, ".safetensors")
    train(config(workplace))
    failed(cli("export", workplace / "run", "-o", workplace / "no" / "x.safetensors"), 1, "cannot write")
    (workplace / "run" / "settings.json").write_text("{}")
    failed(cli("export", workplace / "run", "-o", workplace / "x.onnx"), 1, "do not fit its checkpoints")
