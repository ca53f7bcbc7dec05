"""Packages, their audit, and the list of what is shipped."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from mafdn.weights.shipped import weights_folder
from tests.conftest import ROOT
from tools.audit import judge
from tools.packages import IN_SOURCES, IN_WHEEL, PackageError, build_checked, put, refuse_others
from tools.sbom import license_table

OFFLINE = re.compile(r"connection broken|NewConnectionError|NameResolutionError|[Cc]onnect error|dns error")
"""What pip, pipx and uv say when they reach no package index."""
FAULT = {"id": "PYSEC-1", "fix_versions": ["2.1"]}


def test_files_that_do_not_belong_into_a_package_are_refused() -> None:
    good = ["mafdn/api.py", "mafdn-0.1.0.data/data/share/man/man1/mafdn.1"]
    good += [f"mafdn/weights/{path.name}" for path in weights_folder().iterdir()]
    refuse_others("a.whl", good, IN_WHEEL)
    for name in ("tests/test_api.py", "mafdn/notes.txt", "mafdn/__pycache__/api.cpython-311.pyc", "runs/a.onnx"):
        with pytest.raises(PackageError, match=r"a\.whl has files that do not belong into it"):
            refuse_others("a.whl", [*good, name], IN_WHEEL)
    with pytest.raises(PackageError, match=r"docs/tiles\.md"):
        refuse_others("a.tar.gz", ["src/mafdn/api.py", "docs/tiles.md"], IN_SOURCES)


@pytest.mark.parametrize(
    ("dependencies", "complaint", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "", 0, "1 packages were audited, 0 faults"),
        ([{"name": "a", "version": "1", "vulns": [FAULT]}], "", 1, "a 1: PYSEC-1, fixed in 2.1"),
        ([{"name": "a", "skip_reason": "not found"}], "", 0, "cannot be reached"),
        ([], "ConnectionError: no route", 0, "cannot be reached"),
        ([], "invalid requirement", 1, "invalid requirement"),
    ],
)
def test_an_audit_fails_for_faults_and_not_for_a_missing_database(
    dependencies: list[dict[str, Any]], complaint: str, code: int, words: str
) -> None:
    text, found = judge(dependencies, complaint)
    assert (found, words in text) == (code, True)


def test_licenses_are_listed_as_stated() -> None:
    components = [
        {"name": "b", "version": "2", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Zlib"}}]},
        {"name": "a", "version": "1", "licenses": [{"expression": "BSD-3-Clause"}]},
        {"name": "c", "version": "3"},
        {"name": "mafdn", "version": "0"},
    ]
    table = license_table({"components": components})
    rows = ["| a | 1 | BSD-3-Clause |", "| b | 2 | MIT, Zlib |", "| c | 3 | not stated |"]
    assert table.splitlines()[-3:] == rows


def test_packages_of_other_versions_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    packages = [tmp_path / "built" / name for name in ("mafdn-2.tar.gz", "mafdn-2-py3-none-any.whl")]
    for path in (*packages, tmp_path / "mafdn-1-py3-none-any.whl", tmp_path / "mafdn-1.tar.gz", tmp_path / "sbom.json"):
        path.write_text("")
    assert put(packages, tmp_path) == [tmp_path / path.name for path in packages]
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"mafdn-2.tar.gz", "mafdn-2-py3-none-any.whl", "sbom.json"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lists_every_target() -> None:
    listed = subprocess.run(["make", "--no-print-directory", "-C", ROOT], capture_output=True, text=True, check=True)
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    assert {line.split()[0] for line in listed.stdout.splitlines()} == targets
    assert set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()) == targets


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, checked as `make packages` does."""
    sources, wheel = build_checked(tmp_path_factory.mktemp("packages"))
    assert (sources.suffix, wheel.suffix) == (".gz", ".whl")
    return wheel


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_a_bare_install_upscales_without_torch(wheel: Path, version: str, tmp_path: Path) -> None:
    python = _works(f"python{version}")
    _run(python, "-m", "venv", tmp_path / "bare")
    _run(tmp_path / "bare/bin/pip", "install", wheel)
    assert not list((tmp_path / "bare").glob("lib/*/site-packages/torch"))
    _upscales(tmp_path, tmp_path / "bare/bin/mafdn")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pipx_runs_and_installs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    pipx = _works("pipx")
    _upscales(tmp_path, pipx, "run", "--no-cache", "--spec", wheel, "mafdn")
    _run(pipx, "install", wheel, **{f"PIPX_{n}": str(tmp_path / n) for n in ("HOME", "BIN_DIR", "MAN_DIR")})
    _upscales(tmp_path, tmp_path / "BIN_DIR/mafdn")
    assert (tmp_path / "MAN_DIR/man1/mafdn.1").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_uvx_runs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    _upscales(tmp_path, _works("uvx"), "--from", wheel, "mafdn")


def _works(name: str) -> str:
    """A program that is installed; one that is not skips the test, and so does an empty shim of a version manager."""
    found = shutil.which(name)
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"{name} is not installed")
    return found


def _upscales(folder: Path, *command: str | Path) -> None:
    """Upscale a small picture by a command of `mafdn`."""
    for path in folder.glob("photo*"):
        path.unlink()
    PIL.Image.new("RGB", (24, 16), (90, 140, 30)).save(folder / "photo.png")
    _run(*command, "upscale", folder / "photo.png")
    with PIL.Image.open(folder / "photo_x4.png") as picture:
        assert picture.size == (96, 64)


def _run(*command: str | Path, **variables: str) -> None:
    """Run a command without the sources of this checkout in Python's path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode and OFFLINE.search(said):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, said
