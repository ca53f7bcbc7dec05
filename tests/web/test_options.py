"""Options of requests."""

from typing import Any

import pytest

from mafdn.errors import UsageError
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from mafdn.web.options import OPTIONS, build_options, choose_network, options_schema, parse_options

LIMITS = Limits(pixels=10**6, file_mb=10, seconds=60)


def test_forms_and_json_give_the_same() -> None:
    text = {"scale": "2.5", "quality": "80", "lossless": "false", "verify": "1", "format": " webp ", "width": ""}
    json = {"scale": 2.5, "quality": 80, "lossless": False, "verify": True, "format": "webp", "width": None}
    assert parse_options(text) == parse_options(json) == {key: v for key, v in json.items() if v is not None}


def test_options_become_those_of_the_command() -> None:
    given = parse_options(
        {"fit": "300x200", "strength": "0.5", "format": "webp", "quality": "80", "strip_metadata": "true"}
        | {"keep_print_size": "true", "tile": "256", "exact": "true", "frame": "2", "verify": "true"}
    )
    built = build_options(given, LIMITS)
    assert built == UpscaleOptions(
        size=Size(fit=(300, 200)),
        strength=0.5,
        output=Output(format="webp", quality=80, strip_metadata=True, keep_print_size=True),
        limits=built.limits,
        tile=256,
        exact=True,
        frame=2,
        verify=True,
    )


def test_every_option_of_the_command_is_offered() -> None:
    offered = {*OPTIONS, "size", "output", "limits"}
    unneeded = {"overwrite", "keep_times"}  # results never replace anything, and uploads have no times
    assert set(UpscaleOptions.__dataclass_fields__) - unneeded <= offered
    assert set(Output.__dataclass_fields__) <= offered
    assert set(Size.__dataclass_fields__) <= offered


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sclae": "2"}, "unknown option 'sclae'"),
        ({"scale": "two"}, "scale must be a number"),
        ({"scale": "nan"}, "scale must be a number"),
        ({"scale": True}, "scale must be a number"),
        ({"scale": [2]}, "scale must be a number"),
        ({"quality": "80.5"}, "quality must be a whole number"),
        ({"lossless": "maybe"}, "lossless must be true or false"),
        ({"format": 3}, "format must be a text"),
        ({"scale": "2", "width": "100"}, "exactly one size"),
        ({"scale": "0"}, "scale must be above 0"),
        ({"scale": "-1"}, "scale must be above 0"),
        ({"fit": "300"}, "fit must be WIDTHxHEIGHT"),
        ({"tile": "100000"}, "tile must be between"),
        ({"quality": "101"}, "quality must be between"),
        ({"format": "exe"}, "unknown format"),
        ({"format": "png", "quality": "80"}, "PNG has no quality"),
        ({"frame": "0"}, "frame must be between"),
        ({"max_seconds": "-1"}, "max_seconds must be between"),
    ],
)
def test_invalid_options_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_options(parse_options(values), LIMITS)


def test_requests_only_lower_limits() -> None:
    higher = build_options(parse_options({"max_pixels": "2000000", "max_file_mb": "99", "max_seconds": "99"}), LIMITS)
    lower = build_options(parse_options({"max_pixels": "10", "max_file_mb": "1", "max_seconds": "5"}), LIMITS)
    assert (higher.limits.pixels, higher.limits.file_mb, higher.limits.seconds) == (10**6, 10, 60)
    assert (lower.limits.pixels, lower.limits.file_mb, lower.limits.seconds) == (10, 1, 5)


def test_networks_are_names_on_offer_and_never_files() -> None:
    networks = {"auto": "auto", "mine": "/models/mine.onnx"}
    assert choose_network({}, networks, "auto") == "auto"
    assert choose_network({"network": "mine"}, networks, "auto") == "mine"
    for name in ("/models/mine.onnx", "../mine", "runs/x4"):
        with pytest.raises(UsageError, match="unknown network"):
            choose_network({"network": name}, networks, "auto")


def test_the_schema_has_every_option() -> None:
    schema = options_schema()
    assert list(schema["properties"]) == list(OPTIONS)
    assert schema["additionalProperties"] is False
