"""AVIF and HEIC files: depth, colors stated by number, the optional decoder."""

import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.errors import MissingPackageError
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file


def test_avif_keeps_12_of_16_bits(tmp_path: Path) -> None:
    pixels = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8, 1).repeat(3, 2)
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").pngsave(str(tmp_path / "in.png"))
    output = Output(lossless=True)
    report = upscale_file(tmp_path / "in.png", tmp_path / "out.avif", engine=Repeat(), output=output)
    assert report.bits == 12
    assert report.notes == ("AVIF stores 12 bits per channel: 16 were rounded",)
    picture = open_picture(report.target)
    assert (picture.bits, picture.color.max()) == (12, 65_535)
    assert np.abs(picture.color[::2, ::2].astype(int) - pixels).max() <= 16
    back = upscale_file(report.target, tmp_path / "back.png", engine=Repeat())
    assert (back.bits, back.notes) == (16, ())


def test_colors_that_avif_states_by_number(corpora: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.avif"
    files = sorted((corpora / "pillow-tests-images").glob("*.avif"))
    content = next(c for c in (f.read_bytes() for f in files) if b"colrnclx\0\1\0\r" in c)
    place = content.index(b"colrnclx") + 8
    for primaries, transfer, profile, hdr in ((1, 13, False, None), (12, 13, True, None), (9, 16, False, "PQ")):
        numbers = bytes([0, primaries, 0, transfer])
        source.write_bytes(content[:place] + numbers + content[place + 4 :])
        picture = open_picture(source)
        assert (picture.profile is not None) == profile
        assert picture.notes == ()
        assert (picture.code_points is None) == (primaries == 1)
        assert picture.code_points is None or picture.code_points.hdr == hdr


def test_heic_without_its_decoder_names_the_extra(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = next(p for p in sorted(corpora.rglob("*.*")) if p.read_bytes()[4:12] == b"ftypheic")
    with pytest.raises(MissingPackageError, match=r"mafdn\[heic\]"):
        read_header(path)


def test_heic_is_read_with_its_decoder(corpora: Path) -> None:
    pytest.importorskip("pi_heif")
    path = next(p for p in sorted(corpora.rglob("*.*")) if p.read_bytes()[4:12] == b"ftypheic")
    header, picture = read_header(path), open_picture(path)
    assert (picture.width, picture.height) == (header.width, header.height)
    assert 0 < picture.color.mean() < 255
