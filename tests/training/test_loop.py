"""The loop: it learns, resumes exactly, and shares its work."""

import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pyvips
import torch

from mafdn.errors import ConfigError
from mafdn.inference import open_engine
from mafdn.networks import MAFDN, MAFDNSettings, architecture, load_network, save_network
from mafdn.training.data.bank import open_bank
from mafdn.training.data.teach import teach
from mafdn.training.loop import train
from mafdn.training.record.averaged import averaged_network, run_card
from mafdn.training.record.log import read_log
from mafdn.training.record.progress import TrainingProgress
from mafdn.training.record.run_folder import RunFolder
from mafdn.training.run import open_run
from mafdn.training.workers import open_workers
from mafdn.weights.header import read_header
from tests.conftest import Run as Cli
from tests.runs import config, final, same, torchrun, two_processes
from tests.support import failed


def test_training_learns_logs_and_validates(workplace: Path) -> None:
    reports: list[TrainingProgress] = []
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


def test_a_run_in_another_thread_leaves_signals_and_threads_as_they_are(workplace: Path) -> None:
    before, handler = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as pool:  # which gets no signals
            assert final(pool.submit(train, config(workplace, steps=8)).result()).step == 8
        train(config(workplace, "other", steps=8))
        assert torch.get_num_threads() == 2
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        torch.set_num_threads(before)


def test_benchmark_pictures_and_held_out_ones_are_not_trained_on(workplace: Path) -> None:
    (workplace / "photos" / "deeper").mkdir()
    (workplace / "photos" / "held.png").rename(workplace / "photos" / "deeper" / "held.png")
    (workplace / "Set").mkdir()
    pyvips.Image.new_from_file(str(workplace / "photos" / "b.png")).rot90().pngsave(str(workplace / "Set" / "b.png"))
    path = config(workplace, steps=10)
    path.write_text(path.read_text().replace("[data]", '[data]\nexclude = ["Set"]\ncandidates = 2'))
    reports: list[TrainingProgress] = []
    bank = open_bank(train(path, on_progress=reports.append).parent / "bank")
    assert [p.name for p in bank.pictures] == ["a.png", "deeper/held.png"]
    assert [(e.name, e.match) for e in bank.excluded] == [("b.png", "Set/b.png")]
    assert any(r.psnr is not None for r in reports), "the pattern of a file name must match below a folder, too"


def test_resuming_changes_nothing(workplace: Path) -> None:
    whole = final(train(config(workplace, "whole")))
    stopped = config(workplace, "parts", save_every=10)

    class PowerCutError(Exception):
        pass

    def cut(progress: TrainingProgress) -> None:
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


def test_a_run_of_another_network_is_not_resumed(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text().replace("width = 16", "width = 18"))
    with pytest.raises(ConfigError, match="a different network"):
        train(path)


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


@pytest.mark.usefixtures("unchecked")
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
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # from torch's compiler
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


def test_a_run_with_another_optimizer_is_not_resumed(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text() + '\n[optimizer]\nname = "adam"\nlr = 1e-3\n')
    with pytest.raises(ConfigError, match="a different optimizer"):
        train(path)


def test_a_resumed_run_keeps_its_precision(workplace: Path) -> None:
    train(config(workplace, steps=10))
    path = config(workplace, steps=20)
    path.write_text(path.read_text().replace('precision = "fp32"', 'precision = "auto"'))
    assert not final(train(path)).bf16


def test_a_resumed_run_is_computed_as_its_settings_say(workplace: Path) -> None:
    path = config(workplace, steps=7)
    train(path)
    notes: list[str] = []
    folder = train(path, overrides={"run.precision": "bf16", "schedule.steps": 8}, on_note=notes.append)
    saved = RunFolder(folder).saved()
    assert (final(folder).bf16, saved.settings.run.precision) == (True, "bf16")
    assert notes[1] == "computed with something else than at the last start: precision fp32 -> bf16 autocast"
    assert [(start["step"], start["precision"]) for start in saved.starts] == [(0, "fp32"), (7, "bf16 autocast")]


def test_the_starts_of_a_run_are_recorded(workplace: Path) -> None:
    path = config(workplace, steps=7)
    folder = train(path)
    (start,) = RunFolder(folder).saved().starts
    bank = open_bank(workplace / "bank")
    assert (start["step"], start["device"], start["processes"], start["compiled"]) == (0, "cpu", 1, False)
    assert (start["torch"], start["banks"]) == (torch.__version__, {"data.bank": bank.digest})
    notes: list[str] = []
    train(path, overrides={"schedule.steps": 8}, on_note=notes.append)
    assert notes == ["resuming from step 7", "finished: 8 of 8"]
    file = folder / "settings.json"
    table = json.loads(file.read_text())
    assert [start["step"] for start in table["starts"]] == [0, 7]
    table["starts"][-1] |= {"torch": "2.0", "processes": 2}
    file.write_text(json.dumps(table))
    train(path, overrides={"schedule.steps": 9}, on_note=notes.append)
    other = "computed with something else than at the last start"
    assert notes[3] == f"{other}: torch 2.0 -> {torch.__version__}, processes 2 -> 1"
    network, saved, checkpoint = averaged_network(folder)
    card = run_card(folder, network, saved, checkpoint)
    assert [(start["step"], start["processes"]) for start in card["starts"]] == [(0, 1), (7, 2), (8, 1)]
    assert str(workplace) not in json.dumps(card["starts"])


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


@pytest.mark.parametrize("start", ["", "parent.safetensors"], ids=["random", "another-scale"])
def test_two_processes_give_the_result_of_one(start: str, workplace: Path) -> None:
    torch.manual_seed(0)  # the order of summation matters more for some weights than for others
    parent = MAFDN(MAFDNSettings(scale=3, width=16, blocks=1))
    save_network(parent.fold(), workplace / "parent.safetensors", card={})
    one, two = (config(workplace, name, steps=8) for name in ("one", "two"))
    for path in (one, two):
        path.write_text(path.read_text() + f'init = "{start}"')
    if start:
        two_processes("train", two)
    else:
        assert torchrun("-m", "mafdn", "train", two).wait(timeout=120) == 0
    expected, shared = final(train(one)), final(workplace / "two")
    assert shared.samples == expected.samples
    for name, tensor in expected.network.items():
        torch.testing.assert_close(shared.network[name], tensor, atol=2e-4, rtol=1e-2)


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
    assert "started from parent.safetensors" in err
    assert cli("train", config(workplace, "b"), "--init-body", workplace / "none.safetensors")[0] == 1


@pytest.mark.parametrize(
    "name", ["imdn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("afan", "ddistill"))]
)
def test_every_network_trains_and_is_exported(workplace: Path, name: str, cli: Cli) -> None:
    path = config(workplace)
    text = path.read_text().replace("patch = 12", "patch = 16")  # DDistill-SR needs at least 15
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


def test_exporting_a_folder_that_is_not_a_run_gives_a_one_line_error(workplace: Path, cli: Cli) -> None:
    failed(cli("export", workplace / "photos", "-o", workplace / "x.onnx"), 1, "nor the folder of a training run")
    train(config(workplace))
    failed(cli("export", workplace / "run", "-o", workplace / "x.pth"), 2, ".safetensors")
    failed(cli("export", workplace / "run", "-o", workplace / "no" / "x.safetensors"), 1, "cannot write")
    (workplace / "run" / "settings.json").write_text("{}")
    failed(cli("export", workplace / "run", "-o", workplace / "x.onnx"), 1, "do not match its checkpoints")
