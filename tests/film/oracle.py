"""What ffprobe says of a film: an oracle that shares no code with this package (Debian's FFmpeg)."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

MISSING = "ffprobe is not installed (apt-get install ffmpeg)"
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason=MISSING)
TAGS = ("language", "title", "filename", "mimetype")
"""Metadata of streams that have to be kept; others describe the file."""
COLOR = ("color_range", "color_space", "color_primaries", "color_transfer", "chroma_location")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A moment at which a frame or a packet is shown, in seconds."""

    begin: Fraction
    duration: Fraction | None
    key: bool


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One stream as ffprobe reports it.

    Attributes:
        kind: `video`, `audio`, `subtitle`, `data` or `attachment`.
        codec: FFmpeg's name of the codec.
        about: All that ffprobe reports.
        tags: The metadata in `TAGS`.
        disposition: Names of the flags that are set.
        side: Side data by type.
    """

    kind: str
    codec: str
    about: dict[str, Any]
    tags: dict[str, str]
    disposition: frozenset[str]
    side: dict[str, dict[str, Any]]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.about["width"], self.about["height"]

    @property
    def aspect(self) -> str:
        """Shape of a pixel."""
        return self.about.get("sample_aspect_ratio", "1:1").replace("N/A", "1:1").replace("0:1", "1:1")

    @property
    def color(self) -> dict[str, str]:
        """What is stated about colors."""
        return {name: self.about[name] for name in COLOR if self.about.get(name) not in (None, "unknown")}

    @property
    def rotation(self) -> int:
        """Degrees by which a player turns frames counterclockwise."""
        return int(self.side.get("Display Matrix", {}).get("rotation", 0))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A film as ffprobe reports it."""

    format: str
    duration: float
    start: float
    tags: dict[str, str]
    streams: tuple[Stream, ...]
    chapters: tuple[tuple[float, float, str], ...]

    @property
    def video(self) -> Stream:
        """The first stream of video."""
        return next(stream for stream in self.streams if stream.kind == "video")

    def kinds(self) -> list[tuple[str, str]]:
        """Kind and codec of all streams but video."""
        return [(stream.kind, stream.codec) for stream in self.streams if stream.kind != "video"]


def probe(path: Path) -> Probe:
    """Report on a file; fails if ffprobe finds anything wrong with its structure."""
    found = _run(path, "-show_format", "-show_streams", "-show_chapters")
    streams: list[Stream] = []
    for stream in found["streams"]:
        tags = {name.lower(): value for name, value in stream.get("tags", {}).items()}
        streams.append(
            Stream(
                kind=stream["codec_type"],
                codec=stream.get("codec_name", "none"),
                about=stream,
                tags={name: tags[name] for name in TAGS if name in tags and tags[name] != "und"},
                disposition=frozenset(name for name, value in stream.get("disposition", {}).items() if value),
                side={side["side_data_type"]: side for side in stream.get("side_data_list", [])},
            )
        )
    chapters = tuple(
        (float(one["start_time"]), float(one["end_time"]), one.get("tags", {}).get("title", ""))
        for one in found.get("chapters", [])
    )
    about = found["format"]
    return Probe(
        format=about["format_name"],
        duration=float(about.get("duration", 0)),
        start=float(about.get("start_time", 0)),
        tags={name.lower(): value for name, value in about.get("tags", {}).items()},
        streams=tuple(streams),
        chapters=chapters,
    )


def frames(path: Path, stream: str = "v:0") -> list[Shown]:
    """When each frame of a stream is shown, in the order in which it is shown, as decoded by ffprobe."""
    found = _run(path, "-select_streams", stream, "-show_entries", "stream=time_base:frame=pts,key_frame,pkt_duration")
    unit = Fraction(found["streams"][0]["time_base"])
    return [
        _shown(frame, unit, key=frame["key_frame"] == 1, duration=frame.get("pkt_duration"))
        for frame in found["frames"]
    ]


def packets(path: Path, stream: str) -> tuple[list[Shown], list[str]]:
    """When each packet of a stream is shown, in the order of the file, and hashes of their contents."""
    entries = "stream=time_base:packet=pts,dts,duration,flags,data_hash"
    found = _run(path, "-select_streams", stream, "-show_packets", "-show_data_hash", "md5", "-show_entries", entries)
    unit = Fraction(found["streams"][0]["time_base"])
    shown = [
        _shown(packet, unit, key="K" in packet["flags"], duration=packet.get("duration")) for packet in found["packets"]
    ]
    return shown, [packet["data_hash"] for packet in found["packets"]]


def _shown(entry: dict[str, Any], unit: Fraction, *, key: bool, duration: object) -> Shown:
    length = None if duration is None else int(str(duration)) * unit
    return Shown(begin=int(entry["pts"]) * unit, duration=length, key=key)


def _run(path: Path, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, "-i", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    serious = [line for line in ended.stderr.splitlines() if "Unsupported codec" not in line]
    assert (ended.returncode, ended.stderr) == (0, ended.stderr)
    assert serious == []
    return json.loads(ended.stdout)
