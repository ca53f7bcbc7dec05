"""What is checked about a result before any work, and the format of results that are too large for another."""

import io
from pathlib import Path

import pytest
from PIL import Image

from mafdn.errors import PictureError
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.reading import read_header
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.picture import upscale_file
from mafdn.upscaling.preflight import check_encodable, check_room
from mafdn.upscaling.several import Sizes
from mafdn.upscaling.streams import upscale_stream
from tests.support import Repeat
from tests.upscaling.conftest import upscale

LONG = (8_200, 3)
"""Width and height of a picture whose result at x2 is too large for WebP."""
NOTE = "WebP holds at most 16,383 pixels a side: the result was written as "


def long_picture(path: Path, mode: str = "RGB") -> Path:
    Image.new(mode, LONG, 100).save(path, lossless=True)
    return path


def test_sizes_beyond_a_format_are_refused() -> None:
    check_encodable(Path("a.webp"), FORMATS["WebP"], width=16_383, height=16_383)
    with pytest.raises(PictureError, match="16383 pixels a side; choose a smaller size, JPEG, PNG or TIFF"):
        check_encodable(Path("a.webp"), FORMATS["WebP"], width=16_384, height=10)
    with pytest.raises(PictureError, match="choose a smaller size, PNG or TIFF"):
        check_encodable(Path("a.webp"), FORMATS["WebP"], width=65_536, height=10)


def test_memory_is_that_of_the_tiles_that_were_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    header = read_header(tmp_path / "a.png")

    def check(tile: int, *widths: int, free: float) -> None:
        monkeypatch.setattr("mafdn.upscaling.preflight.available_mib", lambda: free)
        sizes = Sizes(before=tuple((w, 4000) for w in widths), after=tuple((4 * w, 16_000) for w in widths))
        target, kind = tmp_path / "b.png", FORMATS["PNG"]
        check_room(header, target, scale=4, tile=tile, sizes=sizes, kind=kind, lossless=False)

    check(1024, 1000, free=170)
    with pytest.raises(PictureError, match="memory"):
        check(2048, 1000, free=170)
    check(128, 8, 8000, free=180)
    with pytest.raises(PictureError, match="memory"):
        check(512, 8, 8000, free=180)


@pytest.mark.parametrize(("mode", "name"), [("RGB", "JPEG"), ("RGBA", "PNG")])
def test_results_too_large_for_the_format_of_their_picture_get_another(tmp_path: Path, mode: str, name: str) -> None:
    report = upscale_file(long_picture(tmp_path / "a.webp", mode), networks=SingleNetwork(Repeat()))
    assert report.target.suffix == FORMATS[name].suffixes[0]
    assert report.notes == (NOTE + name,)
    with Image.open(report.target) as result:
        assert (result.format, result.size) == (name, (16_400, 6))


def test_a_format_that_was_asked_for_stays(tmp_path: Path) -> None:
    source, networks = long_picture(tmp_path / "a.webp"), SingleNetwork(Repeat())
    asked = UpscaleOptions(output=Output(format="webp"))
    with pytest.raises(PictureError, match="16383"):
        upscale_file(source, networks=networks, options=asked)
    with pytest.raises(PictureError, match="16383"):
        upscale_file(source, tmp_path / "b.webp", networks=networks)
    lossless = upscale_file(source, networks=networks, options=UpscaleOptions(output=Output(lossless=True)))
    assert lossless.target.suffix == ".png"


def test_a_stream_gets_another_format_likewise(tmp_path: Path) -> None:
    result = io.BytesIO()
    source = long_picture(tmp_path / "a.webp")
    report = upscale_stream(source, result, networks=SingleNetwork(Repeat()), options=UpscaleOptions())
    assert report.notes == (NOTE + "JPEG",)
    assert result.getvalue().startswith(b"\xff\xd8\xff")


def test_a_folder_knows_before_any_work(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    long_picture(folder / "a.webp")
    planned = upscale(folder, out, dry_run=True)
    assert [(i.target, i.status, i.notes) for i in planned.items] == [(out / "a_x2.jpg", "left", (NOTE + "JPEG",))]
    asked = upscale(folder, out, dry_run=True, output=Output(format="webp"))
    assert [item.status for item in asked.items] == ["failed"]
    done = upscale(folder, out)
    assert [(item.status, item.notes) for item in done.items] == [("done", (NOTE + "JPEG",))]
    assert upscale(folder, out).counts["kept"] == 1
