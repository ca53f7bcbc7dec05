"""What each format keeps, found by upscaling files that other libraries made and reading the results with them.

`python -m tools.support_matrix` writes the outcomes into docs/pictures.md; test_support.py checks them.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin

from mafdn.errors import MafdnError
from mafdn.pictures.formats import FORMATS
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file

COLUMNS = ("8", "10", "12", "16", "float", "gray", "alpha", "ICC", "HDR", "EXIF", "XMP", "IPTC", "frames")
"""Properties of pictures: bits per channel, channels, color, metadata, and several pictures in one file."""
HEIGHT, WIDTH = 6, 8
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description dc:title='kept'/></x:xmpmeta>"
ARTIST = 0x013B
PQ = (9, 16, 0, 1)
"""Code points of BT.2020 with PQ: primaries, transfer, matrix, full range."""
Maker = Callable[[Path], None]
Keeps = Callable[[Path], bool]


def pixels(channels: int = 3, dtype: Any = np.uint8, *, bits: int | None = None) -> np.ndarray:
    """Soft ramps, (H, W, channels) over the full range of the type or of `bits`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]
    planes = [0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.8 - 0.5 * x * y, 0.25 + 0.5 * x][:channels]
    if channels == 2:
        planes[1] = 0.25 + 0.5 * x
    white = 1.0 if np.dtype(dtype).kind == "f" else 2.0 ** (bits or 8 * np.dtype(dtype).itemsize) - 1
    values = np.dstack(planes) * white
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(values).astype(dtype)


def pillow(channels: int = 3) -> Image.Image:
    values = pixels(channels)
    return Image.fromarray(values[..., 0] if channels == 1 else values)


def iptc() -> bytes:
    """An IPTC record with a caption, in Photoshop's resources."""
    record = b"\x1c\x02\x78" + struct.pack(">H", 4) + b"kept"
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def decoded(path: Path) -> np.ndarray:
    """The values of a file as another library reads them, (H, W) or (H, W, C)."""
    data = path.read_bytes()
    if path.suffix in (".jxl", ".jp2", ".avif"):
        name = {".jxl": "jpegxl", ".jp2": "jpeg2k", ".avif": "avif"}[path.suffix]
        return np.asarray(getattr(imagecodecs, f"{name}_decode")(data))
    if path.suffix == ".png":
        return np.asarray(imagecodecs.png_decode(data))
    if path.suffix == ".tif":
        return np.asarray(tifffile.imread(path))
    with Image.open(path) as image:
        return np.array(image)


def looks(channels: int, dtype: Any = np.uint8, *, bits: int | None = None, tolerance: float = 0.03) -> Keeps:
    """Whether a result has this number of channels, this type, and the colors of `pixels`."""

    def check(path: Path) -> bool:
        values = decoded(path)
        values = values[..., None] if values.ndim == 2 else values
        if values.shape != (2 * HEIGHT, 2 * WIDTH, channels) or values.dtype != dtype:
            return False
        white = 1.0 if values.dtype.kind == "f" else 2.0 ** (bits or 8 * values.itemsize) - 1
        expected = pixels(channels, np.float64).repeat(2, 0).repeat(2, 1)
        return float(np.abs(values / white - expected).mean()) < tolerance

    return check


def contains(*parts: bytes) -> Keeps:
    return lambda path: all(part in path.read_bytes() for part in parts)


def has_profile(path: Path) -> bool:
    if path.suffix == ".jp2":
        return ICC in path.read_bytes()
    with Image.open(path) as image:
        return image.info.get("icc_profile") == ICC


def has_exif(path: Path) -> bool:
    if path.suffix in (".jp2", ".jxl"):
        return b"Nobody" in path.read_bytes()
    with Image.open(path) as image:
        return str(image.getexif().get(ARTIST, "")).rstrip("\0") == "Nobody"


def has_frames(path: Path) -> bool:
    with Image.open(path) as image:
        return sum(1 for _ in ImageSequence.Iterator(image)) == 2


def avif_bits(bits: int) -> Keeps:
    def check(path: Path) -> bool:
        data = path.read_bytes()
        flags = data[data.index(b"av1C") + 6]
        return {0: 8, 0x40: 10, 0x60: 12}[flags & 0x60] == bits

    return check


def jp2_bits(bits: int) -> Keeps:
    def check(path: Path) -> bool:
        data = path.read_bytes()
        return (data[data.index(b"\xff\x4f\xff\x51") + 2 + 40] & 0x7F) + 1 == bits

    return check


def exif() -> Image.Exif:
    block = Image.Exif()
    block[ARTIST] = "Nobody"
    return block


def saved(channels: int = 3, **options: Any) -> Maker:
    """A file by Pillow, in the format of its name."""
    return lambda path: pillow(channels).save(path, **options)


def animated(**options: Any) -> Maker:
    def make(path: Path) -> None:
        other = Image.fromarray(255 - pixels())
        pillow().save(path, save_all=True, append_images=[other], duration=200, loop=0, **options)

    return make


def encoded(codec: str, channels: int = 3, dtype: Any = np.uint8, *, used: int | None = None, **options: Any) -> Maker:
    """A file by imagecodecs; `used` is the number of bits of the values."""

    def make(path: Path) -> None:
        values = pixels(channels, dtype, bits=used)
        values = values[..., 0] if channels == 1 else values
        path.write_bytes(getattr(imagecodecs, f"{codec}_encode")(values, **options))

    return make


def tiff(channels: int = 3, dtype: Any = np.uint8, *, used: int | None = None, **options: Any) -> Maker:
    """A file by tifffile; `used` is the number of bits of the values."""

    def make(path: Path) -> None:
        values = pixels(channels, dtype, bits=used)
        extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        photometric = "rgb" if channels > 2 else "minisblack"
        values = values[..., 0] if channels == 1 else values
        planar = {} if channels == 1 else {"planarconfig": "contig"}
        tifffile.imwrite(path, values, photometric=photometric, **planar, **extra, **options)  # pyright: ignore

    return make


def pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        for values in (pixels(), 255 - pixels()):
            file.write(values, photometric="rgb")


def png_with(kind: bytes, data: bytes, *, dtype: Any = np.uint8) -> Maker:
    def make(path: Path) -> None:
        whole = bytes(imagecodecs.png_encode(pixels(3, dtype)))
        path.write_bytes(whole[:33] + chunk(kind, data) + whole[33:])

    return make


def png_xmp(path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    pillow().save(path, pnginfo=texts)


def jpeg_iptc(path: Path) -> None:
    file = io.BytesIO()
    pillow().save(file, "JPEG", quality=95)
    data = b"Photoshop 3.0\0" + iptc()
    segment = b"\xff\xed" + struct.pack(">H", len(data) + 2) + data
    path.write_bytes(file.getvalue()[:2] + segment + file.getvalue()[2:])


def jxl_with(kind: bytes, data: bytes) -> Maker:
    """A JPEG XL container with a box of metadata."""

    def make(path: Path) -> None:
        def box(name: bytes, content: bytes) -> bytes:
            return struct.pack(">I", len(content) + 8) + name + content

        stream = bytes(imagecodecs.jpegxl_encode(pixels(), lossless=True, usecontainer=False))
        head = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
        path.write_bytes(head + box(kind, data) + box(b"jxlc", stream))

    return make


def pnm(channels: int, *, deep: bool) -> Maker:
    def make(path: Path) -> None:
        head = f"P{6 if channels == 3 else 5}\n{WIDTH} {HEIGHT}\n{65_535 if deep else 255}\n".encode()
        values = pixels(channels, np.uint16 if deep else np.uint8)
        path.write_bytes(head + (values.astype(">u2") if deep else values).tobytes())

    return make


def pnm_is_deep(path: Path) -> bool:
    return path.read_bytes().split(maxsplit=4)[3] == b"65535"


def psd(channels: int, depth: int = 8) -> Maker:
    """A Photoshop document with nothing but its merged picture."""

    def make(path: Path) -> None:
        values = pixels(channels, np.uint8 if depth == 8 else np.uint16).transpose(2, 0, 1)
        mode = 1 if channels < 3 else 3
        head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, HEIGHT, WIDTH, depth, mode)
        path.write_bytes(head + bytes(12) + b"\0\0" + values.astype(f">u{depth // 8}").tobytes())

    return make


def bmp_with_alpha(path: Path) -> None:
    """A BMP with the fourth version of its header, which states where alpha is."""
    values = np.ascontiguousarray(pixels(4)[::-1, :, [2, 1, 0, 3]])
    masks = (0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000)
    header = struct.pack("<IiiHHIIiiII4I4s48x", 108, WIDTH, HEIGHT, 1, 32, 3, values.size, 0, 0, 0, 0, *masks, b"BGRs")
    path.write_bytes(b"BM" + struct.pack("<IHHI", 122 + values.size, 0, 0, 122) + header + values.tobytes())


EXIF_BLOCK = exif().tobytes()
CASES: dict[str, dict[str, tuple[Maker, Keeps]]] = {
    "JPEG": {
        "8": (saved(quality=95), looks(3)),
        "12": (encoded("jpeg", dtype=np.uint16, used=12, bitspersample=12, level=98), lambda _: False),
        "gray": (saved(1, quality=95), looks(1)),
        "ICC": (saved(icc_profile=ICC), has_profile),
        "EXIF": (saved(exif=exif()), has_exif),
        "XMP": (saved(xmp=XMP), contains(b"title='kept'")),
        "IPTC": (jpeg_iptc, contains(b"\x1c\x02\x78\0\x04kept")),
    },
    "PNG": {
        "8": (saved(), looks(3)),
        "16": (encoded("png", dtype=np.uint16), looks(3, np.uint16)),
        "gray": (saved(1), looks(1)),
        "alpha": (saved(4), looks(4)),
        "ICC": (saved(icc_profile=ICC), has_profile),
        "HDR": (png_with(b"cICP", bytes(PQ), dtype=np.uint16), contains(b"cICP" + bytes(PQ))),
        "EXIF": (saved(exif=exif()), has_exif),
        "XMP": (png_xmp, contains(b"title='kept'")),
        "frames": (animated(), has_frames),
    },
    "WebP": {
        "8": (saved(lossless=True), looks(3)),
        "alpha": (saved(4, lossless=True, exact=True), looks(4)),
        "ICC": (saved(icc_profile=ICC), has_profile),
        "EXIF": (saved(exif=exif()), has_exif),
        "XMP": (saved(xmp=XMP), contains(b"title='kept'")),
        "frames": (animated(), has_frames),
    },
    "TIFF": {
        "8": (tiff(), looks(3)),
        "12": (tiff(dtype=np.uint16, used=12, bitspersample=12), looks(3, np.uint16)),
        "16": (tiff(dtype=np.uint16), looks(3, np.uint16)),
        "float": (tiff(dtype=np.float32), looks(3, np.float32)),
        "gray": (tiff(1), looks(1)),
        "alpha": (tiff(4), looks(4)),
        "ICC": (tiff(iccprofile=ICC), has_profile),
        "EXIF": (saved(exif=exif()), has_exif),
        "XMP": (tiff(extratags=[(700, 1, len(XMP), XMP, True)]), contains(b"title='kept'")),
        "IPTC": (tiff(extratags=[(34_377, 1, len(iptc()), iptc(), True)]), contains(b"\x1c\x02\x78\0\x04kept")),
        "frames": (pages, has_frames),
    },
    "AVIF": {
        "8": (saved(quality=100, subsampling="4:4:4"), looks(3)),
        "10": (encoded("avif", dtype=np.uint16, used=10, bitspersample=10, level=100), avif_bits(10)),
        "12": (encoded("avif", dtype=np.uint16, used=12, bitspersample=12, level=100), avif_bits(12)),
        "alpha": (saved(4, quality=100, subsampling="4:4:4"), looks(4)),
        "ICC": (saved(icc_profile=ICC), has_profile),
        "HDR": (
            encoded("avif", dtype=np.uint16, used=10, bitspersample=10, primaries=9, transfer=16, matrix=9),
            contains(b"colrnclx\0\x09\0\x10"),
        ),
        "EXIF": (saved(exif=exif()), has_exif),
        "XMP": (saved(xmp=XMP), contains(b"title='kept'")),
        "frames": (animated(), has_frames),
    },
    "GIF": {"8": (saved(), looks(3)), "alpha": (saved(4), lambda _: False), "frames": (animated(), has_frames)},
    "PPM": {
        "8": (pnm(3, deep=False), looks(3)),
        "16": (pnm(3, deep=True), pnm_is_deep),
        "gray": (pnm(1, deep=False), looks(1)),
    },
    "JPEG XL": {
        "8": (encoded("jpegxl", lossless=True), looks(3)),
        "16": (encoded("jpegxl", dtype=np.uint16, lossless=True), looks(3, np.uint16)),
        "float": (encoded("jpegxl", dtype=np.float32, lossless=True), lambda path: decoded(path).dtype == np.float32),
        "gray": (encoded("jpegxl", 1, lossless=True), looks(1)),
        "alpha": (encoded("jpegxl", 4, lossless=True), looks(4)),
        "EXIF": (jxl_with(b"Exif", b"\0\0\0\0" + EXIF_BLOCK.removeprefix(b"Exif\0\0")), has_exif),
        "XMP": (jxl_with(b"xml ", XMP), contains(b"title='kept'")),
    },
    "JPEG 2000": {
        "8": (saved(irreversible=False), looks(3)),
        "12": (encoded("jpeg2k", dtype=np.uint16, used=12, bitspersample=12, level=0), jp2_bits(12)),
        "16": (encoded("jpeg2k", dtype=np.uint16, level=0), jp2_bits(16)),
        "gray": (saved(1, irreversible=False), looks(1)),
        "alpha": (saved(4, irreversible=False), looks(4)),
    },
    "BMP": {"8": (saved(), looks(3)), "gray": (saved(1), looks(1)), "alpha": (bmp_with_alpha, looks(4))},
    "QOI": {"8": (saved(), looks(3)), "alpha": (saved(4), looks(4))},
    "TGA": {"8": (saved(), looks(3)), "gray": (saved(1), looks(1)), "alpha": (saved(4), looks(4))},
    "ICO": {"8": (saved(4, sizes=[(WIDTH, HEIGHT)]), looks(4)), "alpha": (saved(4, sizes=[(WIDTH, HEIGHT)]), looks(4))},
    "PSD": {
        "8": (psd(3), looks(3)),
        "16": (psd(3, 16), looks(3, np.uint16)),
        "gray": (psd(1), looks(1)),
    },
}
"""For each format and property: what makes a file that has it, and whether a result has it too."""


def outcome(name: str, column: str, folder: Path) -> str:
    """Upscale a file with this property to its own format, or the one that stands in for it.

    Returns:
        `yes` if the result has the property, else `noted` if a note says so, or `refused` after an error.

    Raises:
        AssertionError: The property was lost without a word.
    """
    known = FORMATS[name]
    make, keeps = CASES[name][column]
    source = folder / f"source{known.suffixes[0]}"
    target = folder / f"result{FORMATS[known.written_as or name].suffixes[0]}"
    make(source)
    try:
        written = FORMATS[known.written_as or name]
        output = Output(lossless=written.lossy and written.lossless)
        report = upscale_file(source, target, engine=Repeat(), output=output)
    except MafdnError as error:
        return "refused" if "\n" not in str(error) else "refused in several lines"
    if keeps(target):
        return "yes"
    assert report.notes, f"{name} loses {column} without a note"
    return "noted"
