"""Settings read from TOML."""

from pathlib import Path

import pytest

from mafdn.errors import ConfigError
from mafdn.networks import MAFDNSettings
from mafdn.training.config import OptimizerSettings, read_config


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
