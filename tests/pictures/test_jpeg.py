"""JPEG files: how many pictures they hold."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvips
from PIL import Image

from mafdn.pictures.reading import open_picture
from tests.support import Repeat, upscale_file

COLORS = pyvips.Image.new_from_array(np.full((8, 8, 3), (200, 90, 30), np.uint8), interpretation="srgb")


def mpo(path: Path, kinds: Sequence[int], *, order: str = "<", entries: bytes | None = None) -> Path:
    """A JPEG file whose index lists pictures of these types."""
    listed = b"".join(struct.pack(f"{order}4I", kind, 1000, 0, 0) for kind in kinds) if entries is None else entries
    mark = b"II" if order == "<" else b"MM"
    index = mark + struct.pack(f"{order}HIH", 42, 8, 1) + struct.pack(f"{order}HHII", 0xB002, 7, len(listed), 26)
    segment = b"MPF\0" + index + bytes(4) + listed
    other = b"\xff\xe2\0\x06ICC_"
    content = COLORS.jpegsave_buffer()
    start = content[:2] + other + b"\xff\xff\xff\xe2" + struct.pack(">H", len(segment) + 2)
    path.write_bytes(start + segment + content[2:] + COLORS.jpegsave_buffer())
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_several_pictures_in_a_jpeg_are_noted(tmp_path: Path, order: str) -> None:
    stereo = mpo(tmp_path / "stereo.jpg", [0x2003_0000 + 0x02_0002, 0x02_0002], order=order)
    assert open_picture(stereo).notes == ("only the first of 2 pictures was read",)
    preview = mpo(tmp_path / "preview.jpg", [0x2003_0000, 0x01_0001, 0x01_0002], order=order)
    assert open_picture(preview).notes == (), "thumbnails are no loss"
    assert open_picture(mpo(tmp_path / "odd.jpg", [], entries=b"odd", order=order)).notes == ()


GAIN_MAP_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0" GCamera:MotionPhoto="1"
 GCamera:MotionPhotoVersion='1' GCamera:SpecialTypeID="portrait" dc:format="image/jpeg">
<hdrgm:GainMapMax><rdf:Seq><rdf:li>2.5</rdf:li></rdf:Seq></hdrgm:GainMapMax><hdrgm:HDRCapacityMin/>
<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary"
 Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap"
 Item:Mime="image/jpeg" Item:Length="1234"/></rdf:li></rdf:Seq></Container:Directory>
<dc:creator><rdf:Seq><rdf:li>somebody</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def ultra_hdr(path: Path) -> Path:
    """A JPEG file with a gain map behind it: an index, XMP on both sides, and ISO 21496-1's mark."""
    gain_map_xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    )
    gain_map_xmp += b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
    gain_map_xmp += b'hdrgm:GainMapMax="2.5" hdrgm:HDRCapacityMax="2.5"/></rdf:RDF></x:xmpmeta>'

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    xmp = b"http://ns.adobe.com/xap/1.0/\0"
    main, second = COLORS.jpegsave_buffer(keep=0), COLORS.jpegsave_buffer(keep=0)
    second = second[:2] + segment(0xE1, xmp + gain_map_xmp) + second[2:]
    head = main[:2] + segment(0xE1, xmp + GAIN_MAP_XMP) + segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    size = len(head) + 90 + len(main) - 2
    offset = size - len(head) - 8
    listed = struct.pack("<4I", 0x2003_0000, size, 0, 0) + struct.pack("<4I", 0, len(second), offset, 0)
    entries = [(0xB000, 7, 4, 0x3030_3130), (0xB001, 4, 1, 2), (0xB002, 7, 32, 50)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    index = b"MPF\0II*\0" + struct.pack("<IH", 8, 3) + directory + bytes(4) + listed
    index = segment(0xE2, index)
    assert len(index) == 90
    path.write_bytes(head + index + main[2:] + second)
    return path


@pytest.mark.parametrize("name", ["out.jpg", "out.png", "out.webp", "out.tif", "out.avif"])
def test_nothing_points_to_a_gain_map_that_was_left_out(tmp_path: Path, name: str) -> None:
    source = ultra_hdr(tmp_path / "in.jpg")
    report = upscale_file(source, tmp_path / name, engine=Repeat())
    assert {"its HDR gain map was left out", "its video was left out"} <= set(report.notes)
    assert not [note for note in report.notes if "pictures" in note]
    content = report.target.read_bytes()
    for rest in (b"MPF\0", b"hdrgm:", b"Container:", b"Item:", b"MotionPhoto", b"21496"):
        assert rest not in content.replace(b"xmlns:hdrgm", b"").replace(b"xmlns:Item", b""), rest
    assert content.count(b"\xff\xd8\xff") == (1 if name == "out.jpg" else 0)
    with Image.open(report.target) as result:
        assert result.size == (16, 16)
        packet = result.info.get("xmp") or result.info.get("XML:com.adobe.xmp", "").encode()
        if name == "out.tif":
            packet = cast(Any, result).tag_v2[700]
    root = ElementTree.fromstring(packet)
    text = "".join(root.itertext())
    assert "somebody" in text
    assert "2.5" not in text
    assert b'GCamera:SpecialTypeID="portrait" dc:format="image/jpeg"' in packet
