"""Upscaling single files: names, checks before work, and clean failures."""

import math
from pathlib import Path

import numpy as np
import pytest
import pyvips

import mafdn
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.size import Size
from tests.conftest import Run
from tests.support import Repeat, upscale_file


def test_a_file_is_upscaled_beside_itself(png: Path, picture: np.ndarray) -> None:
    ticks: list[tuple[int, int]] = []
    report = upscale_file(png, engine=Repeat(3), on_progress=lambda *t: ticks.append(t))
    assert report.target == png.with_name("small_x3.png")
    assert (report.size, report.new_size, report.bits) == ((32, 24), (96, 72), 8)
    assert ticks == [(1, 1)]
    assert np.array_equal(open_picture(report.target).color, picture.repeat(3, 0).repeat(3, 1))
    assert sorted(p.name for p in png.parent.iterdir()) == ["small.png", "small_x3.png"]


def test_a_wrong_ending_is_corrected(png: Path) -> None:
    report = upscale_file(png.rename(png.with_suffix(".JPG")), engine=Repeat())
    assert report.target.name == "small_x2.png"


def test_an_upper_case_ending_is_kept(png: Path) -> None:
    report = upscale_file(png.rename(png.with_suffix(".PNG")), engine=Repeat())
    assert report.target.name == "small_x2.PNG"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png"])
def test_the_ending_of_the_target_chooses_the_format(png: Path, suffix: str) -> None:
    report = upscale_file(png, png.with_name(f"out{suffix}"), engine=Repeat())
    assert suffix in open_picture(report.target).format.suffixes


def test_existing_files_are_kept(png: Path) -> None:
    target = png.with_name("out.png")
    target.write_text("precious")
    with pytest.raises(PictureError, match="or overwrite it"):
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
def test_an_unwritable_target_is_refused_before_any_work(png: Path, target: str) -> None:
    (png.parent / "folder").mkdir()
    with pytest.raises(MafdnError):
        upscale_file(png, png.parent / target, engine=Broken())
    assert sorted(p.name for p in png.parent.iterdir()) == ["folder", "small.png"]


def test_a_size_beyond_the_format_is_refused_before_any_work(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    pyvips.Image.black(9000, 2).pngsave(str(wide))
    with pytest.raises(PictureError, match="WebP"):
        upscale_file(wide, tmp_path / "out.webp", engine=Broken())


def test_threads_are_bounded_on_the_command_line(cli: Run, png: Path) -> None:
    for number in (0, 1025, 10**9):
        code, _, err = cli("upscale", png, "--threads", number)
        assert (code, "--threads" in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(("strength", "notes"), [(0, 0), (0.5, 1), (1, 1)])
def test_notes_do_not_mention_an_unused_network(png: Path, strength: float, notes: int) -> None:
    report = upscale_file(png, engine=Repeat(), size=Size(scale=7), strength=strength)
    assert len(report.notes) == notes


@pytest.mark.parametrize("ending", [".pgm", ".PBM"])
def test_color_is_not_written_to_a_file_for_gray(cli: Run, png: Path, ending: str) -> None:
    code, _, err = cli("upscale", png, png.with_name(f"out{ending}"))
    assert (code, err.count("\n")) == (2, 1)
    assert f"out{ending} is a name for gray pictures" in err
    assert ".ppm" in err
    (failed,) = mafdn.upscale_folder(png, pattern="{stem}" + ending).items
    assert ".ppm" in (failed.reason or "")
    assert list(png.parent.iterdir()) == [png]


def test_pnm_files_have_true_endings(png: Path, tmp_path: Path) -> None:
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
    ("size", "allowed", "shown"),
    [
        (321, 0, "0.0003 MB; the limit is 0"),
        (12_345_678, 12, "12.3 MB"),
        (12_000_001, 12, "12.000001 MB"),
        (5_000_000_000, 4_000, "5,000 MB"),
    ],
)
def test_the_size_of_a_file_is_shown_with_enough_digits(tmp_path: Path, size: int, allowed: float, shown: str) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(size)
    with pytest.raises(PictureError, match=f"has {shown}"):
        Limits(file_mb=allowed).check_file(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"file_mb": math.nan}, "file_mb must be between 0 and inf, not nan"),
        ({"seconds": math.nan}, "seconds must be between 0 and 1e[+]09, not nan"),
        ({"seconds": math.inf}, "seconds must be between 0 and 1e[+]09, not inf"),
        ({"seconds": -1}, "seconds must be between 0 and 1e[+]09, not -1"),
    ],
)
def test_limits_that_limit_nothing_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Limits(**values)  # type: ignore[arg-type]
