"""Making the figures of README and docs again."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mafdn.errors import MafdnError, UsageError, WeightsError
from tests.conftest import ROOT
from tools.degraded.pictures import drawings
from tools.documents.weights import RESULTS
from tools.reproduce import parts
from tools.reproduce.__main__ import NOT_MADE, Outcome, main, show_list, store
from tools.reproduce.comparing import Difference, differences
from tools.reproduce.parts import COSTS, PARTS, Data, UnavailableError, costs, documents, int8, scores
from tools.reproduce.pictures import PICTURES, compare_drawings, compare_pictures, comparison_plots, drawn_plots, plots
from tools.reproduce.timings import TIMINGS, ratios

STORED: dict[str, Any] = {
    "bench": "Set5",
    "mean": {"psnr": 30.0, "ssim": 0.9},
    "pictures": [{"name": "a", "psnr": 30.0}],
}


def changed(**values: Any) -> dict[str, Any]:
    return json.loads(json.dumps(STORED)) | values


def test_values_are_compared_within_their_tolerance() -> None:
    assert differences(STORED, changed(mean={"psnr": 30.0049, "ssim": 0.90009})) == []
    found = differences(STORED, changed(mean={"psnr": 30.0051, "ssim": 0.9002}))
    assert [difference.place for difference in found] == ["mean.psnr", "mean.ssim"]
    assert str(found[0]) == "mean.psnr: stored 30.0000, made 30.0051"
    picture = differences(STORED, changed(pictures=[{"name": "a", "psnr": 31.0}]))
    assert [difference.place for difference in picture] == ["pictures.a.psnr"]
    assert str(differences(STORED, changed(pictures=[]))[0]) == "pictures: stored 1 entries, made 0 entries"


def test_counts_and_texts_must_be_equal() -> None:
    assert str(differences({"parameters": 597_072}, {"parameters": 597_073})[0]) == (
        "parameters: stored 597072, made 597073"
    )
    assert differences({"sha256": "ab"}, {"sha256": "ac"})
    assert differences({"a": 1}, {}) != []
    assert differences({"a": 1, "machine": "x"}, {"a": 1, "machine": "y"}, ignore=frozenset({"machine"})) == []
    assert differences({"psnr": None}, {"psnr": None}) == []
    assert differences({"psnr": None}, {"psnr": 40.0}) != []
    assert differences({"ships": True}, {"ships": False}) != []


def test_the_costs_in_the_documents_are_those_of_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "build", cache(parts.build))
    monkeypatch.setattr(parts, "count_costs", cache(parts.count_costs))
    data = Data(shared=tmp_path)
    assert costs(data) == []
    (tmp_path / "docs").mkdir()
    text = (ROOT / "docs" / "research.md").read_text("utf-8").replace("| 597,072 |", "| 597,073 |")
    (tmp_path / "docs" / "research.md").write_text(text, "utf-8")
    (found,) = costs(Data(shared=tmp_path, project=tmp_path))
    assert (found.place, found.stored[0], found.made[0]) == ("x4", "597,073", "597,072")
    (tmp_path / "docs" / "research.md").write_text("no tables", "utf-8")
    assert len(costs(Data(shared=tmp_path, project=tmp_path))) == len(COSTS)


def test_documents_and_plots_are_those_of_the_stored_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mafdn.compare.report.PLOT_FORMATS", (".svg",))  # the others are not compared
    data = Data(shared=tmp_path)
    assert documents(data) == []
    assert plots(data) == []
    assert comparison_plots(data) == []


def test_pictures_and_drawings_that_differ_are_named(tmp_path: Path) -> None:
    def picture(name: str, level: int, side: int = 8) -> Path:
        path = tmp_path / name
        pyvips.Image.new_from_array(np.full((side, side, 3), level, np.uint8)).pngsave(str(path))
        return path

    stored = picture("stored.png", 100)
    assert list(compare_pictures("p", stored, picture("near.png", 101))) == []
    assert str(*compare_pictures("p", stored, picture("far.png", 110))).endswith("differs by 10.0 levels on average")
    assert str(*compare_pictures("p", stored, picture("large.png", 100, 9))) == "p: stored 8x8, made 9x9"
    assert len(list(compare_pictures("p", tmp_path / "none.png", stored))) == 1

    def drawing(name: str, text: str) -> Path:
        (tmp_path / name).write_text(f"<svg><metadata>{name}</metadata>{text}</svg>")
        return tmp_path / name

    line = drawing("line.svg", '<path d="M 1.0 2.5"/>')
    assert list(compare_drawings("d", line, drawing("near.svg", '<path d="M 1.2 2.5"/>'))) == []
    assert str(*compare_drawings("d", line, drawing("far.svg", '<path d="M 1.0 4.5"/>'))).endswith("by up to 2.0")
    assert str(*compare_drawings("d", line, drawing("other.svg", "<g/>"))).endswith("one of other elements")


def test_what_is_not_there_is_skipped_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnavailableError, match=r"there is no .*Set5 \(docs/data.md\)"):
        scores(Data(shared=tmp_path), 4)
    assert main(["--only", "evaluate-x4", "--only", "gates", "--shared", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "evaluate-x4: skipped" in out
    assert out.rstrip().splitlines()[-1].startswith("0 same, 0 differ, 2 skipped; ")
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])


def test_a_part_that_differs_gives_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PARTS, "costs", lambda _: differences({"psnr": 30.0}, {"psnr": 31.0}))
    assert main(["--only", "costs", "--shared", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "costs: differs" in out
    assert "  psnr: stored 30.0000, made 31.0000" in out
    assert out.rstrip().endswith("differ: costs")


@pytest.mark.parametrize(("error", "code"), [(WeightsError("x4 is damaged"), 1), (UsageError("there is no engine"), 0)])
def test_damaged_files_differ_and_missing_engines_are_skipped(
    error: MafdnError, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Data) -> list[Difference]:
        raise error

    monkeypatch.setitem(PARTS, "costs", fail)
    assert main(["--only", "costs", "--shared", str(tmp_path)]) == code
    assert str(error) in capsys.readouterr().out


def test_int8_files_that_are_lost_differ_and_those_that_never_shipped_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.reproduce.parts.int8_file", lambda path: tmp_path / path.name)
    (lost,) = int8(Data(shared=tmp_path), "x4")
    assert str(lost) == "file: stored mafdn-x4-int8.onnx, made no file"
    with pytest.raises(UnavailableError, match="no int8 ships of x2"):
        int8(Data(shared=tmp_path), "x2")


def test_stored_outcomes_say_how_long_a_part_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Data(shared=tmp_path, project=tmp_path)
    (tmp_path / RESULTS).mkdir(parents=True)
    show_list(data)
    assert "times of" not in capsys.readouterr().out
    store([Outcome(name="costs", result="same", seconds=3.4), Outcome(name="gates", result="differs", seconds=9)], data)
    store([Outcome(name="gates", result="same", seconds=600.2)], data)
    show_list(data)
    out = capsys.readouterr().out
    assert re.search(r"^  costs +3 s  ", out, re.MULTILINE)
    assert re.search(r"^  gates +600 s  ", out, re.MULTILINE)
    assert "times of the last stored run" in out
    stored = json.loads((tmp_path / RESULTS / "reproduce.json").read_text("utf-8"))
    assert [part["name"] for part in stored["parts"]] == ["costs", "gates"]


def test_timings_are_ratios() -> None:
    assert list(ratios({"a": 2.0, "b": 1.0}, {"a": 3.0, "c": 1.0})) == ["a: 1.50 times the stored value"]


def test_every_stored_measurement_belongs_to_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    for name in (*PARTS, *PICTURES, *TIMINGS, *NOT_MADE):
        assert f"  {name}" in out
    not_made = {name for names in NOT_MADE for name in names.split(", ")}
    covered = {*PARTS, *PICTURES, *TIMINGS, *not_made, "upscale-6mp-x4", "reproduce"}
    assert {path.stem for path in (ROOT / RESULTS).glob("*.json")} <= covered


def test_every_picture_of_the_documents_belongs_to_a_part(tmp_path: Path) -> None:
    made = {*drawn_plots(Data(shared=tmp_path)), *drawings(tmp_path, tmp_path), "before_after.jpg"}
    not_made = {name for names in NOT_MADE for name in names.split(", ")}
    pictures = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".jpg", ".svg")}
    assert pictures == made | {name for name in not_made if Path(name).parent == Path() and Path(name).suffix}


@pytest.mark.slow
@pytest.mark.usefixtures("datasets")
@pytest.mark.parametrize("scale", [4])
def test_the_stored_scores_are_reproduced(shared: Path, scale: int) -> None:
    assert scores(Data(shared=shared), scale) == []
