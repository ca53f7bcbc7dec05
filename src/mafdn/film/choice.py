"""The choice of the network for a film, and the size of its results."""

from collections.abc import Callable
from dataclasses import replace

from mafdn.film.frame import Pixels
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.reader import FilmSource
from mafdn.upscaling.choice.weights import WeightsChoice, choose_by_pixels
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet, Selection
from mafdn.upscaling.size import Size, result_size

Networks = NetworkSet | AutomaticNetworks

LOSSLESS = frozenset(
    """
    aasc alias_pix apng bmp cllc cscd dxtory exr ffv1 ffvhuff flashsv flashsv2 flic fraps gif huffyv hymt lagarith loco
    magicyuv msrle pam pcx png ppm pgm qtrle rawvideo rscc screenpresso sgi targa tiff tscc tscc2 utvideo v210 v308 v408
    v410 vble vmnc wcmv y41p yuv4 zlib zmbv
    """.split()  # noqa: SIM905 - readable
)
"""FFmpeg's names of codecs that keep every pixel."""


def choose_film_weights(info: FilmInfo, first: Callable[[], Pixels]) -> WeightsChoice:
    """Choose the variant for a whole film, so that all its frames look alike.

    Args:
        info: The film.
        first: Returns its first frame, which decides if the codec is lossless.
    """
    if info.codec in LOSSLESS:
        choice = choose_by_pixels(first())
        return replace(choice, reason=f"{info.codec} is lossless, and {choice.reason}")
    return WeightsChoice(variant="photo", reason=f"{info.codec} is a lossy codec")


def select(networks: Networks, film: FilmSource) -> Selection:
    """Select the networks for a film, by its first frame if its codec does not decide."""
    return networks.select(
        lambda: choose_film_weights(film.info, lambda: next(film.frames()).pixels), bits=film.info.color.bits
    )


def as_shown(info: FilmInfo, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return width and height of a film, or of its result, as it is shown, after its rotation."""
    width, height = size or info.size
    return (height, width) if info.rotation % 180 else (width, height)


def exact_size(info: FilmInfo, size: Size) -> tuple[int, int]:
    """Return width and height of results, before rotation, if nothing needs them to be even."""
    width, height = result_size(size, *as_shown(info))
    return (height, width) if info.rotation % 180 else (width, height)
