"""The header of a picture file: read once, decoded once or again, and holding no pixels."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mafdn.pictures import formats, reading
from mafdn.pictures.codecs.tiff import directory as tiff_directory
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.picture import prepare
from tests.conftest import Run
from tests.support import Repeat, upscale_file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is sniffed, loaded by libvips, and parsed as TIFF: keys like `load small.png`."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any], path_of: Callable[..., Path]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            counts[f"{name} {path_of(*arguments).name}"] += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(reading, "sniff", counted("sniff", formats.sniff, lambda path: path))
    monkeypatch.setattr(VipsFile, "load", counted("load", VipsFile.load, lambda file: file.path))
    directory = counted("directory", tiff_directory.read_directory, lambda path: path)
    monkeypatch.setattr("mafdn.pictures.codecs.tiff.file.read_directory", directory)
    return counts


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_one_command_reads_one_header(cli: Run, png: Path, reads: Counter[str], ending: str) -> None:
    source = png.with_name(f"in.{ending}")
    pyvips.Image.new_from_file(str(png)).write_to_file(str(source))
    assert cli("upscale", source)[0] == 0
    name = source.name
    assert reads == {f"sniff {name}": 1, f"load {name}": 1, **({f"directory {name}": 1} if ending == "tif" else {})}


def test_a_large_picture_is_loaded_again_to_stream_its_rows(
    png: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    upscale_file(png, engine=Repeat())
    assert reads == {f"sniff {png.name}": 1, f"load {png.name}": 2}


def test_a_folder_reads_each_header_for_the_plan_and_again_before_the_work(
    cli: Run, png: Path, reads: Counter[str]
) -> None:
    """A file may change in between."""
    assert cli("upscale", png.parent, "-o", png.parent / "out")[0] == 0
    assert reads[f"load {png.name}"] == 2


def test_a_header_decodes_to_what_the_file_is_opened_as(png: Path) -> None:
    header = read_header(png)
    assert (header.width, header.height, header.channels, header.bits) == (32, 24, 3, 8)
    assert header.pixel_bytes == 32 * 24 * 3
    first, again, opened = header.decode(), header.decode(), open_picture(png)
    assert np.array_equal(first.color, opened.color)
    assert np.array_equal(again.color, opened.color)
    assert first.notes == again.notes == opened.notes


def test_a_decoded_header_keeps_no_pixels(png: Path) -> None:
    """The image that was opened for the header would keep what was decoded through it."""
    header = read_header(png)
    assert isinstance(header.file, VipsFile)
    assert header.file._image is not None  # pyright: ignore[reportPrivateUsage]
    header.decode()
    assert header.file._image is None  # pyright: ignore[reportPrivateUsage]


def test_an_opened_picture_is_not_read_again(png: Path, reads: Counter[str]) -> None:
    header = read_header(png)
    reads.clear()
    prepared = prepare(header, scale=2)
    assert reads == {}
    assert (prepared.pictures.read(0).width, prepared.sizes.after) == (32, ((64, 48),))
    prepared.close()
