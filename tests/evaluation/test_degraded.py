"""Benchmark datasets with degraded LR pictures, from the command line and from Python."""

import json
from pathlib import Path

import numpy as np
import pytest

import mafdn
from mafdn import UsageError
from mafdn.degradation.chain import Degradation, parse_degradation
from mafdn.evaluation import benchset
from mafdn.evaluation.benchset import Protocol, read_bench
from mafdn.evaluation.scoring import evaluate
from mafdn.pixels import imresize
from tests.conftest import Run
from tests.evaluation.conftest import noise, write_picture
from tests.support import failed

X2 = Protocol(scale=2)


def chain(text: str) -> Degradation:
    found = parse_degradation(text)
    assert found is not None
    return found


@pytest.mark.parametrize("own", [False, True])
def test_the_lr_pictures_are_degraded_wherever_they_come_from(bench: Path, own: bool) -> None:
    if own:
        for number, name in enumerate("abc"):
            write_picture(bench / "LRbicx2" / f"{name}.png", noise(5 + number, 24, 24)[:20])
    clean = list(read_bench(bench, 2))
    step = chain("noise:4+jpeg:60")
    degraded = list(read_bench(bench, 2, degrade=step))
    for before, after in zip(clean, degraded, strict=True):
        assert np.array_equal(after.lr, step.apply(before.lr, name=before.name))
        assert np.array_equal(after.hr, before.hr)
        assert after.hr_sha256 == before.hr_sha256
        assert own != np.array_equal(before.lr, imresize(before.hr, 0.5))


def test_every_dataset_is_measured_with_every_degradation(bench: Path, cli: Run, tmp_path: Path) -> None:
    write_picture(tmp_path / "Other" / "d.png", noise(8))
    chains = ["none", "jpeg:30", "messenger"]
    options = [word for text in chains for word in ("--degrade", text)]
    table = tmp_path / "table.md"
    arguments = ("evaluate", "--bench", bench, "--bench", tmp_path / "Other", "-s", 2, "--network", "lanczos", *options)
    code, out, _ = cli(*arguments, "--json", "-o", table)
    assert code == 0
    report = json.loads(out)
    names = ["Small", "Small jpeg:30", "Small messenger", "Other", "Other jpeg:30", "Other messenger"]
    scores = {(s["network"], s["bench"]): s for s in report["scores"]}
    assert list(scores) == [(network, name) for name in names for network in ("bicubic", "lanczos")]
    for network in ("bicubic", "lanczos"):
        clean, coarse, sent = (scores[network, name] for name in names[:3])
        assert clean["mean"]["psnr"] > sent["mean"]["psnr"] > coarse["mean"]["psnr"]
        assert (clean.get("degrade"), coarse["degrade"], sent["degrade"]) == (None, "jpeg:30", "messenger")
        assert [s["lr"]["degrade"] for s in (clean, coarse, sent)] == ["", "jpeg:30", chain("messenger").spec]
        assert len({s["lr"]["sha256"] for s in (clean, coarse, sent)}) == 3
        assert len({s["hr_sha256"] for s in (clean, coarse, sent)}) == 1
    for name in names:
        assert scores["bicubic", name]["lr"] == scores["lanczos", name]["lr"], "the baseline gets the same pictures"
    pooled = [(d["degrade"], d["pictures"]) for d in report["differences"] if d["bench"] is None]
    assert pooled == [("", 4), ("jpeg:30", 4), ("messenger", 4)]
    assert report["notes"] == ["grayscale pictures were measured as RGB with three equal channels: Small/c"]
    written = table.read_text()
    assert written.startswith(f"| Network | Scale | Params | Multi-Adds | {' | '.join(names)} |\n")
    assert f"- x2, Other messenger: LR made by bicubic reduction, degraded by {chain('messenger').spec}, " in written
    text = cli(*arguments)[1]
    for words in ("Small jpeg:30 x2", "all datasets jpeg:30", "degraded by jpeg:30, SHA-256"):
        assert words in text


def test_scores_are_cached_for_their_degradation(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = [None, chain("jpeg:40")]
    first = evaluate(["bicubic"], [bench], X2, degrade=two)
    assert first[0].psnr != first[1].psnr
    steps: list[tuple[int, int]] = []
    assert evaluate(["bicubic"], [bench], X2, degrade=two, on_progress=lambda *step: steps.append(step)) == first
    assert evaluate(["bicubic"], [bench], X2) == first[:1]
    assert steps == []
    evaluate(["bicubic"], [bench], X2, degrade=[chain("jpeg:41")], on_progress=lambda *step: steps.append(step))
    assert len(steps) == 3
    monkeypatch.setattr(Degradation, "fingerprint", lambda self: [self.spec, "another encoder"])
    evaluate(["bicubic"], [bench], X2, degrade=two, on_progress=lambda *step: steps.append(step))
    assert len(steps) == 6, "only the degraded set is measured again"


def test_the_same_from_python(bench: Path, cli: Run) -> None:
    def cubic(lr: np.ndarray) -> np.ndarray:
        return imresize(lr, 2)

    result = mafdn.evaluate({"named": "bicubic", "function": cubic}, bench, scale=2, degrade=["noise:5", "none"])
    assert result.benches == ("Small noise:5", "Small")
    for name in result.benches:
        assert result.score("named", name).pictures == result.score("function", name).pictures
        assert result.score("named", name).lr == result.score("function", name).lr
    (alone,) = mafdn.evaluate("bicubic", bench, scale=2, degrade="noise:5").scores
    assert alone.pictures == result.score("named", "Small noise:5").pictures
    code, out, _ = cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--degrade", "noise:5", "--json")
    assert code == 0
    assert json.loads(out)["scores"][0]["mean"]["psnr"] == alone.psnr
    for wrong in (5, ["jpeg:75", None]):
        with pytest.raises(UsageError, match="degrade must be a string such as 'jpeg:75'"):
            mafdn.evaluate("bicubic", bench, degrade=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="degradation 'jpeg:0'"):
        mafdn.evaluate("bicubic", bench, degrade="jpeg:0")


def test_strips_and_saved_results_are_of_the_degraded_pictures(
    bench: Path, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Degradation | None] = []

    def recorded(*arguments: object, degrade: Degradation | None = None, **rest: object) -> object:
        asked.append(degrade)
        return read_bench(*arguments, degrade=degrade, **rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("mafdn.evaluation.scoring.read_bench", recorded)
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--degrade", "none", "--degrade", "old")
    strip = ("--strip", tmp_path / "strip.png", "--crop", "Small old/a:0,0,16,16")
    code, _, error = cli(*arguments, "--save", tmp_path / "out", *strip)
    assert (code, asked) == (0, [chain("old")]), error
    assert (tmp_path / "out" / "lanczos" / "Small_old" / "x2" / "a.png").is_file()
    assert (tmp_path / "strip.png").is_file()


def test_wrong_degradations_are_refused_before_any_work(bench: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchset, "find_bench", lambda *_, **__: pytest.fail("a dataset was read"))
    for command in ("evaluate", "compare"):
        failed(cli(command, "--bench", bench, "--degrade", "jpeg:101"), 2, "degradation 'jpeg:101': jpeg needs")


def test_a_comparison_with_degraded_pictures(bench: Path, cli: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    arguments = ("compare", "--bench", bench, "-s", 2, "--network", "bicubic", "--network", "lanczos", "--rounds", 0)
    code, out, error = cli(*arguments, "--degrade", "none", "--degrade", "jpeg:30", "--report", report)
    assert code == 0, error
    assert "degraded by jpeg:30, SHA-256" in out
    text = report.read_text()
    assert "--degrade none --degrade jpeg:30" in text
    (line,) = (line for line in text.splitlines() if line.startswith("Small jpeg:30: "))
    assert line.startswith("Small jpeg:30: LR pictures made by bicubic reduction, degraded by jpeg:30, SHA-256 of ")
    data = json.loads((tmp_path / "report" / "compare.json").read_text())
    assert list(data["rows"][0]["scores"]) == ["Small", "Small jpeg:30"]
