"""What names on the command line mean: pasted paths, URLs, and `-o` for a file or a folder."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

import mafdn
from mafdn import UsageError
from mafdn.cli.inputs import as_typed
from mafdn.cli.options.values import option_path
from mafdn.pictures.codecs.foreign.unsupported import FILM_SUFFIXES
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import is_picture_name
from tests.conftest import Run
from tests.support import Repeat, draw, failed
from tests.upscaling.conftest import names


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture whose name has to be quoted, below the current folder."""
    monkeypatch.chdir(tmp_path)
    return draw(tmp_path / "my photos" / "it's \u00e9 100%.png")


def pasted(path: Path) -> list[str]:
    """Ways in which systems and terminals paste the path of a file."""
    text = str(path)
    return [
        text,
        f'"{text}"',
        f"{text}\n",
        f"{text}  \r\n",
        f'"{text}" ',
        f" {text}",
        f"\u201c{text}\u201d",
        "'" + text.replace("'", "''") + "'",
        f"'{text}'",
        "& '" + text.replace("'", "''") + "'",
        f'& "{text}"',
        f'{text}"',
        f"file://{quote(text)}",
        f"file://localhost{quote(text)}",
        f"FILE:{quote(text)}",
        f'"file://{quote(text)}"\n',
        "".join(f"\\{c}" if c in " '%" else c for c in text),
    ]


@pytest.mark.skipif(os.name != "posix", reason="paths are written as there")
def test_pasted_paths_are_understood(photo: Path) -> None:
    for text in pasted(photo):
        assert as_typed(text) == str(photo), text


def test_a_file_of_that_very_name_comes_first(photo: Path) -> None:
    del photo
    for name in ("'a.png'", '"b.png"', "c.png ", "& 'd.png'", "e\\ f.png", "it''s.png"):
        Path(name).touch()
        assert as_typed(name) == name
    Path("a.png").touch()
    Path("it's.png").touch()
    assert as_typed("'a.png'") == "'a.png'"
    assert as_typed("'it''s.png'") == "it''s.png"


def test_names_of_no_file_lose_their_quotes_only() -> None:
    assert as_typed("'in/*.jpg'") == "in/*.jpg"
    assert as_typed(" no such.jpg") == " no such.jpg"
    assert as_typed("-") == "-"
    assert as_typed("") == ""
    assert as_typed("'") == "'"
    assert as_typed("a\0b") == "a\0b"
    assert as_typed("file://server/share/a.jpg") == "file://server/share/a.jpg"


def test_the_home_folder_is_found_where_shells_leave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    assert Path(as_typed("~/large")) == tmp_path / "home" / "large"
    assert Path(as_typed("'~/in/*.jpg'")) == tmp_path / "home" / "in" / "*.jpg"
    assert option_path("~/report.json") == tmp_path / "home" / "report.json"
    assert as_typed("~nobody-of-this-name/a.jpg") == "~nobody-of-this-name/a.jpg"
    Path("~a.jpg").touch()
    assert as_typed("~a.jpg") == "~a.jpg"


@pytest.mark.parametrize("ending", FILM_SUFFIXES)
def test_the_name_of_a_film_is_no_folder(ending: str) -> None:
    assert is_picture_name(f"out{ending}")
    assert is_picture_name(f"OUT{ending.upper()}")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_the_uri_of_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    path.touch()
    assert as_typed(f"file://{quote(os.fsencode(path))}") == str(path)


def test_pasted_paths_on_the_command_line(cli: Run, photo: Path) -> None:
    assert cli("upscale", f"'{photo}'", '"out.png"', "--scale", 1, "-q") == (0, "", "")
    assert open_picture(Path("out.png")).width == 16
    assert cli("upscale", photo.as_uri(), "-o", "'folder'", "--scale", 1, "-q") == (0, "", "")
    assert len(names(Path("folder"))) == 1
    failed(cli("upscale", '"no such.jpg"'), 1, "cannot read no such.jpg")


URLS = [
    "https://example.org/a.jpg",
    "HTTP://a/b.png?c=1",
    "ftp://a/b.jpg",
    "s3://bucket/a.jpg",
    "data:image/png;base64,AA",
]


@pytest.mark.parametrize("url", URLS)
def test_urls_are_refused_by_name(cli: Run, png: Path, url: str) -> None:
    advice = "download it first" if url.lower().startswith(("http", "ftp")) else "give the path of a file"
    for words in (
        ["upscale", url],
        ["upscale", png, url],
        ["upscale", png, png, url, "-o", "out"],
        ["upscale", f"'{url}'"],
        ["upscale", png, "-o", url],
        ["upscale", png, f"-o{url}"],
        ["upscale", png, f"--report={url}"],
        ["upscale", png, "--network", url],
        ["info", url],
        ["evaluate", "--bench", url],
        ["compare", f"--bench={url}"],
        ["bench", "--network", url],
        ["count", "--network", url],
        ["bank", "build", url, "-o", "bank"],
        ["train", url],
        ["train", "plot", url],
        ["ablate", url, "-o", "out"],
        ["release", url],
        ["export", url],
        ["convert", url],
        ["quantize", url],
    ):
        failed(cli(*words), 2, f"{url}: URLs are not read; {advice}")
    for call in (
        lambda: mafdn.upscale(url),
        lambda: mafdn.load(url),
        lambda: mafdn.upscale_file(url),
        lambda: mafdn.upscale_file(png, url),
        lambda: mafdn.upscale_folder(url),
        lambda: mafdn.upscale_folder([png, url], "out"),
        lambda: mafdn.upscale_folder(png, url),
        lambda: mafdn.Upscaler(Repeat()).upscale(url),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value) == f"{url}: URLs are not read; {advice}"
    assert list(png.parent.iterdir()) == [png]


def test_file_uris_are_refused_elsewhere(cli: Run, png: Path) -> None:
    failed(cli("export", png.as_uri()), 2, "give the path of a file")
    failed(cli("upscale", "file://server/a.jpg"), 2, "give the path of a file")
    with pytest.raises(UsageError, match="give the path of a file"):
        mafdn.upscale_file(png.as_uri())


def test_a_long_url_is_cut(cli: Run) -> None:
    code, _, err = cli("upscale", "data:image/png;base64," + "A" * 100_000)
    assert (code, len(err) < 300) == (2, True)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_a_path_that_looks_like_a_url(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "http:" / "a.png")
    assert cli("upscale", "http://a.png", "out.png", "--scale", 1, "-q") == (0, "", "")


@pytest.mark.parametrize("name", ["big.exr", "big.svg", "big.heic", "big.psd", "big.pdf"])
def test_a_format_that_is_not_written_is_no_folder(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    failed(cli("upscale", "a.png", "-o", name, "--scale", 1), 2, f"cannot tell a format from the name {name}; end it")
    assert not (tmp_path / name).exists()


def test_a_single_picture_becomes_no_film(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    failed(
        cli("upscale", "a.png", "-o", "big.MP4", "--scale", 1), 2, "a.png is no animation; give a name for a picture"
    )
    assert names(tmp_path) == ["a.png"]


def test_invalid_choices_are_told_in_plain_words(cli: Run, png: Path) -> None:
    failed(cli("upscale", png, "-o", "out", "--order", "foo"), 2, "'--order': 'foo' is not one of 'name', 'size'")


def test_two_pictures_are_not_taken_for_an_input_and_its_result(cli: Run, tmp_path: Path) -> None:
    """A shell makes two names of *.png: the advice must not lead to the loss of the second picture."""
    first, second = draw(tmp_path / "a.png"), draw(tmp_path / "b.png")
    before = second.read_bytes()
    failed(cli("upscale", first, second), 2, "b.png exists; -o FOLDER upscales both files, and --overwrite replaces")
    assert second.read_bytes() == before
    assert cli("upscale", first, second, "-o", tmp_path / "out", "--scale", 1, "-q") == (0, "", "")
    assert names(tmp_path / "out") == ["a_x1.png", "b_x1.png"]
    assert cli("upscale", first, second, "--overwrite", "--scale", 1, "-q") == (0, "", "")


def test_output_is_a_file_for_one_picture_and_a_folder_otherwise(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    (tmp_path / "is.png").mkdir()
    same = ["--scale", 1, "-q"]
    for option in ("-o", "--output", "--output-dir"):
        assert cli("upscale", "a.png", option, "big.webp", "--overwrite", *same) == (0, "", "")
        assert open_picture(tmp_path / "big.webp").format.name == "WebP"
    assert cli("upscale", "a.png", "-o", "new.png/", *same) == (0, "", "")
    assert cli("upscale", "a.png", "-o", "is.png", *same) == (0, "", "")
    assert cli("upscale", "a.png", "-o", "plain", *same) == (0, "", "")
    for folder in ("new.png", "is.png", "plain"):
        assert names(tmp_path / folder) == ["a_x1.png"]
    mafdn.upscale_folder(tmp_path / "a.png", f"{tmp_path}/other.png/", size=1)
    assert names(tmp_path / "other.png") == ["a_x1.png"]
    assert not (tmp_path / ".mafdn-manifest.jsonl").exists()
    failed(cli("upscale", "a.png", "-o", "big.webp"), 1, "--overwrite")
    failed(cli("upscale", "plain", "-o", "one.png"), 2, "give a folder")
    failed(cli("upscale", "*.png", "-o", "one.png"), 2, "give a folder")
    failed(cli("upscale", "a.png", "-o", "one.png", "--report", "r.json"), 2, "--report needs a folder")
    failed(cli("upscale", "a.png", "--json", "--jsonl"), 2, "--json or --jsonl")
    failed(cli("upscale", "a.png", "--order", "big"), 2, "newest")


@pytest.mark.usefixtures("ready_graph", "unchecked")
def test_output_of_other_commands_may_be_a_folder(cli: Run, tmp_path: Path, exported: Path) -> None:
    weights = exported.with_suffix(".safetensors")
    assert cli("export", weights, "-o", tmp_path)[0] == 0
    assert (tmp_path / "small.onnx").is_file()
