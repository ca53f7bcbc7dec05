"""The cache of scores."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mafdn.evaluation import cache, methods
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.cache import entry_key
from mafdn.evaluation.scoring import evaluate
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from tests.conftest import Run
from tests.evaluation.conftest import noise, write_picture
from tests.support import without_torch

X2 = Protocol(scale=2)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks opened during the test."""
    log: list[str] = []
    open_method = methods.open_method

    def logged(network: str, **rest: Any) -> object:
        log.append(network)
        return open_method(network, **rest)

    monkeypatch.setattr("mafdn.evaluation.scoring.open_method", logged)
    return log


def test_nothing_is_measured_twice(bench: Path, network: Path, opened: list[str], tmp_path: Path) -> None:
    asked = ["bicubic", str(network)]
    notes: list[str] = []
    first = evaluate(asked, [bench], X2, on_note=notes.append)
    assert opened == asked
    seen: list[tuple[int, int]] = []
    second = evaluate(asked, [bench], X2, on_progress=lambda *step: seen.append(step), on_note=notes.append)
    assert (second, opened, seen) == (first, asked, [])
    assert notes[0] == notes[1]
    assert evaluate(asked, [bench], X2, fresh=True, on_progress=lambda *step: seen.append(step)) == first
    assert seen == [(n, 6) for n in range(1, 7)]
    opened.clear()
    copy = tmp_path / "copy" / "Small"
    copy.mkdir(parents=True)
    for path in bench.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert [replace(s, bench="Small") for s in evaluate(asked, [bench, copy], X2)] == [*first, *first]
    assert opened == [], "a set is known by its bytes"


def test_anything_that_changes_scores_invalidates_them(
    bench: Path, network: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["bicubic", str(network)]
    evaluate(asked, [bench], X2)

    def measured_anew(protocol: Protocol = X2) -> list[str]:
        opened.clear()
        evaluate(asked, [bench], protocol)
        return opened

    assert measured_anew(replace(X2, channels="rgb")) == asked
    assert measured_anew(replace(X2, self_ensemble=True)) == asked[1:]
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)).fold(), network, card={})
    assert measured_anew() == asked[1:]
    monkeypatch.setattr(cache, "engine_label", lambda *_: "torch 9")
    assert measured_anew() == asked[1:]
    (bench / "a.png").rename(bench / "d.png")
    assert measured_anew() == asked
    write_picture(bench / "d.png", noise(9))
    assert measured_anew() == asked
    for name in "bcd":
        write_picture(bench / "LRbicx2" / f"{name}.png", noise(9, 24, 24)[:20])
    assert measured_anew() == asked
    monkeypatch.setattr(cache, "MEASURING", cache.MEASURING + 1)
    assert measured_anew() == asked
    assert measured_anew() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pictures": [], "grey": []}', '{"pictures": [{"name": "a"}]}'])
def test_a_damaged_entry_is_measured_again(bench: Path, content: str) -> None:
    (first,) = evaluate(["bicubic"], [bench], X2)
    (entry,) = cache.entries_folder().iterdir()
    entry.write_text(content)
    assert evaluate(["bicubic"], [bench], X2) == [first]
    assert json.loads(entry.read_text())["grey"] == ["c"]


def test_an_unwritable_cache_is_a_note(bench: Path, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAFDN_CACHE", str(tmp_path / "file"))
    (bench / "c.png").unlink()
    code, out, err = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos")
    assert code == 0
    assert "lanczos dB" in out
    assert err.startswith("note: scores could not be cached")
    assert err.count("\n") == 1


def test_a_second_run_needs_no_torch(bench: Path, network: Path, cli: Run) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", network, "--json")
    first = cli(*arguments)
    assert first[0] == 0
    done = without_torch(*arguments)
    assert (done.returncode, done.stdout) == (0, first[1])
    done = without_torch(*arguments, "--no-cache")
    assert (done.returncode, done.stderr) == (
        1,
        f'mafdn: measuring {network} needs torch: pip install "mafdn[train]"\n',
    )


def test_infinite_scores_are_kept(bench: Path, opened: list[str]) -> None:
    write_picture(bench / "a.png", np.full((40, 48, 3), 7, np.uint8))
    first = evaluate(["bicubic"], [bench], X2)
    assert first[0].pictures[0].psnr == math.inf
    assert evaluate(["bicubic"], [bench], X2) == first
    assert opened == ["bicubic"]


def test_weights_beside_an_onnx_file_are_part_of_its_entry(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    model = onnx.load(exported)
    onnx.save(model, path, save_as_external_data=True, location="numbers.bin", size_threshold=0)
    protocol = Protocol(scale=4)
    before = entry_key(str(path), "set", protocol)
    assert entry_key(str(path), "set", protocol) == before
    content = bytearray((tmp_path / "numbers.bin").read_bytes())
    content[40] ^= 1
    (tmp_path / "numbers.bin").write_bytes(content)
    assert entry_key(str(path), "set", protocol) != before
