"""Options of a film job, created once and validated on creation."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind, as_number, as_whole
from mafdn.errors import UsageError
from mafdn.upscaling.options import UpscaleOptions

CODECS = ("auto", "x264", "x265", "av1", "ffv1")
"""Names of the encoders; `auto` decides by the film."""
CONTAINERS = ("mp4", "mov", "mkv", "webm", "ts")
"""Names of the containers that are written; each is the ending of a file's name, too."""
PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)
"""Presets of all encoders, from the fastest; those of SVT-AV1 are numbers, to which these names are mapped."""
FIELDS = "fields"
"""The way of deinterlacing that makes a frame of each field."""
MOST_SECONDS = 10_000_000.0
"""Latest moment of a film that can be selected, in seconds."""
USUAL_RATE, MOST_RATE = Fraction(25), 1_000
"""Frames per second of numbered pictures by default, and at most."""
SEGMENT_FRAMES = 240
"""Frames that are encoded together by default: no more than these are lost by an interruption."""


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """How films are upscaled and encoded.

    Args:
        upscale: Size, strength, tiles, limits on the pixels of a frame, and whether existing files are replaced.
        codec: `x264`, `x265`, `av1` (SVT-AV1), `ffv1` (lossless), or `auto`: x264 for 8 bits, x265 for more, and AV1
            if the container is WebM.
        crf: Quality, where smaller is better: 0 to 51 for x264 and x265, 1 to 63 for AV1 (default: by codec).
        preset: Speed against size: one of `PRESETS` (default: by codec).
        container: `mp4`, `mov`, `mkv`, `webm` or `ts` (default: from the result's name, else that of the film, or `mkv`
            if that cannot hold its streams).
        deinterlace: Deinterlace the frames that are interlaced, by FFmpeg's bwdif: one frame for each if `True`, or one
            for each of the two `fields`, at twice the rate. Interlaced films are refused otherwise.
        start: Where to begin, in seconds from the beginning of the film; the result begins at 0.
        end: Where to stop, in seconds from the beginning of the film.
        thumbnails: Whether to write a picture of a frame and of its result from time to time.
        segment_frames: How many frames are encoded together; an interruption costs at most these.
        rate: Frames per second of numbered pictures, as a number or a fraction such as `30000/1001` (default: 25);
            films have their own.

    Raises:
        UsageError: For a value of the wrong type or out of range.
    """

    upscale: UpscaleOptions = field(default_factory=UpscaleOptions)
    codec: str = "auto"
    crf: float | None = None
    preset: str | None = None
    container: str | None = None
    deinterlace: bool | Literal["fields"] = False
    start: float | None = None
    end: float | None = None
    thumbnails: bool = False
    segment_frames: int = SEGMENT_FRAMES
    rate: float | Fraction | str | None = None

    def __post_init__(self) -> None:
        as_kind("upscale", self.upscale, UpscaleOptions)
        _check_choice("codec", self.codec, CODECS)
        if self.preset is not None:
            _check_choice("preset", self.preset, PRESETS)
        if self.container is not None:
            _check_choice("container", self.container, CONTAINERS)
        if self.crf is not None:
            if self.codec == "ffv1":
                raise UsageError("ffv1 is lossless and has no crf; omit it, or choose x264, x265 or av1")
            object.__setattr__(self, "crf", as_number("crf", self.crf, least=0, most=63))
        if self.codec == "ffv1" and self.preset is not None:
            raise UsageError("ffv1 has no presets; omit it, or choose x264, x265 or av1")
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_number(name, getattr(self, name), least=0, most=MOST_SECONDS))
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(f"end ({self.end:g} s) must be later than start ({self.start or 0:g} s)")
        if not (self.deinterlace is True or self.deinterlace is False or self.deinterlace == FIELDS):
            raise UsageError(f"deinterlace must be True, False or {FIELDS!r}, not {self.deinterlace!r}")
        as_kind("thumbnails", self.thumbnails, bool)
        object.__setattr__(
            self, "segment_frames", as_whole("segment_frames", self.segment_frames, least=1, most=100_000)
        )
        if self.rate is not None:
            object.__setattr__(self, "rate", _rate(self.rate))

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second of numbered pictures."""
        return USUAL_RATE if self.rate is None else _rate(self.rate)


def _rate(value: object) -> Fraction:
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"rate must be a number such as 25 or 30000/1001, not {printable(str(value))!r}") from None
    if not 0 < rate <= MOST_RATE:
        raise UsageError(f"rate must be above 0 and at most {MOST_RATE} frames per second, not {printable(str(value))}")
    return rate


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {name} {printable(str(value))!r}; choose from {', '.join(choices)}")
