"""Upscaling files: names, checks before work, and nothing left behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

import mafdn
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import Output
from mafdn.upscaling.picture import upscale_file
from mafdn.upscaling.size import Size
from tests.conftest import Run
from tests.support import Repeat


def test_a_file_is_upscaled_beside_itself(png: Path, picture: np.ndarray) -> None:
    ticks: list[tuple[int, int]] = []
    report = upscale_file(png, engine=Repeat(3), on_progress=lambda *t: ticks.append(t))
    assert report.target == png.with_name("small_x3.png")
    assert (report.size, report.new_size, report.bits) == ((32, 24), (96, 72), 8)
    assert ticks == [(1, 1)]
    assert np.array_equal(open_picture(report.target).color, picture.repeat(3, 0).repeat(3, 1))
    assert sorted(p.name for p in png.parent.iterdir()) == ["small.png", "small_x3.png"]


def test_a_lying_name_gets_an_honest_ending(png: Path) -> None:
    report = upscale_file(png.rename(png.with_suffix(".JPG")), engine=Repeat())
    assert report.target.name == "small_x2.png"


def test_an_ending_in_capitals_is_kept(png: Path) -> None:
    report = upscale_file(png.rename(png.with_suffix(".PNG")), engine=Repeat())
    assert report.target.name == "small_x2.PNG"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png"])
def test_the_ending_of_the_target_chooses_the_format(png: Path, suffix: str) -> None:
    report = upscale_file(png, png.with_name(f"out{suffix}"), engine=Repeat())
    assert suffix in open_picture(report.target).format.suffixes


def test_what_is_there_is_not_touched(png: Path) -> None:
    target = png.with_name("out.png")
    target.write_text("precious")
    with pytest.raises(PictureError, match="--overwrite"):
        upscale_file(png, target, engine=Repeat())
    assert target.read_text() == "precious"
    upscale_file(png, target, engine=Repeat(), overwrite=True)
    assert open_picture(target).width == 64


def test_a_picture_is_never_written_over_itself(png: Path) -> None:
    before = png.read_bytes()
    with pytest.raises(UsageError, match="itself"):
        upscale_file(png, png.parent / "." / png.name, engine=Repeat(), overwrite=True)
    assert png.read_bytes() == before


class Broken(Repeat):
    def run(self, x: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt(x.shape)


def test_an_interrupted_job_leaves_nothing(png: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        upscale_file(png, engine=Broken())
    assert list(png.parent.iterdir()) == [png]


@pytest.mark.parametrize("target", ["missing/out.png", "small.png/out.png", "folder", "x" * 300 + ".png"])
def test_an_unwritable_target_is_told_before_any_work(png: Path, target: str) -> None:
    (png.parent / "folder").mkdir()
    with pytest.raises(MafdnError):
        upscale_file(png, png.parent / target, engine=Broken())
    assert sorted(p.name for p in png.parent.iterdir()) == ["folder", "small.png"]


def test_a_size_beyond_the_format_is_told_before_any_work(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    pyvips.Image.black(9000, 2).pngsave(str(wide))
    with pytest.raises(PictureError, match="WebP"):
        upscale_file(wide, tmp_path / "out.webp", engine=Broken())


# --- the Python interface


def test_the_surface_is_what_is_exported() -> None:
    assert sorted(mafdn.__all__) == [
        "ConfigError",
        "MafdnError",
        "MissingPackageError",
        "PictureError",
        "Upscaler",
        "UsageError",
        "WeightsError",
        "__version__",
        "load",
        "upscale_folder",
    ]
    assert all(hasattr(mafdn, name) for name in mafdn.__all__)


def test_arrays_and_paths_give_the_same(png: Path, picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", threads=1)
    from_array = upscaler.upscale(picture)
    assert from_array.shape == (96, 128, 3)
    assert upscaler.scale == 4
    assert np.array_equal(upscaler.upscale(png), from_array)
    assert np.array_equal(upscaler.upscale(str(png)), from_array)
    report = upscaler.upscale_file(png)
    assert np.array_equal(open_picture(report.target).color, from_array)


def test_depths_agree(picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", threads=1)
    eight = upscaler.upscale(picture).astype(float)
    sixteen = upscaler.upscale(picture.astype(np.uint16) * 257).astype(float) / 257
    unit = upscaler.upscale(picture.astype(np.float32) / 255) * 255.0
    assert np.abs(sixteen - eight).max() <= 0.51
    assert np.abs(unit - sixteen).max() < 0.01


def test_grey_and_its_color_twin_agree(picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", threads=1)
    grey = picture[..., 0]
    twin = upscaler.upscale(np.stack([grey] * 3, 2)).astype(float).mean(2)
    assert np.abs(upscaler.upscale(grey) - twin).max() <= 1


@pytest.mark.parametrize("name", ["x5", "photo.jpg", "mafdn"])
def test_unknown_networks_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="x2, x3, x4"):
        mafdn.load(name)


def test_an_empty_name_is_not_the_current_folder(
    cli: Run, png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["", "-q"],
        ["", "a.png"],
        ["small.png", ""],
        ["small.png", "", "other.png"],
        ["", "-o", "out"],
        ["small.png", "-o", ""],
        ["small.png", "--report", ""],
        ["small.png", "--network", ""],
    ):
        code, out, err = cli("upscale", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), words
        assert "is empty" in err, words
    for inputs in ("", ["small.png", ""]):
        with pytest.raises(UsageError, match="is empty"):
            mafdn.upscale_folder(inputs)
    with pytest.raises(UsageError, match="is empty"):
        mafdn.upscale_folder(png, "")
    upscaler = mafdn.Upscaler(Repeat())
    with pytest.raises(UsageError, match="is empty"):
        upscaler.upscale_file("")
    with pytest.raises(UsageError, match="is empty"):
        upscaler.upscale_file(png, "")
    assert list(tmp_path.iterdir()) == [png]


@pytest.mark.parametrize("picture", [[[1, 2]], None, 5, b"small.png", object(), "a\0.png"])
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    with pytest.raises(MafdnError) as caught:
        mafdn.Upscaler(Repeat()).upscale(picture)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": 2}, "size is a mafdn.upscaling.size.Size, not the int 2"),
        ({"size": 0}, "not the int 0"),
        ({"output": "png"}, "output is a mafdn.upscaling.output.Output, not the str 'png'"),
        ({"limits": 10**9}, "limits"),
        ({"strength": "a"}, "strength is a number, not the str 'a'"),
        ({"strength": float("nan")}, "strength nan is not between 0 and 1"),
        ({"strength": True}, "strength is a number"),
    ],
)
def test_arguments_of_another_type_are_told(png: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        mafdn.Upscaler(Repeat()).upscale_file(png, **wrong)
    with pytest.raises(UsageError, match=told):
        mafdn.upscale_folder(png, **wrong)
    assert list(png.parent.iterdir()) == [png]


@pytest.mark.parametrize("inputs", [None, 5, [5], b"in", [None]])
def test_inputs_that_are_no_names_are_told(inputs: Any) -> None:
    with pytest.raises(UsageError, match="an input is a path, not the"):
        mafdn.upscale_folder(inputs)


def test_outputs_and_patterns_of_another_type_are_told(png: Path) -> None:
    wrong: Any
    for wrong in ({"quality": "a"}, {"quality": 50.5}, {"quality": 101}, {"format": 3}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Output(**wrong)
    wrong = 7
    with pytest.raises(UsageError, match="pattern"):
        mafdn.upscale_folder(png, pattern=wrong)


def test_a_target_with_a_nul_is_told(cli: Run, png: Path) -> None:
    with pytest.raises(UsageError, match="NUL"):
        mafdn.Upscaler(Repeat()).upscale_file(png, "a\0.png")
    code, _, err = cli("upscale", png, "a\0.png")
    assert (code, "contains a NUL" in err) == (2, True)


@pytest.mark.parametrize("network", [4, None, b"x4", "", "a\0.onnx"])
def test_networks_that_are_no_names_are_refused(network: Any) -> None:
    with pytest.raises(UsageError):
        mafdn.load(network)


@pytest.mark.parametrize(
    "means",
    [
        *({"threads": threads} for threads in (0, -1, 1.5, "2", True, 1025, 10**9)),
        {"tile": "a"},
        {"engine": 1},
        {"device": 1},
        {"precision": 16},
    ],
)
def test_means_that_are_none_are_refused(png: Path, means: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(means))):
        mafdn.load("x4", **means)
    with pytest.raises(UsageError, match=next(iter(means))):
        mafdn.upscale_folder(png, **means)


def test_threads_are_bounded_on_the_command_line(cli: Run, png: Path) -> None:
    for number in (0, 1025, 10**9):
        code, _, err = cli("upscale", png, "--threads", number)
        assert (code, "--threads" in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(("strength", "notes"), [(0, 0), (0.5, 1), (1, 1)])
def test_a_network_that_was_not_used_is_not_told_of(png: Path, strength: float, notes: int) -> None:
    report = upscale_file(png, engine=Repeat(), size=Size(scale=7), strength=strength)
    assert len(report.notes) == notes


@pytest.mark.parametrize("ending", [".pgm", ".PBM"])
def test_color_is_not_written_under_a_name_for_grey(cli: Run, png: Path, ending: str) -> None:
    code, _, err = cli("upscale", png, png.with_name(f"out{ending}"))
    assert (code, err.count("\n")) == (2, 1)
    assert f"out{ending} is a name for grey pictures" in err
    assert ".ppm" in err
    (failed,) = mafdn.upscale_folder(png, pattern="{stem}" + ending).items
    assert ".ppm" in (failed.reason or "")
    assert list(png.parent.iterdir()) == [png]


def test_pnm_files_have_honest_names(png: Path, tmp_path: Path) -> None:
    color = upscale_file(png, tmp_path / "color.ppm", engine=Repeat()).target.rename(tmp_path / "color.pgm")
    assert upscale_file(color, engine=Repeat()).target.name == "color_x2.ppm"
    grey = tmp_path / "grey.png"
    pyvips.Image.new_from_file(str(png)).colourspace("b-w").pngsave(str(grey))
    for name in ("grey.pgm", "grey.ppm", "grey.pnm"):
        assert upscale_file(grey, tmp_path / name, engine=Repeat()).target.read_bytes().startswith(b"P5")
    assert upscale_file(tmp_path / "grey.pgm", engine=Repeat()).target.name == "grey_x2.pgm"
    with pytest.raises(UsageError, match=r"\.pgm"):
        upscale_file(grey, tmp_path / "grey.pbm", engine=Repeat())


@pytest.mark.parametrize(
    ("size", "allowed", "told"),
    [
        (321, 0, "0.0003 MB; --max-file-mb allows 0"),
        (12_345_678, 12, "12.3 MB"),
        (12_000_001, 12, "12.000001 MB"),
        (5_000_000_000, 4_000, "5,000 MB"),
    ],
)
def test_a_file_too_large_is_told_with_enough_digits(tmp_path: Path, size: int, allowed: float, told: str) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(size)
    with pytest.raises(PictureError, match=f"has {told}"):
        Limits(file_mb=allowed).check_file(path)
