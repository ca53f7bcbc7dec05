"""The options of requests: as text in forms and queries, or as JSON; checked and turned into `UpscaleOptions`."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mafdn._support.atomic import printable
from mafdn._support.validate import as_number, as_whole
from mafdn.errors import UsageError
from mafdn.inference.ensemble import ENSEMBLES
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import LARGEST, Size, as_box

LEAST_TILE, MOST_TILE = 96, 1024
"""Sides of tiles, in input pixels, that requests may choose; larger ones need much memory."""
LONGEST_TEXT = 200
"""Most characters of a value."""
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
"""Texts that forms give for yes and no."""
SIZES = ("scale", "width", "height", "longest", "fit", "megapixels")
"""Options of which at most one is given."""


@dataclass(frozen=True)
class Option:
    """One option: its type in JSON, its help, and further keys of its schema."""

    type: str
    help: str
    schema: Mapping[str, Any]


def _option(type_name: str, text: str, **schema: Any) -> Option:
    return Option(type_name, text, schema)


OPTIONS = {
    "scale": _option("number", "Factor, such as 2.5 (default: the network's, 4).", exclusiveMinimum=0),
    "width": _option("integer", "Width of the result in pixels.", minimum=1, maximum=LARGEST),
    "height": _option("integer", "Height of the result in pixels.", minimum=1, maximum=LARGEST),
    "longest": _option("integer", "Longest side of the result in pixels.", minimum=1, maximum=LARGEST),
    "fit": _option("string", "Largest size that fits into WxH pixels.", pattern="^[0-9]{1,10}[xX][0-9]{1,10}$"),
    "megapixels": _option("number", "Maximum size in megapixels.", exclusiveMinimum=0),
    "strength": _option("number", "Share of the network; the rest is Lanczos (default: 1).", minimum=0, maximum=1),
    "format": _option("string", "Format of the result, as in `formats` of the information (default: the input's)."),
    "quality": _option("integer", "Quality of JPEG, WebP, AVIF and JPEG XL (default: 95).", minimum=1, maximum=100),
    "lossless": _option("boolean", "Write lossless WebP, AVIF or JPEG XL."),
    "strip_metadata": _option("boolean", "Remove EXIF, XMP and IPTC; the color profile is kept."),
    "keep_print_size": _option("boolean", "Raise the print resolution with the size in pixels."),
    "frame": _option("integer", "The only frame or page to upscale, from 1 (default: all).", minimum=1),
    "tile": _option("integer", "Tile side in input pixels (default: 512).", minimum=LEAST_TILE, maximum=MOST_TILE),
    "exact": _option("boolean", "Overlap tiles by the full receptive field (slower)."),
    "ensemble": _option(
        "integer", "8 averages over eight orientations: a little better, about 8 times slower.", enum=list(ENSEMBLES)
    ),
    "verify": _option("boolean", "Compare the result, reduced again, with the input."),
    "network": _option("string", "One of `networks` of the information (default: `default_network`)."),
    "max_pixels": _option("integer", "Most pixels of the input or the result, below the server's limit.", minimum=1),
    "max_file_mb": _option("number", "Largest input file in MB, below the server's limit.", minimum=0),
    "max_seconds": _option("number", "Time limit in seconds, below the server's limit.", minimum=0),
}
"""All options by name, in the order of documents."""


def options_schema() -> dict[str, Any]:
    """Return the JSON schema of the options."""
    properties = {
        name: {"type": option.type, "description": option.help, **option.schema} for name, option in OPTIONS.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def parse_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the options of a request to the types of their schema; empty texts and nulls count as not given.

    Raises:
        UsageError: For an unknown option, or a value of the wrong type.
    """
    given: dict[str, Any] = {}
    for name, value in values.items():
        option = OPTIONS.get(name)
        if option is None:
            raise UsageError(f"unknown option {_shown(name)}; choose from {', '.join(OPTIONS)}")
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "":
            continue
        given[name] = _CONVERT[option.type](name, value)
    return given


def build_options(given: Mapping[str, Any], limits: Limits) -> UpscaleOptions:
    """Build the options of a picture from those of its request.

    Args:
        given: What `parse_options` returned.
        limits: The limits of the server.

    Raises:
        UsageError: For a value out of range, or options that exclude each other.
    """
    tile = given.get("tile")
    if tile is not None:
        as_whole("tile", tile, least=LEAST_TILE, most=MOST_TILE)
    return UpscaleOptions(
        size=_size(given),
        strength=given.get("strength", 1.0),
        output=Output(
            format=given.get("format"),
            quality=given.get("quality"),
            lossless=given.get("lossless", False),
            strip_metadata=given.get("strip_metadata", False),
            keep_print_size=given.get("keep_print_size", False),
        ),
        limits=_lower(limits, given),
        tile=tile,
        exact=given.get("exact", False),
        ensemble=given.get("ensemble", 1),
        frame=given.get("frame"),
        verify=given.get("verify", False),
    )


def choose_network(given: Mapping[str, Any], networks: Mapping[str, str], default: str) -> str:
    """Return the name of the network that a request chooses; raises `UsageError` for one that is not on offer."""
    name = given.get("network", default)
    if name not in networks:
        raise UsageError(f"unknown network {_shown(name)}; choose from {', '.join(networks)}")
    return name


def _size(given: Mapping[str, Any]) -> Size | None:
    values = {name: given[name] for name in SIZES if name in given}
    if not values:
        return None
    if "fit" in values:
        values["fit"] = as_box(values["fit"], name="fit")
    return Size(**values)


def _lower(limits: Limits, given: Mapping[str, Any]) -> Limits:
    """Return the limits of the server, lowered as a request asks for; the time starts now."""
    for name in ("max_pixels", "max_file_mb", "max_seconds"):
        if name in given:
            as_number(name, given[name], least=0, most=math.inf)
    seconds = [s for s in (limits.seconds, given.get("max_seconds")) if s is not None]
    return replace(
        limits,
        pixels=min(limits.pixels, given.get("max_pixels", limits.pixels)),
        file_mb=min(limits.file_mb, given.get("max_file_mb", limits.file_mb)),
        seconds=min(seconds, default=None),
        began=time.monotonic(),
    )


def _to_number(name: str, value: Any) -> float:
    number: Any = None
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    if number is None or not math.isfinite(number):
        raise UsageError(f"{name} must be a number, not {_shown(value)}")
    return number


def _to_integer(name: str, value: Any) -> int:
    number = _to_number(name, value)
    if number % 1 != 0 or abs(number) > LARGEST:
        raise UsageError(f"{name} must be a whole number of at most {LARGEST}, not {_shown(value)}")
    return int(number)


def _to_boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    raise UsageError(f"{name} must be true or false, not {_shown(value)}")


def _to_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise UsageError(f"{name} must be a text of at most {LONGEST_TEXT} characters, not {_shown(value)}")
    return value


_CONVERT: Mapping[str, Callable[[str, Any], Any]] = {
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "string": _to_text,
}


def _shown(value: Any) -> str:
    text = repr(printable(value) if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
