"""Comparing configurations on the same budget, and plotting their curves."""

import json
import os
from pathlib import Path

import pytest
import pyvips

from mafdn.training import ablate, step_mode
from mafdn.training.config import read_config
from mafdn.training.loop import train
from tests.conftest import Run
from tests.runs import config, final


@pytest.fixture
def pair(workplace: Path) -> tuple[Path, Path]:
    whole = config(workplace, "whole", steps=50)
    without = workplace / "without.toml"
    without.write_text('extends = "whole.toml"\n[network]\npixel_attention = false\nspatial_attention = false\n')
    return whole, without


@pytest.mark.slow
def test_configurations_are_compared_on_the_same_budget(workplace: Path, pair: tuple[Path, Path], cli: Run) -> None:
    arguments = ("ablate", *pair, "--steps", 12, "--jobs", 2, "-o", workplace / "out")
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert [row["name"] for row in rows] == ["whole", "without"]
    assert all(row["steps"] == 12 and row["spread"] > 0 for row in rows)
    assert {(row["precision"], row["compile"]) for row in rows} == {("fp32", "off")}
    assert rows[0]["differences"] == [0, 0]
    assert len(set(rows[1]["differences"])) == 2
    first, second = rows[1]["differences"]
    assert (first + second) / 2 == pytest.approx(rows[1]["psnr"] - rows[0]["psnr"])

    run = workplace / "out" / "without-seed1"
    log, end = run / "log.jsonl", run / "step-00000012.safetensors"
    before = end.stat().st_mtime_ns
    code, out, _ = cli(*arguments)  # again: finished runs are reused
    assert code == 0
    assert "without" in out
    assert end.stat().st_mtime_ns == before
    assert [json.loads(line)["step"] for line in log.read_text().splitlines() if "psnr" in line] == [10, 12]
    assert "a different budget" in cli("ablate", *pair, "--steps", 13, "-o", workplace / "out")[2]

    pair[1].write_text(pair[1].read_text() + "channel_attention = false\n")
    assert "started with different settings" in cli(*arguments)[2]

    curves = workplace / "curves.png"
    runs = [workplace / "out" / f"{name}-seed0" for name in ("whole", "without")]
    assert cli("train", "plot", *runs, "-o", curves)[:2] == (0, f"{curves}\n")
    assert pyvips.Image.new_from_file(str(curves)).height > 500


@pytest.mark.slow
def test_minutes_are_converted_to_steps_by_measuring(workplace: Path, pair: tuple[Path, Path], cli: Run) -> None:
    train(config(workplace, "run", steps=10))
    pair[0].write_text(
        pair[0].read_text().replace('folder = "whole"', 'folder = "run"')
    )  # an existing run, left untouched
    arguments = ("ablate", *pair, pair[0], "--minutes", 0.01, "--seeds", "3", "-o", workplace / "out", "--json")
    code, out, err = cli(*arguments)
    assert code == 0, err
    report = json.loads(out)
    assert (report["seeds"], report["minutes"]) == ([3], 0.01)
    assert all(row["steps"] > 0 for row in report["rows"])
    assert final(workplace / "run").step == 10
    assert json.loads(cli(*arguments)[1]) == report  # the budget is not measured again


def test_an_interrupted_run_does_not_count_as_finished(
    workplace: Path, pair: tuple[Path, Path], cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("ablate", pair[0], "--steps", 12, "--seeds", "0", "-o", workplace / "out")
    entry = '{"step": 10, "seconds": 1.0, "psnr": 20.0}\n'
    monkeypatch.setattr(ablate, "_train", lambda path, _: (path.parent / "log.jsonl").write_text(entry))
    code, _, err = cli(*arguments)
    assert code == 1
    assert "whole-seed0 was stopped at step 10 of 12" in err


def test_the_baseline_chooses_the_precision_of_all(
    workplace: Path, pair: tuple[Path, Path], cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair[0].write_text(pair[0].read_text().replace('precision = "fp32"', 'precision = "auto"'))
    explicit = workplace / 'expl"icit.toml'
    explicit.write_text('extends = "whole.toml"\n[run]\nprecision = "fp32"\n')
    entry = '{"step": 12, "seconds": 1.0, "psnr": 20.0}\n'
    monkeypatch.setattr(ablate, "_train", lambda path, _: (path.parent / "log.jsonl").write_text(entry))
    times: list[bool] = []

    def seconds(_network: object, _lr: object, _hr: object, *, bf16: bool) -> float:
        times.append(bf16)
        return 1.0 if bf16 else 2.0

    monkeypatch.setattr(step_mode, "step_seconds", seconds)
    arguments = ("ablate", *pair, explicit, "--steps", 12, "--seeds", "0", "-o", workplace / "out")
    code, out, err = cli(*arguments, "--json")
    assert (code, times) == (0, [False, True]), err
    rows = json.loads(out)["rows"]
    assert [(row["precision"], row["compile"], row["spread"]) for row in rows] == [
        ("bf16", "off", None),
        ("bf16", "off", None),
        ("fp32", "off", None),
    ]
    for row in rows:
        run = read_config(workplace / "out" / f"{row['name']}-seed0" / "config.toml").run
        assert (run.precision, run.compile) == (row["precision"], "off")
    out = cli(*arguments)[1]
    assert "range of 1 seed" in out
    assert "bf16" in out
    assert len(times) == 2, "measured once"


def test_invalid_comparisons_give_a_one_line_error(workplace: Path, pair: tuple[Path, Path], cli: Run) -> None:
    out = ("-o", workplace / "out")
    twin = workplace / "photos" / "whole.toml"
    twin.write_text('extends = "../whole.toml"')
    for arguments, words in (
        ((pair[0], *out), "either --steps or --minutes"),
        ((pair[0], "--steps", 5, "--minutes", 1, *out), "either --steps or --minutes"),
        ((pair[0], "--steps", 5, "--seeds", "a", *out), "--seeds must be whole numbers"),
        ((pair[0], "--steps", 5, "--seeds", "1,1", *out), "--seeds must be distinct"),
        ((pair[0], "--steps", 5, "-o", twin), "cannot create"),
        ((pair[0], twin, "--steps", 5, *out), "same file name"),
        ((workplace / "none.toml", "--steps", 5, *out), "cannot read"),
    ):
        code, _, err = cli("ablate", *arguments)
        assert code == 2
        assert words in err
        assert err.count("\n") == 1
    pair[0].write_text(pair[0].read_text().replace("[run]", '[run]\ninit = "none.safetensors"'))
    code, _, err = cli("ablate", pair[0], "--steps", 5, *out)
    assert code == 1
    assert "whole-seed0 failed: mafdn: run.init: cannot read" in err


def test_plotting_a_folder_that_is_not_a_run_gives_a_one_line_error(tmp_path: Path, cli: Run) -> None:
    (tmp_path / "log.jsonl").write_text("nonsense")
    for run in (tmp_path / "none", tmp_path):
        code, _, err = cli("train", "plot", run, "-o", tmp_path / "c.png")
        assert code == 2
        assert err.count("\n") == 1
    assert not (tmp_path / "c.png").exists()
    (tmp_path / "log.jsonl").write_text('{"step": 1, "seconds": 1.0, "loss": 0.1}\n')
    code, _, err = cli("train", "plot", tmp_path, "-o", tmp_path / "none" / "c.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "none/c.png" in err
    fifo = tmp_path / "fifo.png"
    os.mkfifo(fifo)
    assert "not a regular file" in cli("train", "plot", tmp_path, "-o", fifo, "--overwrite")[2]
    assert fifo.is_fifo()
