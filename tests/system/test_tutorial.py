"""The tutorial: every command of docs/tutorial.md, in order, in a copy of what a clone contains."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SHARED

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCKS = re.compile(r"(?<!<!-- not run by the tests -->\n)^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMDN = SHARED / "peers" / "IMDN_x2.pth"


def commands() -> str:
    """All commands of the tutorial that can be run."""
    return "\n".join(BLOCKS.findall(TUTORIAL.read_text("utf-8")))


def run_tutorial(folder: Path, **variables: str) -> str:
    """Run the tutorial in `folder` and return its output; it ends at the first command that fails."""
    for name in ("samples", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    command = folder / "bin" / "mafdn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mafdn "$@"\n')
    command.chmod(0o755)
    packages = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": packages, "OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_tutorial_uses_only_what_is_in_the_repository() -> None:
    text = commands()
    assert "pip install" not in text
    assert text.count("mafdn train ") == 4
    for name in re.findall(r"\b(?:samples|configs)/[\w./-]+", text):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("imdn", [True, False], ids=["with IMDN", "without IMDN"])
def test_the_tutorial_goes_from_a_clone_to_a_table(tmp_path: Path, imdn: bool) -> None:
    if imdn and not IMDN.is_file():
        pytest.skip(f"needs the released weights in {IMDN}")
    output = run_tutorial(tmp_path, **({"IMDN": str(IMDN)} if imdn else {}))
    runs = tmp_path / "runs"
    stopped = re.search(r"stopped at (\d+) of 60", output)
    assert stopped, output
    assert 20 <= int(stopped[1]) < 60
    assert "exit code 130" in output
    assert f"resuming from step {stopped[1]}" in output
    assert "finished: 60 of 60" in output
    assert (runs / "curves.pdf").read_bytes().startswith(b"%PDF-")
    assert (runs / "flowers_x2.png").stat().st_size > 100_000
    assert ("skipped: IMDN" in output) is not imdn
    with (runs / "scores.csv").open() as file:
        scored = {row["network"] for row in csv.DictReader(file)}
    expected = {"bicubic", "tutorial", "mafdn-x2", *(["IMDN_x2"] if imdn else [])}
    assert scored == expected
    table = (runs / "table.tex").read_text("utf-8")
    assert r"\toprule" in table
    assert table.count(r"\textbf") >= 1
    for name in expected:
        assert name.replace("_", r"\_") in table
        assert name in (runs / "table.md").read_text("utf-8")
