"""Fitting metadata to the format of a file: texts and comments change their form, and blocks may be too long."""

import contextlib
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mafdn._support.atomic import printable
from mafdn.pictures.codecs.png_chunks import TEXT_KINDS
from mafdn.pictures.codecs.tiff.entries import ASCII, EXIF, LONG, UNDEFINED, Entry, build_exif, parse_exif
from mafdn.pictures.metadata import BLOCKS, IPTC, XMP, fields_of_exif, listed
from mafdn.pictures.metadata import EXIF as EXIF_FIELD
from mafdn.pictures.picture import Format, Picture, PngChunk

COMMENT = "Comment"
"""Keyword of texts in PNG files that are comments in JPEG and GIF files."""
COMMENTED = {"JPEG": 65_533, "GIF": 1 << 20}
"""Formats with comments, and most bytes of one."""
USER_COMMENT = 0x9286
EXIF_OF_KEYWORD = {
    "Description": 270,
    "Software": 305,
    "Author": 315,
    "Copyright": 33_432,
    COMMENT: USER_COMMENT,
    "parameters": USER_COMMENT,
}
"""EXIF tags by keyword of a PNG text; `parameters` is where image generators put theirs."""
LONGEST_KEYWORD = 79
"""Characters of a keyword in a note, which is what PNG allows."""
LONGEST_TEXT = 1 << 20
"""Bytes in a decompressed text that is carried into EXIF."""
MOST_TEXTS = 64
"""Texts of one keyword that are decompressed."""
LONGEST_IN_JPEG = {XMP: 65_502, IPTC: 65_533}
"""Most bytes in a block of metadata in JPEG, from which libvips leaves out longer ones without a word."""
LONGEST_EXIF = 64_500
"""Most bytes in an EXIF block in formats other than TIFF; libvips adds to it, cuts off the rest after 65,534 bytes."""


def fit_metadata(picture: Picture, kind: Format) -> Picture:
    """Bring the metadata of a picture into the form that a format has.

    Returns:
        The picture with other fields, chunks and comments, and notes in `lost_metadata` on what the format cannot hold.
        Blocks that the format does not have at all stay.
    """
    picture = picture if kind.name == "TIFF" else _without_long_blocks(picture, kind)
    if kind.name == "PNG":
        comments = tuple(_chunk_of_text(COMMENT, _decoded(comment)) for comment in picture.comments)
        return replace(picture, chunks=(*picture.chunks, *comments), comments=())
    if not picture.chunks and not picture.comments:
        return picture
    return _with_texts(replace(picture, chunks=(), comments=()), kind, picture.chunks, picture.comments)


def _with_texts(picture: Picture, kind: Format, chunks: Sequence[PngChunk], comments: Sequence[bytes]) -> Picture:
    """The picture with the texts of these chunks and comments, in a format other than PNG."""
    commented, longest = kind.name in COMMENTED, COMMENTED.get(kind.name, 0)
    kept = [comment for comment in comments if commented and len(comment) <= longest]
    lost = [COMMENT] * (len(comments) - len(kept)) if commented else []
    exif: dict[int, tuple[str, str]] = {}
    texts = [(_keyword_of(chunk), partial(_text_of, chunk)) for chunk in chunks if chunk.kind in TEXT_KINDS]
    texts += [(COMMENT, partial(_decoded, comment)) for comment in comments if not commented]
    others = sorted({chunk.kind.decode() for chunk in chunks if chunk.kind not in TEXT_KINDS})
    tries = Counter[str]()
    for keyword, read in texts:
        tag = EXIF_OF_KEYWORD.get(keyword) if "EXIF" in kind.metadata else None
        as_comment, as_exif = commented and keyword == COMMENT, tag is not None and tag not in exif
        tries[keyword] += as_comment or as_exif
        text = read() if (as_comment or as_exif) and tries[keyword] <= MOST_TEXTS else None
        if text is not None and as_comment and len(text.encode()) <= longest:
            kept.append(text.encode())
        elif text is not None and tag is not None and as_exif:
            exif[tag] = keyword, text
        else:
            lost.append(keyword)
    if exif:
        fields, refused = _fields_with(picture, {tag: text for tag, (_, text) in exif.items()})
        picture = replace(picture, fields=fields)
        lost += [keyword for tag, (keyword, _) in exif.items() if tag in refused]
    if lost:
        names = list(dict.fromkeys(printable(name[:LONGEST_KEYWORD]) or "one without a keyword" for name in lost))
        picture = _with_loss(picture, f"{kind.name} files are written without these texts: {listed(names)}")
    if others:
        picture = _with_loss(picture, f"{kind.name} files are written without PNG's {listed(others)} data")
    return replace(picture, comments=tuple(kept))


def _fields_with(picture: Picture, texts: dict[int, str]) -> tuple[dict[str, tuple[Any, Any]], set[int]]:
    """The fields with texts added to EXIF, and the tags for which EXIF has a value already."""
    block = picture.fields.get(EXIF_FIELD, (None, b""))[1]
    try:
        entries, order = parse_exif(block) if block else (dict[int, Entry](), ">")
    except ValueError:
        return dict(picture.fields), set(texts)
    inner = dict(entries[EXIF].children or {}) if EXIF in entries else {}
    refused = {tag for tag in texts if tag in entries or tag in inner}
    for tag in texts.keys() - refused:
        if tag == USER_COMMENT:
            coded = texts[tag].encode("utf-16-le" if order == "<" else "utf-16-be")
            inner[tag] = Entry(kind=UNDEFINED, data=b"UNICODE\0" + coded)
        else:
            entries[tag] = Entry(kind=ASCII, data=texts[tag].encode() + b"\0")
    if inner:
        entries[EXIF] = Entry(kind=LONG, children=inner)
    kept = {name: field for name, field in picture.fields.items() if not name.startswith("exif-")}
    return kept | fields_of_exif(build_exif(entries, order=order)), refused


def _without_long_blocks(picture: Picture, kind: Format) -> Picture:
    """The picture without blocks of metadata that are too long for a format other than TIFF, with notes."""
    limits = {EXIF_FIELD: LONGEST_EXIF} | (LONGEST_IN_JPEG if kind.name == "JPEG" else {})
    for name, most in limits.items():
        block = picture.fields.get(name, (None, b""))[1]
        if len(block) > most and name == EXIF_FIELD:
            with contextlib.suppress(ValueError):  # from a block that is invalid
                block = build_exif(parse_exif(block)[0])  # without its thumbnail, which is not written
        if len(block) > most and BLOCKS[name] in kind.metadata:
            own = "exif-" if name == EXIF_FIELD else name
            fields = {field: value for field, value in picture.fields.items() if not field.startswith(own)}
            note = f"its {BLOCKS[name]} data are too long for {kind.name}: they were left out"
            picture = _with_loss(replace(picture, fields=fields), note)
    return picture


def _with_loss(picture: Picture, note: str) -> Picture:
    return replace(picture, lost_metadata=(*picture.lost_metadata, note))


def _decoded(comment: bytes) -> str:
    """A comment as text: UTF-8 where it is valid, else Latin-1."""
    comment = comment.rstrip(b"\0").replace(b"\0", b" ")
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _chunk_of_text(keyword: str, text: str) -> PngChunk:
    """The chunk for a text: `tEXt` in Latin-1 if that has all of its characters, else `iTXt`."""
    try:
        return PngChunk(kind=b"tEXt", data=keyword.encode() + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return PngChunk(kind=b"iTXt", data=keyword.encode() + b"\0\0\0\0\0" + text.encode())


def _keyword_of(chunk: PngChunk) -> str:
    return chunk.data.partition(b"\0")[0].decode("latin-1")


def _text_of(chunk: PngChunk) -> str | None:
    """The text in a chunk of one of `TEXT_KINDS`; `None` if it is damaged or too long."""
    _, zero, rest = chunk.data.partition(b"\0")
    try:
        if not zero:
            return None
        if chunk.kind == b"tEXt":
            return rest.decode("latin-1").replace("\0", " ")
        if chunk.kind == b"zTXt":
            return _inflated(rest[1:]).decode("latin-1").replace("\0", " ")
        _, _, text = rest[2:].split(b"\0", 2)  # after two flags: language, keyword in that language, text
        return (_inflated(text) if rest[:1] == b"\1" else text).decode().replace("\0", " ")
    except (ValueError, zlib.error):
        return None


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, LONGEST_TEXT)
    if not inflater.eof:
        raise ValueError("too long or damaged")
    return text
