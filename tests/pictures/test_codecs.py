"""The registry of codecs: complete, unambiguous, and the only list of formats."""

import importlib
import inspect
import itertools
import pkgutil
import re
from pathlib import Path

import pytest
import pyvips

from mafdn.cli.options import file as file_options
from mafdn.pictures import codecs
from mafdn.pictures.codecs import FORMATS, codec_of
from mafdn.pictures.codecs.base import PictureFile, SaveOptions
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.formats import WRITABLE, format_called, sniff
from mafdn.upscaling.output import Output


def test_every_codec_is_registered() -> None:
    defined: set[type[PictureFile]] = set()
    for module in pkgutil.walk_packages(codecs.__path__, f"{codecs.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        defined |= {c for c in members if inspect.isclass(c) and issubclass(c, PictureFile) and "format" in vars(c)}
    assert defined == {codec_of(known) for known in FORMATS.values()}
    assert all(codec_of(known).format is known for known in FORMATS.values())


@pytest.mark.parametrize("name", FORMATS)
def test_every_signature_is_that_of_one_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "picture"
    for magic in FORMATS[name].magic:
        path.write_bytes(magic.replace(b"?", b"x"))
        assert sniff(path) is FORMATS[name]


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_avif_is_told_from_heic_by_compatible_brands(tmp_path: Path, brand: bytes) -> None:
    path = tmp_path / "picture"
    for brands, name in (([b"avif"], "AVIF"), ([b"miaf", b"MA1B", b"avif"], "AVIF"), ([b"heic", b"miaf"], "HEIC")):
        path.write_bytes(b"\0\0\0\x20ftyp" + brand + b"\0\0\0\0" + b"".join(brands))
        assert sniff(path).name == name


def test_no_file_name_ending_belongs_to_two_formats() -> None:
    for one, other in itertools.combinations(FORMATS.values(), 2):
        assert not set(one.suffixes) & set(other.suffixes)


def test_every_format_has_one_short_name_on_the_command_line() -> None:
    assert len(WRITABLE) == sum(bool(known.bits) for known in FORMATS.values())
    source = Path(file_options.__file__).read_text()
    for name, known in WRITABLE.items():
        assert name.isalnum()
        assert f"`{name}`" in (Output.__doc__ or "")
        assert re.search(rf'help="[^"]*\b{name}\b', source)
        for other in (name.upper(), known.name, *known.suffixes):
            assert format_called(other.removeprefix(".")) is known


def test_formats_that_libvips_reads_name_their_loader() -> None:
    for known in FORMATS.values():
        codec = codec_of(known)
        assert issubclass(codec, VipsFile) == (known.loader_class is not None)
        if issubclass(codec, VipsFile):
            assert callable(getattr(pyvips.Image, codec.loader))


def test_formats_that_are_only_read_name_another_to_write() -> None:
    image = pyvips.Image.black(2, 2)
    for known in FORMATS.values():
        assert (known.written_as is not None) == (not known.bits)
        if known.written_as is not None:
            assert FORMATS[known.written_as].bits
            with pytest.raises(NotImplementedError):
                codec_of(known).save(image, Path("never"), SaveOptions(quality=None, lossless=False, bits=8, keep=0))
