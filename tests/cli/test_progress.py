"""Help of commands with a default command, and progress of exports."""

import io
import re
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from mafdn.cli.output import shows_bars
from mafdn.export.onnx import export_onnx
from mafdn.inference import ENGINES
from mafdn.networks import MAFDNSettings, build
from mafdn.networks.weights import save_network
from tests.conftest import Run


def test_the_help_of_train_shows_the_options_of_its_default_command(cli: Run) -> None:
    code, group, _ = cli("train", "--help")
    assert code == 0
    default = cli("train", "run", "--help")[1]
    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", default, re.MULTILINE))
    assert {"--for", "--init-body", "--profile", "--help"} <= options
    assert options == set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", group, re.MULTILINE))
    assert "CONFIG" in group.splitlines()[0]
    for command in ("run", "fork", "plot"):
        assert re.search(rf"^  {command} ", group, re.MULTILINE)


def test_an_export_reports_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Run) -> None:
    network = build(MAFDNSettings(scale=2, width=8, blocks=1))
    save_network(network, tmp_path / "small.safetensors", card={})
    stages: list[tuple[str, int, int]] = []

    def tapped(*arguments: object, on_progress: object) -> float:
        def both(stage: str, done: int, total: int) -> None:
            stages.append((stage, done, total))
            assert callable(on_progress)
            on_progress(stage, done, total)

        return export_onnx(*arguments, on_progress=both)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("mafdn.export.onnx.export_onnx", tapped)
    monkeypatch.setattr("rich.console.Console", partial(Console, force_terminal=True))
    monkeypatch.setattr("mafdn.cli.output.shows_bars", lambda _: True)
    code, out, err = cli("export", tmp_path / "small.safetensors", "-o", tmp_path / "small.onnx")
    assert code == 0, err
    checks = [f"checking in {name}" for name in ENGINES]
    assert [stage for stage, _, _ in stages] == ["building the graph", "measuring the halo", *checks, "checked"]
    assert [done for _, done, _ in stages] == list(range(len(stages)))
    assert {total for _, _, total in stages} == {len(stages) - 1}
    for stage in ("building the graph", "measuring the halo", *checks):
        assert stage in err
    assert out.startswith(f"{tmp_path / 'small.onnx'}: agrees")


def test_a_log_in_color_gets_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console(file=io.StringIO())
    assert console.is_terminal
    assert not shows_bars(console)
