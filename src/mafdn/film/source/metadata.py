"""Read what PyAV gives as raw bytes or as text: mastering data, display matrix, cropping, chroma position."""

import re
import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from av import VideoFrame
from av.sidedata.sidedata import SideData

from mafdn.film.source.info import Light

PLACES = ("left", "center", "topleft", "top", "bottomleft", "bottom")
"""FFmpeg's names of the positions of chroma samples."""
TIMECODE = "timecode"
"""Name of the metadata with the time code of the first frame."""
LOST_OF_FRAMES = {
    "A53_CC": "closed captions in its video",
    "DOVI_METADATA": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "STEREO3D": "stereo 3D",
    "SPHERICAL": "a spherical projection",
}
"""Types of side data of frames that are not carried over."""
LOST_OF_STREAMS = {"DOVI configuration record": "Dolby Vision", "spherical:": "a spherical projection"}
"""Words in FFmpeg's description of a stream for what is not carried over."""
_STREAM = r"^ +Stream #0:{index}\b.*?(?=^ +Stream #0:|\Z)"
_PIXEL_FORMAT = re.compile(r": Video: .*?, \w+\(([^()]*)\)")
_SIDE_DATA = re.compile(r"^( *)Side data:\n((?:\1  .*\n?)*)", re.MULTILINE)
_CROP = re.compile(r"[Cc]ropping: (\d+)/(\d+)/(\d+)/(\d+)")


def light_of(frame: VideoFrame) -> Light:
    """Read the mastering display and the light level of a frame, two structs of FFmpeg."""
    primaries = luminance = cll = fall = None
    mastering = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if mastering is not None and len(mastering) >= 88:
        numbers = struct.unpack_from("=20i2i", mastering)
        pairs = list(zip(numbers[0:20:2], numbers[1:20:2], strict=True))
        if all(below for _, below in pairs):
            values = tuple(Fraction(above, below) for above, below in pairs)
            primaries = values[:8] if numbers[20] else None
            luminance = (values[8], values[9]) if numbers[21] else None
    level = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    if level is not None and len(level) >= 8:
        cll, fall = struct.unpack_from("=2I", level)
    return Light(primaries=primaries, luminance=luminance, max_cll=cll, max_fall=fall)


def display_matrix_of(frame: VideoFrame) -> tuple[int, ...] | None:
    """Read the nine numbers of the display matrix of a frame."""
    data = _side_data(frame, "DISPLAYMATRIX")
    return None if data is None or len(data) < 36 else struct.unpack_from("=9i", data)


def chroma_location_in(text: str, index: int) -> str | None:
    """Find the chroma position of a stream in FFmpeg's description of a file: `yuv420p(tv, bt709, left)`."""
    found = _PIXEL_FORMAT.search(_stream_in(text, index).split("\n", 1)[0])
    words = found[1].split(", ") if found else []
    return next((word for word in words if word in PLACES), None)


def cropping_in(text: str, index: int) -> tuple[int, int, int, int]:
    """Find how many pixels the container hides at the left, top, right and bottom of a stream."""
    crop = _CROP.search(_side_data_in(_stream_in(text, index)))
    if crop is None:
        return 0, 0, 0, 0
    left, right, top, bottom = (int(number) for number in crop.groups())
    return left, top, right, bottom


def timecode_in(metadata: Mapping[str, str]) -> str | None:
    """Find the time code in metadata, whose names Matroska writes in capitals."""
    return next((value for name, value in metadata.items() if name.lower() == TIMECODE), None)


def lost_features(frame: VideoFrame, text: str) -> list[str]:
    """Name what a film has that results do not: side data of frames, and of streams in FFmpeg's description."""
    kinds = {data.type.name for data in _all_side_data(frame)}
    in_frames = [name for kind, name in LOST_OF_FRAMES.items() if kind in kinds]
    lines = _side_data_in(text)
    return in_frames + [name for word, name in LOST_OF_STREAMS.items() if word in lines and name not in in_frames]


def _stream_in(text: str, index: int) -> str:
    """Return what FFmpeg's description says about a stream."""
    found = re.search(_STREAM.format(index=index), text, re.DOTALL | re.MULTILINE)
    return found[0] if found else ""


def _side_data_in(text: str) -> str:
    """Return the lines about side data in FFmpeg's description, without those of metadata, which may say anything."""
    return "".join(lines for _, lines in _SIDE_DATA.findall(text))


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    return next((bytes(data) for data in _all_side_data(frame) if data.type.name == kind), None)


def _all_side_data(frame: VideoFrame) -> list[SideData]:
    return list(cast(Any, frame.side_data))  # it iterates over values, not over keys
