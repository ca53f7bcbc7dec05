"""The options of `mafdn upscale` for films."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mafdn._support.atomic import printable
from mafdn.cli.inputs import OnePicture
from mafdn.errors import UsageError

if TYPE_CHECKING:
    from mafdn import FilmOptions, UpscaleOptions

FILM = "Film"
"""Group of these options on the help page."""
CLOCK = re.compile(r"(?:(?:(\d{1,5}):)?(\d{1,2}):)?(\d{1,8}(?:\.\d{1,9})?)s?")
"""A moment as `90`, `90.5s`, `1:30` or `1:02:03.5`."""
UNITS = re.compile(r"(?=\d)(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8}(?:\.\d{1,9})?)s)?")
"""A moment as `1h2m3s`, or parts of that."""


def _moment(text: str) -> float:
    """Parse a number of seconds in one of these ways."""
    found = CLOCK.fullmatch(text.strip()) or UNITS.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 90, 90s, 1:30 or 1:02:03.5")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3_600 * hours + 60 * minutes + seconds


Codec = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="x264, x265, av1, or ffv1 (lossless); default: x264 for 8 bits, x265 for more, AV1 in WebM.",
        rich_help_panel=FILM,
    ),
]
Crf = Annotated[
    float | None,
    typer.Option(
        "--crf", help="Quality, smaller is better; 0 to 51, AV1: 1 to 63 (default: by codec).", rich_help_panel=FILM
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", help="ultrafast to veryslow: time of encoding against size (default: fast).", rich_help_panel=FILM
    ),
]
Container = Annotated[
    str | None,
    typer.Option(
        "--container",
        help="mp4, mov, mkv, webm or ts (default: as the film, or mkv if that cannot hold its streams).",
        rich_help_panel=FILM,
    ),
]
Deinterlace = Annotated[
    bool, typer.Option("--deinterlace", help="Deinterlace an interlaced film (bwdif).", rich_help_panel=FILM)
]
DeinterlaceFields = Annotated[
    bool,
    typer.Option(
        "--deinterlace-fields",
        help="Deinterlace it into a frame for each field, at twice the rate.",
        rich_help_panel=FILM,
    ),
]
From = Annotated[
    float | None,
    typer.Option(
        "--from", metavar="TIME", parser=_moment, help="Begin here, as 90, 1:30 or 1m30s.", rich_help_panel=FILM
    ),
]
To = Annotated[
    float | None,
    typer.Option("--to", metavar="TIME", parser=_moment, help="Stop here, likewise.", rich_help_panel=FILM),
]
Preview = Annotated[
    float | None,
    typer.Option(
        "--preview",
        metavar="TIME",
        parser=_moment,
        help="Only this much, such as 10s, from --from or the beginning on.",
        rich_help_panel=FILM,
    ),
]
ShowThumbnails = Annotated[
    bool,
    typer.Option(
        "--thumbnails",
        help="Keep pictures of a part of the latest frame, before and after, beside the result.",
        rich_help_panel=FILM,
    ),
]
SegmentFrames = Annotated[
    int | None,
    typer.Option(
        "--segment-frames",
        help="Frames that are encoded together, and the most that an interruption costs (default: 240).",
        min=1,
        max=100_000,
        rich_help_panel=FILM,
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        help="Frames per second of numbered pictures, as 25 or 30000/1001 (default: 25).",
        rich_help_panel=FILM,
    ),
]
NAMES = {
    "codec": "--codec",
    "crf": "--crf",
    "preset": "--preset",
    "container": "--container",
    "deinterlace": "--deinterlace",
    "deinterlace_fields": "--deinterlace-fields",
    "start": "--from",
    "end": "--to",
    "preview": "--preview",
    "thumbnails": "--thumbnails",
    "segment_frames": "--segment-frames",
    "rate": "--rate",
}
"""The options by the names of their parameters."""
ENCODING = ("codec", "crf", "preset", "container", "thumbnails", "segment_frames")
"""Parameters that concern the encoding of a film."""


def given_options(**values: Any) -> dict[str, Any]:
    """Return the options that are given; their parameters are the keys of `NAMES`."""
    return {name: value for name, value in values.items() if value is not None and value is not False}


def film_options(upscale: "UpscaleOptions", given: Mapping[str, Any]) -> "FilmOptions":
    """Return the options for films.

    Args:
        upscale: The options that films share with pictures.
        given: What `given_options` returns.

    Raises:
        UsageError: If values are invalid or exclude each other.
    """
    from mafdn.film.options import FIELDS, FilmOptions

    fields = dict(given)
    if fields.pop("deinterlace_fields", False):
        fields["deinterlace"] = FIELDS
    preview = fields.pop("preview", None)
    if preview is not None:
        if "end" in fields:
            raise UsageError("use either --to or --preview, not both")
        fields["end"] = fields.get("start", 0.0) + preview
    return FilmOptions(upscale=upscale, **fields)


def is_film_job(single: OnePicture) -> bool:
    """Whether a film is read, or made of pictures."""
    from mafdn.film.names import is_animation_for, is_film
    from mafdn.film.numbered.names import Numbering

    source = Path(single.source)
    return (
        is_film(source)
        or Numbering.parse(single.source) is not None
        or is_animation_for(source, Path(single.target or ""))
    )


def as_folder_run(single: OnePicture) -> tuple[list[str], str, str] | None:
    """Return inputs, folder and pattern of the run that makes numbered pictures of numbered pictures, else `None`.

    Raises:
        UsageError: If the names differ in more than their folders and endings.
        PictureError: If there is no such picture.
    """
    from mafdn.film.numbered.names import Numbering

    pictures, results = Numbering.parse(single.source), Numbering.parse(single.target or "")
    if pictures is None or results is None:
        return None
    if Path(pictures.name).stem != Path(results.name).stem:
        same = f"{Path(pictures.name).stem}{Path(results.name).suffix}"
        raise UsageError(f"results are numbered like the pictures: use -o {printable(results.folder / same)}")
    return [str(path) for path in pictures.files()], str(results.folder), f"{{stem}}{Path(results.name).suffix}"


def refuse_film_options(source: str, given: Mapping[str, Any]) -> None:
    """Raise `UsageError` if options for films are given for the picture `source`; `given` as for `film_options`."""
    for name in given:
        raise UsageError(f"{NAMES[name]} is for films, and {printable(source)} is not one")


def refuse_rate(given: Mapping[str, Any]) -> None:
    """Raise `UsageError` if `--rate` is given for anything but a film of numbered pictures."""
    if "rate" in given:
        raise UsageError("--rate is for films of numbered pictures such as 'in/%06d.png'; omit it")


def refuse_unused_options(film: OnePicture, options: "UpscaleOptions", given: Mapping[str, Any]) -> None:
    """Raise `UsageError` if options are given that have no effect on a film or on the pictures that are made of it.

    Args:
        film: The film or numbered pictures, and the place of the result.
        options: The options that films share with pictures.
        given: What `given_options` returns.
    """
    from mafdn.film.numbered.names import Numbering

    if Numbering.parse(film.source) is None:
        refuse_rate(given)
    output, results = options.output, Numbering.parse(film.target or "")
    numbered = results is not None or Numbering.parse(film.source) is not None
    unused = [
        ("--keep-times", options.keep_times and numbered, "omit it"),
        ("--keep-print-size", output.keep_print_size, "omit it"),
        ("--frame", options.frame is not None, "use --from and --to"),
        ("--verify", options.verify, "omit it"),
    ]
    if results is None:
        unused += [
            ("--format", output.format is not None, "use --container and --codec"),
            ("--quality", output.quality is not None, "use --crf"),
            ("--lossless", output.lossless, "use --codec ffv1"),
            ("--strip-metadata", output.strip_metadata, "omit it"),
        ]
    elif encoding := [NAMES[name] for name in ENCODING if name in given]:
        raise UsageError(f"{encoding[0]} is for films, and {printable(results.path)} names pictures")
    for name, is_given, advice in unused:
        if is_given:
            raise UsageError(f"{name} is for pictures, not for films; {advice}")
