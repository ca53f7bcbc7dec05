"""Figures from papers, with their sources; `inferred` names those that rest on a measurement."""

import difflib
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mafdn.errors import ConfigError
from mafdn.weights.header import SCALES

TABLE = Path(__file__).with_name("published.toml")
"""The table that ships."""
KEYS = {"name", "like", "source", "inferred", *(f"x{scale}" for scale in SCALES)}


@dataclass(frozen=True, kw_only=True)
class Published:
    """Published figures of one network at one scale."""

    name: str
    like: str
    """The corresponding key of `mafdn.networks.ARCHITECTURES`; may be empty."""
    scale: int
    source: str
    inferred: str
    """Which figures are inferred from others, and how; empty if all are printed in the source."""
    parameters: float | None
    multi_adds: float | None
    """For a 1280x720 output."""
    scores: dict[str, tuple[float, float]]
    """PSNR in dB and SSIM on luma by benchmark dataset."""


def read_published(path: Path = TABLE) -> list[Published]:
    """Read a table of published figures; `published.toml` shows the format.

    Returns:
        An entry for every network and scale.

    Raises:
        ConfigError: The file cannot be read or is invalid.
    """
    try:
        networks = tomllib.loads(path.read_text("utf-8")).get("network", [])
    except OSError as error:
        raise ConfigError.from_os_error(f"cannot read {path}", error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    try:
        return [entry for network in networks for entry in _entries(network)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} is not a table of published figures: {error}") from None


def _entries(network: dict[str, Any]) -> list[Published]:
    for key in network.keys() - KEYS:
        raise ValueError(f"unknown key {key}, did you mean {difflib.get_close_matches(key, KEYS, n=1, cutoff=0)[0]}?")
    entries: list[Published] = []
    for scale in SCALES:
        table = cast(dict[str, Any], network.get(f"x{scale}", {}))
        if not table:
            continue
        scores = {key: value for key, value in table.items() if key not in ("parameters", "multi_adds")}
        entries.append(
            Published(
                name=str(network["name"]),
                like=str(network.get("like", "")),
                scale=scale,
                source=str(network["source"]),
                inferred=str(network.get("inferred", "")),
                parameters=_number(table.get("parameters")),
                multi_adds=_number(table.get("multi_adds")),
                scores={bench: _pair(bench, value) for bench, value in scores.items()},
            )
        )
    return entries


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{value!r} is not a number above 0")
    return float(value)


def _pair(bench: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(cast(list[Any], value)) != 2:
        raise ValueError(f"{bench} must be [PSNR, SSIM], not {value!r} (other keys are parameters and multi_adds)")
    psnr, ssim = (_number(entry) for entry in cast(list[Any], value))
    if psnr is None or ssim is None:
        raise ValueError(f"{bench} must be [PSNR, SSIM]")
    return psnr, ssim
