"""What is known about a film before its frames are decoded."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True)
class Light:
    """Static metadata of a high dynamic range (SMPTE ST 2086 and CTA 861.3).

    Attributes:
        primaries: x and y of red, green, blue and white of the mastering display, if known.
        luminance: Least and greatest luminance of the mastering display in cd/m², if known.
        max_cll: Maximum content light level in cd/m², if known.
        max_fall: Maximum frame-average light level in cd/m², if known.
    """

    primaries: tuple[Fraction, ...] | None = None
    luminance: tuple[Fraction, Fraction] | None = None
    max_cll: int | None = None
    max_fall: int | None = None


@dataclass(frozen=True)
class Color:
    """How the values of a film are to be understood, as numbers of ITU-T H.273 (which FFmpeg uses, too).

    Attributes:
        pixel_format: FFmpeg's name of the pixel format, such as `yuv420p10le`.
        bits: Bits per sample.
        subsampling: log2 of the horizontal and vertical chroma subsampling: (1, 1) is 4:2:0.
        kind: `yuv`, `rgb` or `gray`.
        alpha: Whether there is transparency, which is not carried over.
        full_range: Whether values use the full range.
        matrix: Matrix that is used; never 2 (unspecified).
        matrix_tag: Matrix as tagged; 2 if the film does not say.
        range_tag: 0 unspecified, 1 limited, 2 full, as tagged.
        primaries: As tagged; 2 if the film does not say.
        transfer: As tagged; 2 if the film does not say.
        chroma_location: FFmpeg's name of the position of chroma samples, such as `left`, or `None` if the film does
            not say.
        light: Metadata of a high dynamic range.
    """

    pixel_format: str
    bits: int
    subsampling: tuple[int, int]
    kind: str
    alpha: bool
    full_range: bool
    matrix: int
    matrix_tag: int
    range_tag: int
    primaries: int
    transfer: int
    chroma_location: str | None
    light: Light


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a film.

    Attributes:
        index: Its number in the file.
        kind: `video`, `audio`, `subtitle`, `data` or `attachment`.
        codec: FFmpeg's name of the codec, or `None` if it is unknown.
        language: As tagged.
        title: As tagged.
        picture: Whether it is a picture such as a cover, not a film.
        sample_rate: Samples of sound per second; 0 if a damaged film does not say it, `None` without sound.
    """

    index: int
    kind: str
    codec: str | None
    language: str | None
    title: str | None
    picture: bool
    sample_rate: int | None = None


@dataclass(frozen=True)
class FilmInfo:
    """A film.

    Attributes:
        path: The file.
        format: FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
        codec: FFmpeg's name of the video codec.
        stream: Index of the video stream that is upscaled.
        width: Width of frames in pixels, after cropping, before rotation and not corrected for the aspect ratio.
        height: Height, likewise.
        rotation: Degrees by which a player turns frames counterclockwise, a multiple of 90 for most films.
        display_matrix: The nine numbers of the matrix from which `rotation` is taken, or `None`.
        crop: Pixels that the container hides at the left, top, right and bottom; frames come without them.
        sample_aspect_ratio: Width of a pixel divided by its height; 1 if the film does not say.
        time_base: Unit of the time stamps of frames in seconds.
        average_rate: Frames per second on average, or `None` if unknown.
        nominal_rate: Frames per second that the film aims at, such as 30000/1001, or `None` if unknown.
        start_pts: Time stamp of the beginning of the film (of all its streams), in `time_base`.
        duration: Seconds that are selected, or `None` if unknown.
        frame_count: Estimated number of frames that are selected, or `None` if unknown; for a variable frame rate it
            can be far off, and damaged films have fewer.
        ends: Time stamp, in `time_base`, at which the video ends as the film says, or `None` if it does not.
        color: How values are to be understood.
        interlaced: Whether the first frames are interlaced, as the file has them.
        streams: All streams of the file.
        chapters: Number of chapters.
        notes: What a user should know: one line each.
        timecode: Time code of the first frame, such as `01:00:00:00`, as the file counts frames, or `None`.
        fields: Whether each field becomes a frame; then all times are in half of the file's unit, and rates and the
            number of frames are those of fields.
    """

    path: Path
    format: str
    codec: str
    stream: int
    width: int
    height: int
    rotation: int
    display_matrix: tuple[int, ...] | None
    crop: tuple[int, int, int, int]
    sample_aspect_ratio: Fraction
    time_base: Fraction
    average_rate: Fraction | None
    nominal_rate: Fraction | None
    start_pts: int
    duration: float | None
    frame_count: int | None
    ends: int | None
    color: Color
    interlaced: bool
    streams: tuple[StreamInfo, ...]
    chapters: int
    notes: tuple[str, ...]
    timecode: str | None = None
    fields: bool = False

    @property
    def stored_time_base(self) -> Fraction:
        """Unit of the time stamps in the file in seconds."""
        return self.time_base * 2 if self.fields else self.time_base

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def by_fields(self) -> "FilmInfo":
        """Return what is known about the film if each of its fields becomes a frame; frames of one field stay one."""
        factor = 2 if self.interlaced else 1
        return replace(
            self,
            time_base=self.time_base / 2,
            average_rate=None if self.average_rate is None else self.average_rate * factor,
            nominal_rate=None if self.nominal_rate is None else self.nominal_rate * factor,
            start_pts=self.start_pts * 2,
            frame_count=None if self.frame_count is None else self.frame_count * factor,
            ends=None if self.ends is None else self.ends * 2,
            fields=True,
        )
