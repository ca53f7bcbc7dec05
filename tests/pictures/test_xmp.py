"""Corrections of XMP packets: places and sizes in pixels, regions such as faces, and hostile packets."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.pictures.metadata import resized
from mafdn.pictures.reading import open_picture
from mafdn.pictures.xmp import upright
from mafdn.upscaling.size import Size
from tests.support import Repeat, upscale_file

MWG = b'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'
AREA = b'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"'
DIMENSIONS = b'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"'
MICROSOFT = b'xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"'
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" %s %s %s %s dc:title="kept" '
    b'exif:FocalPlaneXResolution="5000/1">'
    b"<exif:FocalPlaneYResolution>%%s</exif:FocalPlaneYResolution>"
    b"%%s<mwg-rs:Regions><mwg-rs:AppliedToDimensions %%s/><mwg-rs:RegionList><rdf:Bag><rdf:li><mwg-rs:Area %%s/>"
    b"</rdf:li><rdf:li><mwg-rs:Area><stArea:x>%%s</stArea:x><stArea:y>%%s</stArea:y></mwg-rs:Area></rdf:li></rdf:Bag>"
    b'</mwg-rs:RegionList></mwg-rs:Regions><rdf:li MPReg:Rectangle="%%s"/></rdf:Description></rdf:RDF></x:xmpmeta>'
) % (MWG, AREA, DIMENSIONS, MICROSOFT)
SUBJECT = b"<exif:SubjectArea><rdf:Seq><rdf:li>10</rdf:li><rdf:li>5</rdf:li></rdf:Seq></exif:SubjectArea>"
STORED = PACKET % (
    b"3000/1",
    SUBJECT,
    b'stDim:w="24" stDim:h="16" stDim:unit="pixel"',
    b'stArea:x="0.25" stArea:y="0.5" stArea:w="0.1" stArea:h="0.4" stArea:unit="normalized"',
    b"0.75",
    b"0.125",
    b"0.2, 0.3, 0.1, 0.4",
)
RESIZED = STORED.replace(SUBJECT, b"").replace(b'"5000/1"', b'"10000000/1000"').replace(b"3000/1", b"6000000/1000")
LARGER = {
    1: RESIZED.replace(b'"24"', b'"48"').replace(b'"16"', b'"32"'),
    6: PACKET.replace(b'"5000/1"', b'"10000000/1000"')
    % (
        b"6000000/1000",
        b"",
        b'stDim:w="32" stDim:h="48" stDim:unit="pixel"',
        b'stArea:x="0.500000" stArea:y="0.250000" stArea:w="0.4" stArea:h="0.1" stArea:unit="normalized"',
        b"0.875000",
        b"0.750000",
        b"0.300000, 0.200000, 0.400000, 0.100000",
    ),
}
"""The packet of the result at x2, by the orientation of the original."""


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_regions_and_sizes_follow_the_picture(tmp_path: Path, orientation: int, ending: str) -> None:
    image = pyvips.Image.black(24, 16, bands=3).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.set_type(pyvips.GValue.blob_type, "xmp-data", STORED)  # pyright: ignore[reportArgumentType]
    image.write_to_file(str(tmp_path / "in.jpg"))
    report = upscale_file(tmp_path / "in.jpg", tmp_path / f"out.{ending}", size=Size(scale=2), engine=Repeat(2))
    picture = open_picture(report.target)
    assert (picture.width, picture.height) == ((48, 32) if orientation == 1 else (32, 48))
    assert picture.fields["xmp-data"][1].strip(b"\0 \n") == LARGER[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_are_turned_as_the_pixels_are(orientation: int) -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[10:20, 30:34] = 255  # center 0.4, 0.375; size 0.05 x 0.25
    image = pyvips.Image.new_from_array(pixels).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    turned = np.asarray(image.autorot())
    rows, columns = (np.flatnonzero(turned.any(axis)) for axis in (1, 0))
    place = [columns[0] / turned.shape[1], rows[0] / turned.shape[0]]
    size = [len(columns) / turned.shape[1], len(rows) / turned.shape[0]]
    packet = (
        b'<a %s %s><b:Area stArea:h="0.25" stArea:w="0.05" stArea:y="0.375" stArea:x="0.4"/>'
        b"<c:Rectangle>0.375, 0.25, 0.05, 0.25</c:Rectangle></a>"
    ) % (MWG.replace(b"mwg-rs=", b"b="), MICROSOFT.replace(b"MPReg=", b"c="))
    changed = upright(packet, orientation)
    area = [float(text) for text in re.findall(rb'stArea:.="([0-9.]+)"', changed)]
    rectangle = [float(text) for text in changed.partition(b"<c:Rectangle>")[2].partition(b"<")[0].split(b",")]
    assert rectangle == pytest.approx([*place, *size], abs=1e-6)
    center = [place[axis] + size[axis] / 2 for axis in (0, 1)]
    assert area == pytest.approx([*reversed(size), *reversed(center)], abs=1e-6)


def test_prefixes_are_those_of_the_packet() -> None:
    foreign = b'<a xmlns:GPano="http://example.org/" GPano:FullPanoWidthPixels="9"/>'
    own = b'<a xmlns:p-1="http://ns.google.com/photos/1.0/panorama/" p-1:FullPanoWidthPixels="%d"/>'
    assert enlarged(foreign) == foreign
    assert enlarged(own % 9) == own % 18


def test_elements_without_an_end_stay() -> None:
    packet = b'<a tiff:ImageWidth="5"><xmp:Thumbnails><b/></xmp:Thumbnails> <xmp:Thumbnails><c/></a>'
    assert enlarged(packet) == b'<a tiff:ImageWidth="8"><xmp:Thumbnails><c/></a>'


MANY = b"".join(b' xmlns:a%d="http://ns.adobe.com/hdr-gain-map/1.0/"' % number for number in range(5_000))


@pytest.mark.parametrize(
    "repeated",
    [
        b"<xmp:Thumbnails ",
        b"<xmp:Thumbnails>",
        b"<hdrgm:x><hdrgm:y></hdrgm:y>",
        b"<hdrgm:x",
        b' hdrgm:x="',
        b" hdrgm:x='<",
        b"mwg-rs:",
        b"tiff:ImageWidth> ",
        b"a-",
        b" ",
        b"<mwg-rs:Area>",
        b'<mwg-rs:Area stArea:x="1" stArea:y="1" stArea:w="1" stArea:h="1"/>',
        b"stArea:x>0.5 ",
    ],
)
@pytest.mark.parametrize("start", [b"", b"<a:b ", MANY], ids=len)
def test_hostile_packets_take_no_time(start: bytes, repeated: bytes) -> None:
    packet = start + repeated * (500_000 // len(repeated))
    began = time.thread_time()
    enlarged(upright(packet, 6))
    assert time.thread_time() - began < 10  # most take a hundredth of it


def enlarged(packet: bytes) -> bytes:
    """The packet of a picture that has been enlarged to 8x8 pixels at x2."""
    return resized({"xmp-data": (0, packet)}, width=8, height=8, larger=(2.0, 2.0))["xmp-data"][1]
