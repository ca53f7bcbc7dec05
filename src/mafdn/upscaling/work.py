"""Upscaling and encoding all pictures of one file: a single one, frames or pages."""

import time
from collections.abc import Callable
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn.errors import DamagedError
from mafdn.inference import Engine, ensembled, upscale_rows
from mafdn.pictures.metadata import with_new_size
from mafdn.pictures.picture import Picture
from mafdn.pictures.profiles import picture_tone
from mafdn.pictures.sequences.encoder import SequenceEncoder
from mafdn.pictures.sequences.sequence import Sequence
from mafdn.pixels.enlarge import enlarge
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.several import Sizes

Tick = Callable[[int, int], None]


def enlarge_all(
    pictures: Sequence,
    sizes: Sizes,
    engine: Engine,
    encoder: SequenceEncoder,
    options: UpscaleOptions,
    *,
    source: Path,
    on_progress: Tick,
) -> tuple[float, tuple[str, ...]]:
    """Upscale pictures one after the other and encode them; a frame that repeats the one before is computed once.

    Args:
        pictures: The pictures.
        sizes: Their sizes.
        engine: The network.
        encoder: Takes the results; it still has to be finished.
        options: How they are upscaled.
        source: The file to name in errors.
        on_progress: Called as `on_progress(done, total)` after every tile, and may raise.

    Returns:
        The seconds during which the network waited for the encoder, and notes, one sentence each.
    """
    engine = ensembled(engine, options.ensemble)
    waited, notes, repeated = 0.0, dict[str, None](), False
    for number, (size, new_size) in enumerate(zip(sizes.before, sizes.after, strict=True)):
        tick = _share(on_progress, sizes, number)
        repeats, repeated = repeated, pictures.repeats(number + 1)
        if repeats:
            encoder.repeat()
            tick(1, 1)
            continue
        picture = pictures.read(number)
        if (picture.width, picture.height) != size:
            raise DamagedError(f"{printable(source)} is not what it was when its header was read; try again")
        waited += _enlarge(picture, new_size, engine, encoder, options, on_progress=tick, repeated=repeated)
        notes |= dict.fromkeys((*picture.notes, *size_notes(size, new_size, engine.scale, options.strength)))
    return waited, tuple(notes)


def _enlarge(
    picture: Picture,
    new_size: tuple[int, int],
    engine: Engine,
    encoder: SequenceEncoder,
    options: UpscaleOptions,
    *,
    on_progress: Tick,
    repeated: bool,
) -> float:
    """Upscale and encode one picture; returns the seconds during which the network waited for the encoder."""
    width, height = new_size
    waited = 0.0
    resized = with_new_size(picture, width=width, height=height, keep_print_size=options.output.keep_print_size)
    encoder.begin(resized, width=width, height=height, repeated=repeated)
    for band in enlarge(
        picture.planes,
        (width, height),
        network=lambda rows: upscale_rows(
            engine, rows, tile=options.tile, exact=options.exact, mirror=True, on_progress=on_progress
        ),
        scale=engine.scale,
        strength=options.strength,
        tone=picture_tone(picture),
    ):
        ready = time.perf_counter()
        encoder.write(band)
        waited += time.perf_counter() - ready
    ready = time.perf_counter()
    encoder.end()
    return waited + time.perf_counter() - ready


def _share(tick: Tick, sizes: Sizes, number: int) -> Tick:
    """The progress of one of several pictures as that of all, in pixels of the results."""
    if sizes.count == 1:
        return tick
    before, own, total = sizes.pixels_until(number), sizes.pixels_until(number + 1), sizes.pixels_after
    return lambda done, parts: tick(before + (own - before) * done // parts, total)


def size_notes(
    size: tuple[int, int], new_size: tuple[int, int], scale: int, strength: float, *, what: str = "picture"
) -> tuple[str, ...]:
    """Return notes on what else than the network enlarged a picture; `what` is what they call it."""
    (width, height), (new_width, new_height) = size, new_size
    if new_width <= width and new_height <= height:
        return (f"the result is not larger than the {what}: it was resized by Lanczos, without the network",)
    if strength > 0 and (new_width > width * scale or new_height > height * scale):
        return (f"beyond x{scale} the network's result was enlarged by Lanczos",)
    return ()
