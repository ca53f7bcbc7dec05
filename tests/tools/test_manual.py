"""The manual, the man page and the completions: made of the definitions, and every command in documents exists."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import mafdn
from tests.conftest import ROOT
from tools.man_page import FOLDER, VARIABLES, made
from tools.manual.commands import Command, all_commands
from tools.manual.hooks import on_page_content, relinked

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
NOT_RUN = "<!-- not run by the tests -->"
BLOCK = re.compile(rf"({NOT_RUN}\n)?^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_ELSEWHERE = {"python.md", "hosts.md"}
"""Documents whose Python code other tests run."""
COMMANDS = {command.path: command for command in all_commands()}


def blocks(path: Path, language: str) -> list[tuple[bool, str]]:
    """The code blocks of a document in a language, and whether each is marked as not run."""
    found = BLOCK.findall(path.read_text("utf-8"))
    return [(bool(marked), code) for marked, name, _, code in found if name == language]


def calls(code: str) -> list[list[str]]:
    """The words of every call of `mafdn` in a block of shell commands."""
    lines = code.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if re.match(r"\s*(\S+ )?(\S*/)?mafdn ", line)]
    return [line[next(i for i, word in enumerate(line) if word.split("/")[-1] == "mafdn") + 1 :] for line in words]


def command_of(words: list[str]) -> Command | None:
    two, one = f"mafdn {' '.join(words[:2])}", f"mafdn {words[0]}"
    return COMMANDS.get(two) or COMMANDS.get(one) or COMMANDS.get(f"{one} run")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_in_a_document_exists(path: Path) -> None:
    for _, code in blocks(path, "sh"):
        for words in calls(code):
            if words[0] in ("--help", "--version", "COMMAND"):
                continue
            command = command_of(words)
            assert command, f"{path.name}: mafdn {' '.join(words)}"
            for word in words:
                name = word.partition("=")[0]
                if re.fullmatch(r"--?[a-zA-Z][\w-]*", name):
                    assert name in command.options, f"{path.name}: {command.path} has no {name}"


@pytest.mark.parametrize(
    "path", [p for p in DOCUMENTS if blocks(p, "python") and p.name not in RUN_ELSEWHERE], ids=lambda p: p.name
)
def test_the_python_code_of_documents_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photo.png", "photos/a.jpg"):
        pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / name)
    names: dict[str, Any] = {"array": np.zeros((20, 24, 3), np.uint8), "PIL": PIL, "mafdn": mafdn}
    for marked, code in blocks(path, "python"):
        lines = [line for line in code.splitlines() if "sys.stdin" not in line]
        code = "\n".join(lines).replace("fit=(3840, 2160)", "fit=(96, 80)")
        if not marked:
            exec(compile(code, path.name, "exec"), names)
            (tmp_path / "photo_x4.jpg").unlink(missing_ok=True)
    if path.name == "game-textures.md":
        assert names["larger"].shape == (80, 96, 3)


def test_man_page_and_completions_are_up_to_date() -> None:
    for name, text in made().items():
        assert (FOLDER / name).read_text("utf-8") == text, f"run python -m tools.man_page for {name}"


def test_the_man_page_has_every_environment_variable() -> None:
    sources = (ROOT / "src").rglob("*.py")
    named = {name for path in sources for name in re.findall(r"\bMAFDN_[A-Z]+\b", path.read_text("utf-8"))}
    assert named == set(VARIABLES)


def test_the_man_page_has_no_warnings() -> None:
    page = FOLDER / "man" / "man1" / "mafdn.1"
    checks = {"mandoc": ["mandoc", "-Tlint", "-W", "warning", page], "man": ["man", "--warnings", "-l", "-Z", page]}
    found = {name: command for name, command in checks.items() if shutil.which(name)}
    if not found:
        pytest.skip("neither mandoc nor man is installed")
    for command in found.values():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        complaints = done.stdout if command[0] == "mandoc" else done.stderr
        assert (done.returncode, complaints) == (0, "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mafdn up", {"upscale"}),
        ("mafdn upscale --ens", {"--ensemble"}),
        ("mafdn bank te", {"teach"}),
        ("mafdn bank teach --net", {"--network"}),
    ],
)
def test_bash_completes_commands_and_options(line: str, expected: set[str]) -> None:
    words = line.split(" ")
    script = (
        f". {shlex.quote(str(FOLDER / 'bash-completion/completions/mafdn'))}\n"
        f"COMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n_mafdn\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert set(done.stdout.split()) == expected


def test_links_are_rewritten_to_their_place_in_the_manual() -> None:
    text = "[a](../SECURITY.md#x) [b](tiles.md) [c](../configs/example.toml) [d](https://a.b/c.md) [e](#f)"
    linked = "[a](security.md#x) [b](tiles.md) [c](configs/example.toml) [d](https://a.b/c.md) [e](#f)"
    assert relinked(text, "docs/photo.md", "photo.md") == linked
    assert relinked("[a](docs/tiles.md)", "README.md", "readme.md") == "[a](tiles.md)"
    assert relinked("[a](../docs/data.md)", "samples/README.md", "samples.md") == "[a](data.md)"


def test_options_stay_on_one_line_in_the_manual() -> None:
    html = on_page_content("<td><code>mafdn export x4 --plain</code> a -- b --c</td><pre><code><b>--d</b></code></pre>")
    assert html.count("nowrap") == 1
    assert '<span style="white-space: nowrap">--plain</span></code>' in html


@pytest.mark.slow
def test_the_manual_is_built_strictly_and_needs_no_other_site(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="MkDocs is not installed (docs extra)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=\"(https?:[^\"]*)\"", text)
        loaded += re.findall(r"<link[^>]*rel=\"(?:stylesheet|preconnect)\"[^>]*href=\"(https?:[^\"]*)\"", text)
        assert loaded == [], page.name
    assert "mafdn upscale" in (tmp_path / "reference" / "commands.html").read_text("utf-8")
    assert "mafdn.upscale_file" in (tmp_path / "reference" / "api.html").read_text("utf-8")
