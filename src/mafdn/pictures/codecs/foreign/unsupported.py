"""Formats of pictures, documents and films that are not read: how they are recognized, and what to do about them."""

from pathlib import Path

from mafdn.pictures.codecs import FORMATS

AS_TIFF = "convert it to 16-bit TIFF first"
AS_PNG = "convert it to PNG first"
EXPORT = "export it as PNG or TIFF first"
RENDER = "render it as PNG in the size that you want instead"
FILM = "use mafdn upscale or mafdn.upscale_film, which take films"
DEVELOP = "develop it first (darktable, RawTherapee, or the camera's program) and give the TIFF or JPEG"

RAW_SUFFIXES = frozenset(
    """
    .3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .k25 .kdc .mdc .mef .mos .mrw .nef .nrw .orf
    .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f
    """.split()  # noqa: SIM905 - readable
)
"""Endings of raw photographs. Many start like TIFF files, but only hold a thumbnail as such."""

FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".mxf"),
    *(".nut", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".dv", ".mjpeg", ".y4m", ".ivf", ".obu"),
    *(".m2v", ".264", ".h264", ".265", ".h265", ".hevc"),
)
"""Endings of the names of films, in lower case."""
FILMS: tuple[tuple[int, bytes, str], ...] = (
    *((4, b"ftyp" + brand, f"a film (MP4 or QuickTime); {FILM}") for brand in (b"isom", b"iso", b"mp4", b"avc1")),
    *((4, b"ftyp" + brand, f"a film (MP4 or QuickTime); {FILM}") for brand in (b"M4V ", b"qt  ", b"3gp", b"MSNV")),
    (0, b"\x1a\x45\xdf\xa3", f"a film (Matroska or WebM); {FILM}"),
    (8, b"AVI LIST", f"a film (AVI); {FILM}"),
    (0, b"\0\0\x01\xba", f"a film (MPEG); {FILM}"),
    (0, b"\0\0\x01\xb3", f"a film (MPEG); {FILM}"),
    (0, b"FLV\x01", f"a film (FLV); {FILM}"),
    (0, b"0&\xb2u\x8ef\xcf\x11", f"a film (WMV); {FILM}"),
)
"""Where films have which bytes, and what they are."""
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"v/1\x01", f"OpenEXR; {AS_TIFF}"),
    (0, b"#?RADIANCE", f"Radiance HDR; {AS_TIFF}"),
    (0, b"#?RGBE", f"Radiance HDR; {AS_TIFF}"),
    (0, b"PF\n", f"a picture of floating-point numbers (PFM); {AS_TIFF}"),
    (0, b"Pf\n", f"a picture of floating-point numbers (PFM); {AS_TIFF}"),
    (0, b"P7\n", f"a PAM picture; {AS_PNG}"),
    (0, b"DDS ", f"a DDS texture; {AS_PNG}"),
    (0, b"\xabKTX ", f"a KTX texture; {AS_PNG}"),
    (0, b"\x13\xab\xa1\x5c", f"an ASTC texture; {AS_PNG}"),
    (0, b"II\xbc\x01", f"JPEG XR; {AS_TIFF}"),
    (0, b"\xff\xd8\xff\xf7", f"a JPEG-LS picture; {AS_TIFF}"),
    (0, b"\xff\xd8\xff\xe8\0 SPIFF", f"a JPEG-LS picture; {AS_TIFF}"),
    (0, b"BPG\xfb", f"a BPG picture; {AS_PNG}"),
    (0, b"FLIF", f"a FLIF picture; {AS_PNG}"),
    (0, b"\x8aMNG\r\n\x1a\n", f"an MNG animation; {AS_PNG}"),
    (0, b"\x8bJNG\r\n\x1a\n", f"a JNG picture; {AS_PNG}"),
    (0, b"farbfeld", f"a farbfeld picture; {AS_PNG}"),
    (0, b"icns", f"an icon of macOS (ICNS); {AS_PNG}"),
    (0, b"\x59\xa6\x6a\x95", f"a Sun raster picture; {AS_PNG}"),
    (0, b"\x01\xda\x00", f"an SGI picture; {AS_PNG}"),
    (0, b"\x01\xda\x01", f"an SGI picture; {AS_PNG}"),
    (0, b"/* XPM */", f"an XPM picture; {AS_PNG}"),
    (0, b"AT&TFORM", f"a DjVu document; {EXPORT}"),
    (0, b"SIMPLE  =", f"a FITS file of astronomy; {AS_TIFF}"),
    (128, b"DICM", f"a DICOM file of medicine; {AS_TIFF}"),
    (0, b"gimp xcf", f"a GIMP document; {EXPORT}"),
    (0, b"%PDF", "a PDF document; export its pages as pictures first"),
    (0, b"%!PS", f"a PostScript document; {RENDER}"),
    (0, b"\xc5\xd0\xd3\xc6", f"an EPS document; {RENDER}"),
    (0, b"\xd7\xcd\xc6\x9a", f"a Windows metafile (WMF); {RENDER}"),
    (40, b" EMF", f"a Windows metafile (EMF); {RENDER}"),
    (8, b"CDR", f"a CorelDRAW document; {EXPORT}"),
    (8, b"ILBM", f"an IFF picture (ILBM); {AS_PNG}"),
    (8, b"CR\x02\0", f"a raw photograph (CR2); {DEVELOP}"),
    (4, b"ftypcrx ", f"a raw photograph (CR3); {DEVELOP}"),
    (6, b"HEAPCCDR", f"a raw photograph (CRW); {DEVELOP}"),
    (0, b"FUJIFILMCCD-RAW", f"a raw photograph (RAF); {DEVELOP}"),
    (0, b"FOVb", f"a raw photograph (X3F); {DEVELOP}"),
    (0, b"\0MRM", f"a raw photograph (MRW); {DEVELOP}"),
    (0, b"IIRO", f"a raw photograph (ORF); {DEVELOP}"),
    (0, b"IIRS", f"a raw photograph (ORF); {DEVELOP}"),
    (0, b"MMOR", f"a raw photograph (ORF); {DEVELOP}"),
    (0, b"IIU\0", f"a raw photograph (RW2); {DEVELOP}"),
    *FILMS,
)
"""Where files of these formats have which bytes, and what they are."""
RIFF_OR_FORM = {b"CDR": b"RIFF", b"ILBM": b"FORM", b"AVI LIST": b"RIFF", b"CR\x02\0": b"II*\0"}
"""How files begin whose signature stands further on."""
SUFFIXES = {
    ".exr": f"OpenEXR by its name; {AS_TIFF}",
    ".dds": f"a DDS texture by its name; {AS_PNG}",
    ".pcx": f"a PCX picture; {AS_PNG}",
    ".pict": f"a PICT picture; {AS_PNG}",
    ".svg": f"an SVG drawing; {RENDER}",
    ".svgz": f"an SVG drawing; {RENDER}",
    ".emf": f"a Windows metafile; {RENDER}",
    ".wmf": f"a Windows metafile; {RENDER}",
    ".xbm": f"an XBM picture; {AS_PNG}",
    ".dcm": f"a DICOM file of medicine by its name; {AS_TIFF}",
    ".jxr": f"JPEG XR by its name; {AS_TIFF}",
    ".wdp": f"JPEG XR by its name; {AS_TIFF}",
    ".kra": f"a Krita document; {EXPORT}",
    ".ora": f"an OpenRaster document; {EXPORT}",
}
"""Endings of formats that have no signature, or are of a kind that is called by its name in any case."""
LONGEST = 256
"""Bytes from the start of a file that are enough to recognize all of these."""


def unsupported_kind(start: bytes, path: Path) -> str | None:
    """What a file is, and what to do about it; `None` if it is of none of these formats.

    Args:
        start: Its first `LONGEST` bytes.
        path: Its name counts where content is not enough.
    """
    ending = path.suffix.lower()
    if start.startswith(FORMATS["TIFF"].magic) and ending in RAW_SUFFIXES:
        return f"a raw photograph ({ending[1:].upper()}); {DEVELOP}"
    kind = _matching(start, SIGNATURES)
    if kind is not None:
        return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in start):
        return f"an SVG drawing; {RENDER}"
    if text.startswith(b"<?xml") and ending in (".svg",):
        return SUFFIXES[".svg"]
    return None


def is_film_content(start: bytes) -> bool:
    """Whether a file that begins with these bytes, `LONGEST` of them, is a film of a kind that is recognized."""
    return _matching(start, FILMS) is not None


def is_film_file(path: Path) -> bool:
    """Whether a regular file is a film of a kind that is recognized by its content."""
    with path.open("rb") as file:
        return is_film_content(file.read(LONGEST))


def _matching(start: bytes, signatures: tuple[tuple[int, bytes, str], ...]) -> str | None:
    for place, signature, kind in signatures:
        if start.startswith(signature, place) and start.startswith(RIFF_OR_FORM.get(signature, b"")):
            return kind
    return None


def claimed_kind(path: Path) -> str | None:
    """What a file of unknown content claims to be by its name, in the words of `unsupported_kind`."""
    ending = path.suffix.lower()
    if ending in RAW_SUFFIXES:
        return f"a raw photograph by its name ({ending[1:].upper()}); {DEVELOP}"
    return SUFFIXES.get(ending)
