"""Which files are films, and the names of their results."""

import hashlib
import os
import stat
from pathlib import Path

from mafdn.errors import MafdnError
from mafdn.pictures.codecs.foreign.unsupported import FILM_SUFFIXES, LONGEST, is_film_content
from mafdn.pictures.formats import sniff
from mafdn.pictures.picture import Format
from mafdn.upscaling.pattern import LONGEST_NAME, Pattern
from mafdn.upscaling.size import Size

ENDINGS = {"mp4": (".mp4", ".m4v"), "mov": (".mov", ".qt"), "ts": (".ts", ".mts", ".m2ts")}
"""Endings of the names of films by container, where these are several; the first one is the default."""
LARGEST_SIDE = 65_535
"""Largest width and height of any encoder, in pixels; each may have a lower limit of its own."""
SYNC, PACKET = b"G", 188
"""The byte with which every packet of a transport stream begins, and the length of these packets."""
NOT_FILMS = (".ts",)
"""Endings that other files, such as programs, have more often; of these, the content decides."""


def is_film(path: Path) -> bool:
    """Whether a file is a film by its content, or by its name if its content is neither a film nor a picture."""
    ending = path.suffix.lower()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            start = file.read(LONGEST)
    except (OSError, ValueError):  # reading it will say why
        return ending in FILM_SUFFIXES
    if is_film_content(start):
        return True
    if ending not in FILM_SUFFIXES:
        return False
    if ending in NOT_FILMS:
        return start[:1] == SYNC == start[PACKET : PACKET + 1]
    try:
        sniff(path)
    except MafdnError:
        return True
    return False


def is_animation_for(path: Path, target: Path) -> bool:
    """Whether `path` is a picture, not a film, and `target` the name of a film."""
    if target.suffix.lower() not in FILM_SUFFIXES or is_film(path):
        return False
    try:
        sniff(path)
    except MafdnError:
        return False
    return True


def film_format(container: str) -> Format:
    """Return how files of a container are named, as `Pattern.name` takes it."""
    return Format(
        name=container,
        codec="",
        magic=(),
        suffixes=ENDINGS.get(container, (f".{container}",)),
        largest_side=LARGEST_SIDE,
        alpha=False,
        metadata=frozenset(),
        bits=(),
    )


def name_beside(form: str, name: str, *, spare: int = 0) -> str:
    """Return the name of a file beside a result, such as `.film.mp4.mafdn`.

    Args:
        form: A pattern with `{}` for the name of the result. That is cut and gets 8 digits of its SHA-256 if the whole
            name would be longer than file systems allow.
        name: The name of the result.
        spare: Bytes that are kept free for further endings, such as `.partial`.
    """
    encoded, longest = os.fsencode(name), LONGEST_NAME - spare
    if len(os.fsencode(form.format(name))) <= longest:
        return form.format(name)
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return form.format(encoded[: longest - len(form.format(digest))].decode("utf-8", "ignore") + digest)


def default_target(
    source: Path,
    size: Size,
    new_size: tuple[int, int],
    container: str,
    *,
    start: float | None = None,
    end: float | None = None,
) -> Path:
    """Return the default path of a result: `film_x4.mp4` beside `film.mp4`, or `film_1920x1080.mp4`.

    A part of the film, in seconds, has a name of its own: `film_0s-10s_x4.mp4`, or `film_from-90s_x4.mp4`.
    """
    extra = "" if end is None else f"_{start or 0:.10g}s-{end:.10g}s"
    if end is None and start is not None:
        extra = f"_from-{start:.10g}s"
    return source.with_name(Pattern.default(size).name(source, size, new_size, film_format(container), extra=extra))
