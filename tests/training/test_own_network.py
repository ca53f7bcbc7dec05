"""Train, resume, evaluate, count, export and load an architecture that is defined outside of the package."""

import json
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch

import mafdn
from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks import build, find_architecture, load_network, save_network
from mafdn.networks.checkpoints import load_pth
from mafdn.networks.own import settings_of
from mafdn.training.loop import train
from mafdn.training.record.checkpoint import Checkpoint
from mafdn.weights import own_architectures
from mafdn.weights.run_files import newest_checkpoint_file
from tests.conftest import Run
from tests.runs import config, final, same
from tests.support import draw, failed

MODULE = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self, scale: int = 4, width: int = 16, act: str = "relu", norm=nn.Identity):
        super().__init__()
        self.width = width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.norm = norm()
        self.branch = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self.scale, self.act = scale, act

    def forward(self, x):
        y = torch.relu(self.norm(self.head(x)))
        return self.shuffle(self.tail(y + self.branch(y) if hasattr(self, "branch") else y))

class Folding(Tiny):
    def fold(self):
        folded = type(self)(self.scale, self.width, self.act)
        folded.load_state_dict(self.state_dict())
        folded.branch.weight.data += torch.eye(self.width)[:, :, None, None] * torch.nn.functional.pad(
            torch.ones(1, 1), (1, 1, 1, 1))
        folded.forward = lambda x: folded.shuffle(folded.tail(folded.branch(torch.relu(folded.head(x)))))
        return folded

class Wrong(Tiny):
    def forward(self, x):
        return self.head(x)

class Failing(Tiny):
    def forward(self, x):
        raise ValueError("no luck today")

class PartlyTrained(Tiny):
    def __init__(self, scale: int = 4, width: int = 16):
        super().__init__(scale, width)
        self.head.requires_grad_(False)
        self.unused = nn.Conv2d(16, 16, 3)

class Frozen(Tiny):
    def __init__(self, scale: int = 4, width: int = 16):
        super().__init__(scale, width)
        self.requires_grad_(False)

class Shared(Tiny):
    def __init__(self, scale: int = 4, width: int = 16):
        super().__init__(scale, width)
        self.again = self.branch

class Random(Tiny):
    def __init__(self, scale: int = 4, width: int = 16):
        super().__init__(scale, width, norm=lambda: nn.Dropout(0.2))

class Stages(Tiny):
    def __init__(self, scale: int = 4, width: int = 600, blocks: "list[int]" = [2, 2, 6, 2], drop: float = 0.5):
        super().__init__(scale, width)

class Looking(Tiny):
    def forward(self, x):
        return super().forward(x if x.mean() > 2 else x - 0.5)

class OneScale(Tiny):
    def __init__(self, scale: int = 2):
        if scale != 2:
            raise ValueError("only x2")
        super().__init__(scale)

class Unsuitable(nn.Module):
    def __init__(self, channels, scale: int = 4):
        super().__init__()

class WithoutScale(nn.Module):
    def __init__(self, upscale: int = 4):
        super().__init__()

helper = 3
"""


@pytest.fixture
def module(workplace: Path) -> Generator[str]:
    """The name of a module beside the configuration, new for every test."""
    name = f"my_nets_{workplace.name.replace('-', '_')}"
    (workplace / f"{name}.py").write_text(MODULE)
    yield name
    sys.modules.pop(name, None)


def own_config(workplace: Path, architecture: str, *, steps: int = 6, more: str = "") -> Path:
    path = config(workplace, steps=steps)
    text = path.read_text().replace("blocks = 1\n", more).replace("warmup = 2\ndecay = 5", "warmup = 1\ndecay = 2")
    path.write_text(text.replace("[network]", f'[network]\narchitecture = "{architecture}"'))
    return path


@pytest.mark.parametrize("kind", ["Tiny", "Folding"])
def test_an_own_network_is_trained_evaluated_and_exported(
    kind: str, module: str, workplace: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{module}:{kind}"
    path = own_config(workplace, name, more='act = "none"\n')
    assert cli("train", path)[0] == 0
    run = workplace / "run"
    saved = json.loads((run / "settings.json").read_text())["network"]
    assert saved == {"architecture": name, "scale": 2, "width": 16, "act": "none"}
    longer = own_config(workplace, name, steps=8, more='act = "none"\n')
    assert cli("train", longer)[0] == 0  # resumes
    assert final(run).step == 8

    sys.modules.pop(module)  # as in a new process
    (workplace / "Bench").mkdir()
    draw(workplace / "Bench" / "a.png", size=(32, 40))
    code, out, err = cli("evaluate", "--bench", workplace / "Bench", "--scale", 2, "--network", run, "--json")
    assert (code, err) == (0, "")
    score = json.loads(out)["scores"][1]
    assert score["network"] == "run"
    code, out, _ = cli("count", "--network", run, "--json")
    parts = {part["part"]: part["parameters"] for part in json.loads(out)["parts"]}
    assert (code, parts["head"]) == (0, 3 * 16 * 9 + 16)

    target = workplace / "own.onnx"
    code, _, err = cli("export", run, "-o", target)
    assert (code, err) == (0, "")
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    large = mafdn.load(target).upscale(picture)
    by_torch = mafdn.load(run).upscale(picture)
    assert large.shape == (40, 48, 3)
    assert np.abs(large.astype(int) - by_torch).max() <= 1

    weights = workplace / "own.safetensors"
    assert cli("export", run, "-o", weights)[0] == 0
    sys.modules.pop(module)
    monkeypatch.chdir(workplace)
    failed(
        cli("evaluate", "--bench", workplace / "Bench", "--scale", 2, "--network", weights),
        1,
        f"its network is {name}, and a weights file may not import code",
        f"MAFDN_ARCHITECTURES={name}",
    )
    assert module not in sys.modules
    monkeypatch.setenv(own_architectures.ALLOWED, f"other:Net, {name}")
    code, out, err = cli("evaluate", "--bench", workplace / "Bench", "--scale", 2, "--network", weights, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["scores"][1]["mean"] == score["mean"]


def test_a_change_of_the_code_invalidates_scores_and_costs(module: str, workplace: Path, cli: Run) -> None:
    train(own_config(workplace, f"{module}:Tiny"))
    (workplace / "Bench").mkdir()
    draw(workplace / "Bench" / "a.png", size=(32, 40))
    target = workplace / "table.json"
    line = ("evaluate", "--bench", workplace / "Bench", "-s", 2, "--network", workplace / "run", "-o", target)

    def measured() -> tuple[float, int]:
        sys.modules.pop(module, None)  # as in a new process
        own_architectures.first_digest.cache_clear()
        code, _, err = cli(*line, "--overwrite")
        assert (code, err) == (0, "")
        row = next(row for row in json.loads(target.read_text())["rows"] if row["network"] == "run")
        return row["scores"]["Bench"]["psnr"], row["conv_macs"]

    psnr, macs = measured()
    assert measured() == (psnr, macs)
    (workplace / f"{module}.py").write_text(MODULE.replace("y + self.branch(y)", "y - self.branch(self.branch(y))"))
    changed = measured()
    assert changed[0] != psnr
    assert changed[1] > macs


def test_the_code_is_found_without_importing_it(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = workplace / "unimported" / "parts"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "nets.py"):
        file.write_text("raise SystemExit")
    monkeypatch.syspath_prepend(workplace)
    digest = own_architectures.source_digest
    assert digest("unimported.parts.nets:Net") == sha256(package / "nets.py")
    assert digest("unimported.parts:Net") == sha256(package / "__init__.py")
    assert "unimported" not in sys.modules
    for unknown in ("unimported.none:Net", "no_such_module.nets:Net", "sys:Net"):
        assert digest(unknown) != digest(unknown), "any code"


def test_a_run_starts_from_own_weights(module: str, workplace: Path) -> None:
    name = f"{module}:Tiny"
    train(own_config(workplace, name))
    before = final(workplace / "run").ema
    for start in ("run", "own.pth"):
        if start == "own.pth":
            torch.save({"state_dict": before}, workplace / start)
        path = own_config(workplace, name, steps=1)
        text = path.read_text().replace('folder = "run"', f'folder = "b-{start}"\ninit = "{start}"')
        path.write_text(
            text.replace("warmup = 1\ndecay = 2", "warmup = 0\ndecay = 0").replace("lr = 0.01", "lr = 1e-9")
        )
        torch.manual_seed(0)
        train(path)
        started = final(workplace / f"b-{start}")
        assert "SHA-256" in started.started_from
        assert (started.network["head.weight"] - before["head.weight"]).abs().max() < 0.05


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("{}:Missing", "has no Missing"),
        ("no_such_module:Net", "there is no module no_such_module in"),
        ("{}:helper", "must be a class derived from torch.nn.Module, not 3"),
        ("{}:Unsuitable", "its parameter channels needs a default value"),
        ("{}:WithoutScale", "its constructor needs a parameter scale"),
        ("{}:Wrong", "maps 1x3x12x12 to 1x16x12x12, but scale = 2 needs 1x3x24x24"),
        ("{}:Frozen", "has no parameters to train"),
        ("{}:Failing", "failed on an input of 1x3x12x12: no luck today"),
        ("vdsr", "network.architecture must be one of mafdn, imdn, ddistill, afan, smfanet or the module:Class"),
    ],
)
def test_unsuitable_networks_are_refused_in_one_line(
    architecture: str, words: str, module: str, workplace: Path, cli: Run
) -> None:
    path = own_config(workplace, architecture.format(module))
    failed(cli("train", path), 2, words)


def test_unknown_settings_of_an_own_network_are_refused(module: str, workplace: Path, cli: Run) -> None:
    failed(cli("train", own_config(workplace, f"{module}:Tiny", more="norm = 3\n")), 2, "unknown key", "norm")
    failed(cli("train", own_config(workplace, f"{module}:Tiny", more="act = 3\n")), 2, "network.act must be str")


def test_a_module_that_fails_when_imported_is_reported(module: str, workplace: Path, cli: Run) -> None:
    (workplace / f"{module}.py").write_text("1 / 0")
    failed(cli("train", own_config(workplace, f"{module}:Tiny")), 2, "cannot be imported: ZeroDivisionError: division")
    (workplace / f"{module}.py").write_text("import a_package_that_is_missing")
    words = "needs the package a_package_that_is_missing, which is missing"
    failed(cli("train", own_config(workplace, f"{module}:Tiny")), 2, words)


def test_entry_points_are_known_by_name(
    module: str, workplace: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = workplace / f"{module}-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[mafdn.architectures]\ntiny-net = {module}:Tiny\n")
    monkeypatch.syspath_prepend(workplace)
    assert own_architectures.own_names() == ("tiny-net",)
    code, out, err = cli("count", "--network", "tiny-net", "--scale", 3, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["network"] == "tiny-net"
    failed(cli("count", "--network", "vdsr"), 2, "tiny-net")
    train(own_config(workplace, "tiny-net"))
    weights = workplace / "own.safetensors"
    assert cli("export", workplace / "run", "-o", weights)[0] == 0
    assert type(load_network(weights)).__name__ == "Tiny"  # an installed package may be named by a file


def test_the_settings_follow_from_the_constructor(module: str, workplace: Path) -> None:
    found = find_architecture(f"{module}:Tiny", folder=workplace)
    settings = found.settings(scale=3)
    network = build(settings)
    assert network.settings == settings
    assert repr(settings) == "TinySettings(scale=3, width=16, act='relu')"
    assert network.fold().fold().settings == settings
    x = torch.rand(1, 3, 5, 6)
    with torch.inference_mode():
        assert network(x).shape == (1, 3, 15, 18)
        assert torch.equal(network.fold()(x), network(x))

    class Lists(torch.nn.Module):
        def __init__(self, scale: int = 2, sizes: "list[int]" = [1, 2], rate: float = 1) -> None:  # noqa: B006
            super().__init__()
            self.values = scale, sizes, rate

    kind, left_out = settings_of("a:B", Lists)
    assert (kind(), left_out) == (kind(scale=2, sizes=(1, 2), rate=1.0), ())  # pyright: ignore[reportCallIssue]


def test_a_weights_file_cannot_import_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('harm').touch()\n")
    header = {"version": 1, "architecture": "evil:Net", "settings": {"scale": 2}, "folder": str(tmp_path)}
    save_file({"a": torch.zeros(1)}, tmp_path / "n.safetensors", {"mafdn": json.dumps(header)})
    with pytest.raises(WeightsError, match="may not import code"):
        load_network(tmp_path / "n.safetensors")
    assert not (tmp_path / "harm").exists()
    with pytest.raises(ConfigError, match="was not found"):
        find_architecture("no_such_module:Net")


def test_a_run_in_another_folder_finds_its_module(
    module: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(own_config(workplace, f"{module}:Tiny"))
    elsewhere = workplace / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    sys.modules.pop(module)
    assert load_network(newest_checkpoint_file(workplace / "run")).settings.scale == 2
    sys.modules.pop(module)
    assert train(workplace / "run") == workplace / "run"


@pytest.mark.parametrize("kind", ["PartlyTrained", "Shared"])
def test_frozen_unused_and_shared_parameters_are_resumed(kind: str, module: str, workplace: Path, cli: Run) -> None:
    train(own_config(workplace, f"{module}:{kind}"))
    assert train(own_config(workplace, f"{module}:{kind}", steps=8)) == workplace / "run"
    assert final(workplace / "run").step == 8
    weights = workplace / "own.safetensors"
    assert cli("export", workplace / "run", "-o", weights)[0] == 0
    state = load_network(weights).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in final(workplace / "run").ema.items())
    assert ("again.weight" in state) == (kind == "Shared")


def test_a_resumed_run_draws_the_same_dropout(module: str, workplace: Path) -> None:
    def run(name: str, steps: int) -> Checkpoint:
        path = own_config(workplace, f"{module}:Random")
        text = path.read_text().replace("decay = 2", "decay = 0").replace("steps = 6", f"steps = {steps}")
        path.write_text(text.replace('"run"', f'"{name}"').replace("_every = 10", "_every = 5"))
        return final(train(path))

    whole = run("whole", 20)
    run("parts", 10)
    parts = run("parts", 20)
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(parts, part), getattr(whole, part)), part


def test_own_settings_have_no_upper_bounds(module: str, workplace: Path) -> None:
    network = build(find_architecture(f"{module}:Stages", folder=workplace).settings(scale=2))
    save_network(network, workplace / "own.safetensors", card={})
    loaded = load_network(workplace / "own.safetensors")
    assert loaded.settings == network.settings
    assert repr(loaded.settings) == "StagesSettings(scale=2, width=600, blocks=(2, 2, 6, 2), drop=0.5)"


def test_another_module_of_the_same_name_is_refused(module: str, workplace: Path) -> None:
    name, other = f"{module}:Tiny", workplace / "other"
    other.mkdir()
    assert find_architecture(name, folder=workplace).name == name
    file = other / f"{module}.py"
    file.write_text(MODULE)
    assert find_architecture(name, folder=other).name == name, "a copy"
    file.write_text(MODULE.replace("16", "18"))
    for missing in ("", "Missing"):
        with pytest.raises(ConfigError, match=f"{file} cannot be imported: another module called {module} was, from "):
            find_architecture(name + missing, folder=other)
    assert find_architecture(name, folder=workplace).name == name


def test_a_network_that_cannot_be_counted_is_measured(module: str, workplace: Path, cli: Run) -> None:
    train(own_config(workplace, f"{module}:Looking"))
    (workplace / "Bench").mkdir()
    draw(workplace / "Bench" / "a.png", size=(32, 40))
    words = f"the network {module}:Looking cannot be counted: "
    failed(cli("count", "--network", workplace / "run"), 1, words)
    line = ("--bench", workplace / "Bench", "--network", workplace / "run", "-s", 2, "--json")
    code, out, err = cli("evaluate", *line)
    assert (code, err) == (0, "")
    assert json.loads(out)["scores"]
    code, out, err = cli("compare", *line, "--rounds", 0, "--no-published")
    assert code == 0, err
    assert json.loads(out)["rows"][0]["count"] is None


def test_a_network_of_one_scale_starts_from_a_checkpoint(module: str, workplace: Path) -> None:
    found = find_architecture(f"{module}:OneScale", folder=workplace)
    network = build(found.settings(scale=2))
    torch.save(network.state_dict(), workplace / "own.pth")
    loaded = load_pth(workplace / "own.pth", like=network.settings)
    assert loaded.settings == network.settings
