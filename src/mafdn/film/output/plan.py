"""Decide how the result of a film is encoded and stored."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn.errors import UsageError
from mafdn.film.choice import as_shown
from mafdn.film.frame import swaps_sides, turns
from mafdn.film.options import FilmOptions
from mafdn.film.output.containers import BY_ENDING, MUXERS, ways_to_hold
from mafdn.film.output.encoders import Encoder, choose_encoder
from mafdn.film.source.info import Color, FilmInfo
from mafdn.upscaling.size import Size, result_size

HOLDS = {
    "mp4": ("x264", "x265", "av1"),
    "mov": ("x264", "x265", "av1", "ffv1"),
    "mkv": ("x264", "x265", "av1", "ffv1"),
    "webm": ("av1",),
    "ts": ("x264", "x265"),
}
"""Encoders whose video a container holds."""
BARE = ("ts",)
"""Containers without rotation, chapters, time codes and titles of streams."""
USUAL_H264 = (4096, 2304)
"""Longer and shorter side up to which players show H.264 (level 5.2)."""
LARGEST_SHIFT = 2**31 - 1
"""Largest translation in a display matrix."""


@dataclass(frozen=True)
class FilmPlan:
    """What the result will be.

    Attributes:
        width: Width of the result of a frame, before it is turned; even where the pixel format needs that.
        height: Height, likewise.
        encoder: How it is encoded.
        color: How its values are to be understood; all that was assumed is tagged.
        sample_aspect_ratio: Width of a pixel divided by its height, as it is stored.
        display_matrix: That of the film, for the new size, or `None`.
        turn: The matrix by which results are turned before they are encoded, where the container has no display matrix.
        container: One of `CONTAINERS`; the ending of the result's name without the dot, unless a name was given.
        muxer: FFmpeg's name of the container.
        ways: How the container holds the other streams of the film: index, and `copy`, `attach` or `convert`.
        notes: What a user should know, such as why the container is another one; one line each.
    """

    width: int
    height: int
    encoder: Encoder
    color: Color
    sample_aspect_ratio: Fraction
    display_matrix: tuple[int, ...] | None
    turn: tuple[int, ...] | None
    container: str
    muxer: str
    ways: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result, for the resize after the network."""
        return self.width, self.height

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the frames that are encoded."""
        return (self.height, self.width) if swaps_sides(self.turn) else self.size


def plan_film(info: FilmInfo, options: FilmOptions, *, scale: int, target: Path | None = None) -> FilmPlan:
    """Decide on size, encoder and container.

    Args:
        info: The film; its file is opened to find out what containers hold its streams.
        options: `upscale.size`, `codec`, `crf`, `preset` and `container` are used.
        scale: Scale of the network, the size of the result if none was asked for.
        target: Name of the result, if the user gave one; it decides the container.

    Raises:
        UsageError: The settings exclude each other, such as x264 in WebM, the name has an unknown ending, or the
            container that was asked for cannot hold the sound.
        PictureError: The result would have too many pixels.
    """
    notes: list[str] = []
    asked = _asked_container(options, target)
    container = asked or _default_container(info)
    encoder, color, told = choose_encoder(info, options, webm=container == "webm")
    notes += told
    if asked and encoder.name not in HOLDS[asked]:
        raise UsageError(f"{asked} cannot hold {encoder.name}; choose {' or '.join(HOLDS[asked])}, or mkv")
    if not asked:
        container, told = _fitting_container(info, container, encoder)
        notes += told
    ways = ways_to_hold(info, container)
    notes += _lost(info, container, ways, asked=asked is not None)
    wanted = _size(info, options.upscale.effective_size(scale))
    width, height = _even(wanted, encoder, color, options.upscale.effective_size(scale))
    new_width, new_height = as_shown(info, (width, height))
    if (width, height) != wanted:
        asked_width, asked_height = as_shown(info, wanted)
        exact = f"{asked_width}x{asked_height}"
        notes.append(f"the result has {new_width}x{new_height} pixels, not {exact}: its format needs even sizes")
    matrix, turn, ratio = info.display_matrix, None, info.sample_aspect_ratio
    if container in BARE and turns(matrix):
        turn, ratio = matrix, 1 / ratio if swaps_sides(matrix) else ratio
        notes.append(f"frames are turned before they are encoded, because {container} cannot hold a rotation")
    options.upscale.limits.check_pixels(info.path, new_width, new_height, what="would become")
    if encoder.name == "x264" and (max(width, height) > USUAL_H264[0] or min(width, height) > USUAL_H264[1]):
        fit = "3840x2160" if new_width >= new_height else "2160x3840"
        notes.append(f"few players show H.264 of {new_width}x{new_height} pixels; use the codec x265, or fit {fit}")
    return FilmPlan(
        width=width,
        height=height,
        encoder=encoder,
        color=color,
        sample_aspect_ratio=ratio,
        display_matrix=None if container in BARE else _moved(matrix, Fraction(width, info.width)),
        turn=turn,
        container=container,
        muxer=MUXERS[container],
        ways=tuple(sorted(ways.items())),
        notes=tuple(notes),
    )


def _asked_container(options: FilmOptions, target: Path | None) -> str | None:
    if target is None:
        return options.container
    named = BY_ENDING.get(target.suffix.lower())
    if named is None:
        raise UsageError(f"{printable(target)} is not a name for a film; let it end in {', '.join(sorted(BY_ENDING))}")
    if options.container not in (None, named):
        raise UsageError(f"{printable(target)} is a name for {named}, not for {options.container}; omit one of them")
    return named


def _default_container(info: FilmInfo) -> str:
    """Return the film's own container, or the one whose kind it is; `mkv` for those that are not written."""
    named = BY_ENDING.get(info.path.suffix.lower())
    if info.format.startswith("mov,mp4"):
        return "mov" if named == "mov" else "mp4"
    if info.format.startswith("matroska"):
        return "webm" if named == "webm" else "mkv"
    return "ts" if info.format == "mpegts" else "mkv"


def _fitting_container(info: FilmInfo, container: str, encoder: Encoder) -> tuple[str, list[str]]:
    """Return `mkv` with the reason if the film's own container does not hold everything, and `mkv` holds more."""
    name = printable(info.path)
    if encoder.name not in HOLDS[container]:
        return "mkv", [f"the result is written as mkv, because {container} cannot hold {encoder.name}"]
    if container == "mkv":
        if not info.format.startswith("matroska"):
            return "mkv", [f"the result is written as mkv, because the format of {name} is not written"]
        return container, []
    held = ways_to_hold(info, container).keys() | {info.stream}
    missing = {stream.index for stream in info.streams} - held
    rescued = missing & ways_to_hold(info, "mkv").keys() if missing else set[int]()
    if not rescued:
        return container, []
    kinds = ", ".join(f"{s.kind} {s.codec or 'of an unknown kind'}" for s in info.streams if s.index in rescued)
    return "mkv", [f"the result is written as mkv, because {container} cannot hold everything of {name}: {kinds}"]


def _lost(info: FilmInfo, container: str, ways: dict[int, str], *, asked: bool) -> list[str]:
    """Say what is converted or left out; a container that would lose sound is refused if it was asked for."""
    notes: list[str] = []
    for stream in info.streams:
        name = f"stream {stream.index} of {printable(info.path)} ({stream.kind} {stream.codec or 'of an unknown kind'})"
        if ways.get(stream.index) == "convert":
            notes.append(f"{name} will be converted, because {container} cannot hold it as it is")
        elif stream.index != info.stream and stream.index not in ways:
            if stream.codec is None and stream.kind != "data":
                reason = "its codec is not supported"
            elif stream.sample_rate == 0:
                reason = "the film is damaged and does not say its sample rate"
            elif asked and stream.kind == "audio":
                raise UsageError(f"{container} cannot hold {name}; choose mkv")
            else:
                reason = f"{container} cannot hold it"
            notes.append(f"{name} is left out, because {reason}")
    if container in BARE and (lost := _lost_in_bare(info)):
        notes.append(f"{container} cannot hold {' and '.join(lost)} of {printable(info.path)}")
    return notes


def _lost_in_bare(info: FilmInfo) -> list[str]:
    """Name what a container without all of that leaves out."""
    found = {
        "the chapters": info.chapters > 0,
        "the time code": info.timecode is not None,
        "the titles of streams": any(stream.title for stream in info.streams),
    }
    return [name for name, lost in found.items() if lost]


def _size(info: FilmInfo, size: Size) -> tuple[int, int]:
    """Return the size of the result; widths and heights are meant as displayed, in pixels of the film."""
    if info.rotation % 180 == 0:
        return result_size(size, info.width, info.height)
    height, width = result_size(size, info.height, info.width)
    return width, height


def _even(size: tuple[int, int], encoder: Encoder, color: Color, wanted: Size) -> tuple[int, int]:
    """Make both sides even where needed: larger for a factor, smaller for a size, which may be a limit."""
    if encoder.name == "ffv1" or color.subsampling == (0, 0):
        return size
    step = 1 if wanted.scale is not None else -1
    width, height = (side if side % 2 == 0 else max(2, side + step) for side in size)
    return width, height


def _moved(matrix: tuple[int, ...] | None, factor: Fraction) -> tuple[int, ...] | None:
    """Scale the translation in a display matrix, as far as it can be stored."""
    if matrix is None:
        return None
    x, y = (min(max(round(value * factor), -LARGEST_SHIFT), LARGEST_SHIFT) for value in matrix[6:8])
    return (*matrix[:6], x, y, matrix[8])
