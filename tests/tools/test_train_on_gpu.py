"""Pictures packed for a machine with a GPU, and the script that trains there."""

import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mafdn.errors import UsageError
from mafdn.training.config import read_config
from tests.conftest import ROOT
from tests.runs import config
from tools.pack_pictures import pack

RECORDING = """\
#!/bin/sh
if [ "$1" = - ]; then exec {python} "$@"; fi
echo "$@" >> {folder}/calls
case "$*" in
*"mafdn train"*) mkdir -p {folder}/work/run-x2/fork-00000003
  touch {folder}/work/run-x2/fork-00000003/log.jsonl {folder}/work/run-x2/step-00000003.safetensors ;;
esac
"""
"""An interpreter that only records commands, and leaves the files of a run."""
ZOOMED = """
[loss]
teacher = 1.0
[data]
teacher = "other"
zoomed = "elsewhere"
zoomed_share = 0.25
"""
"""The start of a configuration with zoomed pairs."""


def test_packed_pictures_are_the_same_again(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    contents = {f"{folder}/{number}.png": os.urandom(30_000 + number) for folder in "ba" for number in range(3)}
    for name, content in contents.items():
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(content)
    packs = pack(pictures, tmp_path / "packs", megabytes=0.1)
    assert [path.name for path in packs] == ["pictures-00.tar", "pictures-01.tar", "pictures-02.tar"]
    assert all(path.stat().st_size <= 100_000 for path in packs)
    for path in packs:
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = tmp_path / "unpacked"
    assert {p.relative_to(unpacked).as_posix(): p.read_bytes() for p in unpacked.rglob("*.png")} == contents
    again = pack(unpacked, tmp_path / "again", megabytes=0.1)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packs]


def test_a_picture_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "large.png").write_bytes(bytes(90_000))
    with pytest.raises(UsageError, match=r"large\.png does not fit into 0\.1 MB"):
        pack(tmp_path / "pictures", tmp_path / "packs", megabytes=0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="a script of bash")
@pytest.mark.parametrize("zoomed", [False, True])
def test_the_script_makes_what_the_configuration_needs(workplace: Path, zoomed: bool) -> None:
    path = config(workplace)
    if zoomed:
        path.write_text(path.read_text().replace("[data]", ZOOMED))
    python, work, out = workplace / "python", workplace / "work", workplace / "out"
    python.write_text(RECORDING.format(python=shlex.quote(sys.executable), folder=shlex.quote(str(workplace))))
    python.chmod(0o755)
    script = ["bash", "tools/train_on_gpu.sh", workplace / "photos", "teacher.pth", path, "7m", out]
    subprocess.run(script, cwd=ROOT, env=os.environ | {"PYTHON": str(python), "WORK": str(work)}, check=True)
    calls = [line.split()[2:] for line in (workplace / "calls").read_text().splitlines()]
    steps = ["bank build", "bank teach", *(["bank zoom"] if zoomed else []), "train", "export"]
    assert [" ".join(call[: 1 + (call[0] == "bank")]) for call in calls] == steps
    settings = read_config(work / "run.toml")
    assert (settings.data.bank, settings.data.teacher) == (str(work / "bank"), "teacher")
    assert settings.data.zoomed == (str(work / "zoomed") if zoomed else "")
    assert not zoomed or calls[2][-1] == settings.data.zoomed
    assert {file.name for file in out.iterdir()} == {"gpu.log", "log-x2.jsonl", "step-00000003.safetensors"}
