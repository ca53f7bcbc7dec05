"""Settings read from TOML."""

from dataclasses import fields
from pathlib import Path

import pytest

from mafdn.errors import ConfigError, UsageError
from mafdn.networks import IMDNSettings, MAFDNSettings
from mafdn.training.config import (
    OptimizerSettings,
    ScheduleSettings,
    TrainSettings,
    apply_overrides,
    attribute_docstrings,
    data_overrides,
    example_config,
    parse_override,
    read_config,
    to_toml,
)
from mafdn.training.config.keys import KEYS, SYNONYMS
from tests.conftest import ROOT
from tests.conftest import Run as Cli
from tests.support import failed


def test_the_defaults_are_the_reconstruction(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[data]\nfolders = ["x"]\n')
    settings = read_config(path)
    assert settings.network == MAFDNSettings()
    assert settings.optimizer == OptimizerSettings()


WRONG = {
    "[data]\nfolders = ['x']\npatchs = 3": "data.patch?",
    "[data]\nfolders = ['x']\n[runn]": "did you mean run? (valid tables: data, network, degrade, loss, ",
    "[data]\nfolders = 'x'": "must be a list",
    "[data]\nfolders = ['x']\npatch = 'a'": "must be int",
    "[data]\nfolders = ['x']\n[run]\nbatch = true": "must be int",
    "[data]\nfolders = ['x']\n[run]\nprecision = 'fp8'": "auto, fp32, bf16",
    "[data]\nfolders = ['x']\n[optimizer]\nbetas = [0.9]": "must be a list",
    "[data]\nfolders = ['x']\nscales = [2]\n[network]\nscale = 3": "one of data.scales",
    "[schedule]\nsteps = 60\ndecay = 70": "decay (70) must fit into schedule.steps (60)",
    "[schedule]\nsteps = 60\nwarmup = 70": "schedule.warmup (70) and schedule.decay (0) must fit",
    "[run]\ndevice = 'gpu'": 'run.device must be "auto", "cpu", "cuda"',
    "[optimizer]\nlearning_rate = 1": "did you mean optimizer.lr? (valid keys of [optimizer]: name, lr, small_lr,",
    "[optimizer]\nlr = 0.0": "optimizer.lr must be above 0",
    "[optimizer]\nsmall_lr = -0.1": "optimizer.small_lr must be above 0",
    "[optimizer]\nlr = inf": "optimizer.lr must be above 0 and finite",
    "[optimizer]\nsmall_lr = nan": "optimizer.small_lr must be above 0 and finite",
    "[optimizer]\nmomentum = 1.0": "optimizer.momentum must be in [0, 1)",
    "[optimizer]\nbetas = [0.9, 1.0]": "optimizer.betas must be in [0, 1)",
    "[optimizer]\nbetas = [-0.1, 0.9]": "optimizer.betas must be in [0, 1)",
    "[optimizer]\nclip = nan": "optimizer.clip must be at least 0",
    "[optimizer]\nname = 'adamw'\nweight_decay = inf": "optimizer.weight_decay must be at least 0 and finite",
    "[loss]\nfourier = nan": "loss.fourier must be at least 0 and finite",
    "[data]\nmin_gradient = nan": "data.min_gradient must be finite",
    "[data]\nmin_gradient = inf": "data.min_gradient must be finite",
    "[network]\nn_feats = 64": "did you mean network.width? (valid keys of [network]: architecture, scale, width,",
    "[network]\nbatch = 64": "did you mean run.batch?",
    "[data]\ngt_size = 192": "data.patch (the side of an LR patch: gt_size / network.scale)?",
    "[run]\nepochs = 9": "did you mean schedule.steps (counted in steps)?",
    "[train]\nx = 9": "did you mean run?",
    "[run]\nzzz = 9": "unknown key run.zzz (valid keys of [run]: folder, init,",
    "data = 3": "must be a table",
    "[data]\nfolders = ['x']\n[network]\nwidth = 7": "network.width must be even",
    "[network]\nwidth = 514": "network.width must be at most 512",
    "[network]\narchitecture = 'imdn'\nblocks = 65": "network.blocks must be at most 64",
    "[data": "not valid TOML",
    "[data]\nfolders = ['x']\n[loss]\nteacher = 0.5": "loss.teacher needs data.teacher",
    "[data]\nfolders = ['x']\n[loss]\nteacher = 1.5": "in [0, 1]",
    "[data]\nfolders = ['x']\n[optimizer]\nweight_decay = 0.1": 'needs optimizer.name = "adamw"',
    "[data]\nfolders = ['x']\n[run]\nspike = 0.5": "run.spike",
    "[data]\nfolders = ['x']\n[network]\narchitecture = 'vdsr'": "mafdn, imdn, ddistill, afan",
    "[data]\nfolders = ['x']\n[network]\narchitecture = 'imdn'\npixel_attention = false": "unknown key network.pixel",
    "extends = 3": "name of a TOML file",
    "extends = 'c.toml'": "extends itself",
    "extends = 'none.toml'": "cannot read",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG.values())
def test_invalid_settings_name_a_valid_alternative(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert expected in str(caught.value)
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "no.toml")


def test_a_file_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.toml").write_text(
        '[data]\nfolders = ["photos"]\nbank = "bank"\n[run]\nbatch = 4\nfolder = "x"\n'
        "[schedule]\nsteps = 500\ndecay = 9\n"
    )
    path = tmp_path / "sub" / "child.toml"
    path.write_text('extends = "../base.toml"\n[run]\nseed = 3\nfolder = "y"\n[optimizer]\nname = "adam"\n')
    settings = read_config(path)
    assert (settings.data.folders, settings.data.bank) == (("../photos",), "../bank")
    assert (settings.run.batch, settings.run.seed, settings.run.folder) == (4, 3, "y")
    assert (settings.schedule.steps, settings.optimizer.name) == (500, "adam")


# --- names of other programs


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes('[data]\r\nfolders = ["Fotos/Grün"]\r\n'.encode(encoding))
    assert read_config(path).data.folders == ("Fotos/Grün",)
    path.write_bytes(b"[data]\nfolders = ['\xff']\n")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_config(path)


def test_paths_on_another_drive_stay_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def relpath(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", relpath)
    monkeypatch.chdir(tmp_path)
    table = apply_overrides({}, {"run.folder": "r", "data.folders": ["a", "b"]}, base=tmp_path)
    assert table["run"]["folder"] == str(tmp_path / "r")
    assert table["data"]["folders"] == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_every_table_is_known() -> None:
    assert {*KEYS, "network"} == {entry.name for entry in fields(TrainSettings)}


def test_synonyms_lead_to_settings_that_exist() -> None:
    for setting in SYNONYMS:
        table, _, key = setting.partition(".")
        known = {**KEYS, "network": ("architecture", "scale", "width", "blocks")}
        assert table in known
        assert not key or key in known[table], setting


def test_a_synonym_has_one_meaning() -> None:
    names = [name for words in SYNONYMS.values() for name in words]
    assert sorted(names) == sorted(set(names))


# --- schedules of short runs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps = 60", (3, 30)),
        ("steps = 60\nwarmup = 20", (20, 30)),
        ("steps = 60\nwarmup = 50", (50, 10)),
        ("steps = 60\ndecay = 59", (1, 59)),
        ("steps = 60\nkind = 'cosine'", (3, 2000)),
        ("steps = 1", (0, 0)),
        ("steps = 2100", (100, 2000)),
        ("steps = 2099", (100, 1049)),
        ("steps = 60\nwarmup = 2\ndecay = 4", (2, 4)),
    ],
)
def test_default_schedules_fit_into_short_runs(tmp_path: Path, text: str, expected: tuple[int, int]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"[schedule]\n{text}\n")
    notes: list[str] = []
    schedule = read_config(path, on_note=notes.append).schedule
    assert (schedule.warmup, schedule.decay) == expected
    changed = expected != (100, 2000) and text != "steps = 60\nwarmup = 2\ndecay = 4"
    assert len(notes) == changed
    assert all("does not fit into schedule.steps = " in note for note in notes)


# --- overrides


def test_overrides_replace_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "c.toml"
    path.write_text('[data]\nfolders = ["photos"]\ndescription = "of photos"\n[run]\nbatch = 8\nfolder = "run"\n')
    monkeypatch.chdir(tmp_path)
    texts = ["run.batch=4", "optimizer.lr = 5e-3", "run.folder=2024", "data.held_out=val*", "loss.teacher=[0.0, 0.0]"]
    texts += ["optimizer.name=adam", 'network.architecture="imdn"', "network.width=32"]
    settings = read_config(path, dict(map(parse_override, texts)))
    assert (settings.run.batch, settings.optimizer.lr, settings.optimizer.name) == (4, 0.005, "adam")
    assert settings.run.folder == "../2024", "relative to the current folder"
    assert settings.data.folders == ("photos",), "of the file: relative to the file"
    assert (settings.data.held_out, settings.data.description) == (("val*",), "of photos")
    assert settings.network == IMDNSettings(width=32)
    replaced = read_config(path, {"data.folders": ["more"]}).data
    assert (replaced.folders, replaced.description) == (("../more",), ""), "it describes other pictures"
    absolute = read_config(path, {"data.folders": tmp_path / "x"})
    assert absolute.data.folders == (str(tmp_path / "x"),)


def test_overrides_of_degradations(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("")
    texts = ["degrade.share=0.5", "degrade.reductions=['area', 'lanczos']", "degrade.quality=[40, 90]"]
    degrade = read_config(path, dict(map(parse_override, texts))).degrade
    assert (degrade.share, degrade.reductions, degrade.quality) == (0.5, ("area", "lanczos"), (40, 90))
    assert read_config(path, dict([parse_override("degrade.reductions=area")])).degrade.reductions == ("area",)


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "run.batch": "write TABLE.KEY=VALUE",
        "=4": "write TABLE.KEY=VALUE",
        "lr=4": "did you mean optimizer.lr?",
        "optimizer.learning_rate=4": "did you mean optimizer.lr?",
        "trains.x=4": "unknown key trains",
        "run.batch=four": "run.batch must be int, not 'four'",
        "network.num_feat=4": "did you mean network.width?",
        "run.precision=fp8": "auto, fp32, bf16",
        "run.batch=0": "run.batch must be at least 1",
        "degrade.reductions=nearest": "bicubic, area, bilinear, lanczos",
        "degrade.sharee=1": "did you mean degrade.share?",
    }.items(),
)
def test_invalid_overrides_give_a_one_line_error(tmp_path: Path, cli: Cli, text: str, expected: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text("")
    failed(cli("train", path, text, "--print-config"), 2, expected)


@pytest.mark.parametrize(
    ("options", "refused"),
    {
        "--print-config --data x": "--print-config without CONFIG",
        "--print-config --device cpu": "--print-config without CONFIG",
        "--print-config --init-body x4": "--print-config without CONFIG",
        "--print-config --json": "--print-config without CONFIG",
        "CONFIG --print-config --for 9m": "--print-config",
        "CONFIG --print-config --profile": "--print-config",
        "CONFIG --print-config --json": "--print-config",
        "CONFIG --profile --init-body x4": "--profile",
        "CONFIG --profile --json --for 9m": "--profile",
    }.items(),
)
def test_options_without_an_effect_are_refused(tmp_path: Path, cli: Cli, options: str, refused: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text("")
    words = [path if word == "CONFIG" else word for word in options.split()]
    name = next(word for word in reversed(options.split()) if word.startswith("--"))
    failed(cli("train", *words), 2, f"{refused} takes no {name}")


def test_printed_settings_include_the_initial_weights(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "c.toml"
    path.write_text("")
    monkeypatch.chdir(tmp_path)
    for given, init in (("x4", "x4"), ("mine.safetensors", "mine.safetensors")):
        code, out, _ = cli("train", path, "--init-body", given, "run.init=x2", "--print-config")
        assert code == 0
        assert f'\ninit = "{init}"\n' in out


def test_data_names_pictures_or_a_bank(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    chosen = data_overrides(tmp_path / "photos", run_folder=tmp_path / "runs" / "mine")
    assert chosen == {
        "data.folders": [str(tmp_path / "photos")],
        "data.bank": str(tmp_path / "runs" / "bank-photos"),
    }
    (tmp_path / "photos" / "bank.json").write_text("{}")
    chosen = data_overrides(tmp_path / "photos", run_folder=tmp_path / "runs" / "mine")
    assert chosen == {"data.folders": [], "data.bank": str(tmp_path / "photos")}
    with pytest.raises(UsageError, match="no is not a folder of pictures or a bank"):
        data_overrides(tmp_path / "no", run_folder=tmp_path)


# --- settings as TOML


def test_printed_settings_are_read_back(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = ROOT / "configs" / "mafdn-x4-long.toml"
    code, out, err = cli("train", path, "run.batch=4", "schedule.steps=9000", "--device", "cpu", "--print-config")
    assert (code, err) == (0, "")
    assert "\nbatch = 4\n" in out
    assert "\ncandidates = 1  # default\n" in out
    (tmp_path / "printed.toml").write_text(out)
    printed = read_config(tmp_path / "printed.toml")
    overrides = {"run.batch": 4, "schedule.steps": 9000, "run.device": "cpu"}
    expected = read_config(path, overrides)
    assert (printed.network, printed.loss, printed.schedule) == (expected.network, expected.loss, expected.schedule)
    assert (tmp_path / printed.data.bank).resolve() == ROOT / "runs" / "bank"
    again = to_toml(expected, full=False)
    (path_again := tmp_path / "again.toml").write_text(again)
    assert read_config(path_again) == expected
    assert "# default" not in again


def test_the_example_has_every_setting_and_the_defaults(tmp_path: Path, cli: Cli) -> None:
    text = cli("train", "--print-config")[1]
    assert text == example_config() == (ROOT / "configs" / "example.toml").read_text("utf-8"), "python -m tools.figures"
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert read_config(path).data.folders == ("photos",)
    path.write_text(
        "\n".join(line[1:] if line.startswith("#") and line[1:2] != " " else line for line in text.splitlines())
    )
    settings = read_config(path)
    assert settings.schedule == ScheduleSettings()
    for table, keys in KEYS.items():
        assert all(f"\n#{key} = " in text or key == "folders" for key in keys), table
    assert attribute_docstrings(ScheduleSettings)["steps"] == "Total number of steps."
    failed(cli("train"), 2, "choose a CONFIG")
