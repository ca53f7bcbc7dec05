"""`mafdn upscale` for films: options, output and errors."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mafdn import FilmProgress
from mafdn.cli.output import rough_duration
from tests.film import films
from tests.support import draw, failed

Run = Callable[..., tuple[int, str, str]]
FAST = ("--engine", "onnxruntime", "--threads", "1", "--preset", "ultrafast")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return films.make(tmp_path / "film.mp4", films.Film(frames=10, sounds=(films.Sound(),)))


@pytest.fixture
def upscale(cli: Run, exported: Path) -> Run:
    return lambda *arguments: cli("upscale", *arguments, "--network", exported, *FAST)


def test_a_film_and_its_summary(upscale: Run, film: Path) -> None:
    code, out, err = upscale(film)
    assert (code, err) == (0, "")
    target = film.with_name("film_x2.mp4")
    first, *others = out.splitlines()
    assert first.startswith(f"{target}: 64x48 to 128x96, 10 frames, x264 in mp4, 1 other stream copied, in ")
    assert first.endswith(" frames/s)")
    assert others[0].startswith("network: ")
    assert others[0].endswith(" in fp32")
    assert all(line.startswith("note: ") for line in others[1:])
    assert target.is_file()
    failed(upscale(film), 1, target, "exists; give another name or overwrite it (--overwrite)")
    assert upscale(film, "--overwrite", "--quiet") == (0, "", "")


def test_a_result_by_name_and_its_report(upscale: Run, film: Path) -> None:
    target = film.with_name("out.mkv")
    code, out, err = upscale(film, "-o", target, "--codec", "ffv1", "--json", "--scale", "3")
    failed((code, "", err), 2, "ffv1 has no presets")
    code, out, err = upscale(film, target, "--crf", "30", "--json", "--scale", "3", "--from", "0.1s", "--to", "0:00.3")
    assert (code, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    assert report["target"] == str(target)
    assert (report["new_size"], report["container"], report["frames"]) == ([192, 144], "mkv", 5)
    assert report["weights"] is None


def test_a_dry_run_estimates_the_time(upscale: Run, film: Path) -> None:
    code, out, err = upscale(film, "--dry-run", "--from", "0.2")
    assert (code, err) == (0, "")
    assert re.search(
        r"^estimate: 0\.1 megapixels of results, about \S+ (s|min) \(measured just now by upscaling a part of a frame "
        r"of one of the films; films take less where frames repeat; disk space is without 1 film\)$",
        out,
        re.MULTILINE,
    )
    report = json.loads(upscale(film, "--dry-run", "--json")[1])
    assert report["estimate"]["seconds"] > 0
    assert list(film.parent.iterdir()) == [film]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.002, "0.1 s"), (1.26, "1.3 s"), (89, "89 s"), (91, "1.5 min"), (4980, "83 min"), (5400, "1.5 h")),
        *((86_400, "24 h"), (1e6, "12 days"), (12_345_678, "140 days")),
    ],
)
def test_estimated_times_have_two_digits(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


def test_a_preview_has_a_name_of_its_own(upscale: Run, film: Path) -> None:
    assert upscale(film, "--preview", "0.2s", "--thumbnails", "-q")[0] == 0
    assert {path.name for path in film.parent.iterdir()} == {
        "film.mp4",
        "film_0s-0.2s_x2.mp4",
        "film_0s-0.2s_x2.mp4.before.png",
        "film_0s-0.2s_x2.mp4.after.png",
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90.5s", 90.5), ("1:30", 90), ("1:02:03.5", 3723.5), ("1m30s", 90), ("2h", 7200), ("1h1s", 3601)],
)
def test_times_are_read_in_many_ways(text: str, seconds: float) -> None:
    from mafdn.cli.options.film import _moment

    assert _moment(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1:2:3:4", "ten", "1e5", "nan", "1s2m"])
def test_other_times_are_refused(upscale: Run, film: Path, text: str) -> None:
    failed(upscale(film, f"--from={text}"), 2, "--from", "is not a time such as 90")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--quality", "90"), ("--quality is for pictures", "--crf")),
        (("--format", "png"), ("--format is for pictures", "--container")),
        (("--lossless",), ("--lossless is for pictures", "--codec ffv1")),
        (("--frame", "2"), ("--frame is for pictures", "--from and --to")),
        (("--strip-metadata",), ("--strip-metadata is for pictures",)),
        (("--rate", "25"), ("--rate is for films of numbered pictures",)),
        (("--verify",), ("--verify is for pictures",)),
        (("--codec", "h264"), ("unknown codec 'h264'", "x264")),
        (("--crf", "99"), ("crf must be between 0 and",)),
        (("--to", "1", "--preview", "1"), ("use either --to or --preview",)),
        (("--from", "3", "--to", "2"), ("must be later than start",)),
        (("--container", "webm", "--codec", "x264"), ("webm",)),
        (("-o", "-"), ("a film is not written to standard output",)),
    ],
)
def test_impossible_options_are_refused(
    upscale: Run, film: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    failed(upscale(film, *options), 2, *words)
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_options_for_films_are_none_for_a_picture(cli: Run, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png")
    for option, more in (("--codec", ["x264"]), ("--crf", ["0"]), ("--from", ["0"]), ("--deinterlace-fields", [])):
        failed(cli("upscale", picture, option, *more), 2, f"{option} is for films", picture)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--verify",), "--verify is for pictures"),
        (("--keep-print-size",), "--keep-print-size is for pictures"),
        (("--frame", "2"), "--frame is for pictures"),
        (("--codec", "x264"), "--codec is for films, and"),
        (("--thumbnails",), "--thumbnails is for films, and"),
        (("--format", "jpeg"), "%d.png does not end in .jpg"),
    ],
)
def test_impossible_options_of_numbered_pictures_are_refused(
    cli: Run, film: Path, options: tuple[str, ...], words: str
) -> None:
    failed(cli("upscale", film, film.with_name("%d.png"), *options), 2, words)
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_numbered_pictures_of_numbered_pictures_are_not_films(cli: Run, tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    for option, value in (("--preview", "2s"), ("--rate", "25"), ("--codec", "x264")):
        failed(
            cli("upscale", tmp_path / "%d.png", tmp_path / "out" / "%d.png", option, value), 2, f"{option} is for films"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]


def test_the_rate_of_films_in_a_folder_is_their_own(upscale: Run, film: Path) -> None:
    failed(upscale(film.parent, "-o", film.parent / "out", "--rate", "25"), 2, "--rate is for films of numbered")
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_films_in_a_folder(upscale: Run, film: Path) -> None:
    draw(film.with_name("a.png"))
    out = film.parent / "out"
    code, text, err = upscale(film.parent, "-o", out, "--codec", "x265", "--jsonl")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["event"] for event in events] == ["start", "picture", "picture", "end"]
    assert events[-1]["counts"]["done"] == 2
    assert events[-1]["settings"]["films"]["codec"] == "x265"
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {"a_x2.png", "film_x2.mp4"}
    code, text, _ = upscale(film.parent, "-o", out, "--codec", "x265")
    assert code == 0
    assert "0 upscaled, 2 up to date" in text


def test_without_the_extra_the_line_says_how_to_get_it(
    upscale: Run, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mafdn.film.libav.find_spec", lambda _: None)
    failed(upscale(film), 1, "film.mp4: to read and write films", 'pip install "mafdn[film]"')


def test_what_claims_to_be_a_film_fails_in_one_line(upscale: Run, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film")
    failed(upscale(path), 1, path)
    failed(upscale(tmp_path / "missing.mkv"), 1, "missing.mkv")
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]


def test_numbered_pictures(cli: Run, exported: Path, film: Path, tmp_path: Path) -> None:
    def upscale(*arguments: object) -> tuple[int, str, str]:
        return cli("upscale", *arguments, "--network", exported, "--engine", "onnxruntime")

    code, out, err = upscale(film, tmp_path / "out" / "%04d.webp", "--lossless", "--to", "0.2")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path}/out/%04d.webp: 64x48 to 128x96, 5 frames, WebP in WebP, in ")
    code, out, err = upscale(tmp_path / "out" / "%04d.webp", "-o", tmp_path / "again.mkv", "--rate", "24")
    assert (code, err) == (0, "")
    assert (tmp_path / "again.mkv").is_file()
    code, out, err = upscale(tmp_path / "out" / "%04d.webp", tmp_path / "more" / "%04d.png")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "more").glob("*.png")) == [f"{n:04d}.png" for n in range(1, 6)]
    failed(upscale(tmp_path / "out" / "%04d.webp", tmp_path / "more" / "%d.png"), 2, "use -o", "more/%04d.png")
    failed(upscale(tmp_path / "none" / "%d.png", tmp_path / "film2.mp4"), 1, "none")
    failed(upscale(tmp_path / "out" / "%04d.webp"), 2, "give the name of a film")


def test_a_log_gets_a_line_of_progress_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mafdn.cli import film as module

    at = FilmProgress(phase="frames", name="film.mp4", done=3, total=9, frames_per_second=1.5, remaining_seconds=4.0)
    module._lines(quiet=False)(at)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    module._lines(quiet=False)(at)
    assert capsys.readouterr().err == "film.mp4: 3 of 9 frames, 1.50 frames/s, 4 s left\n"
    module._lines(quiet=True)(at)
    assert capsys.readouterr().err == ""
