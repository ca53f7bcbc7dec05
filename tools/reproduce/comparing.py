"""Compare measurements with stored ones, value by value."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

TOLERANCES: Mapping[str, float] = {"psnr": 0.005, "ssim": 0.0001, "levels": 0.5, "largest": 0.1, "mean": 0.01}
"""Largest allowed differences by the last key of a value: PSNR in dB, SSIM, and 8-bit levels. Other numbers and texts
must be equal."""
LOSSES = ("loss", "differences")
"""Keys of tables of dB, whatever their own keys are."""


@dataclass(frozen=True)
class Difference:
    """A value that differs."""

    place: str
    """Its keys, separated by dots."""
    stored: Any
    made: Any

    def __str__(self) -> str:
        return f"{self.place}: stored {_shown(self.stored)}, made {_shown(self.made)}"


def differences(stored: Any, made: Any, *, ignore: frozenset[str] = frozenset()) -> list[Difference]:
    """All values of two JSON documents that differ by more than `TOLERANCES`.

    Args:
        stored: A stored measurement.
        made: The measurement made again.
        ignore: Keys that are not compared, such as those of the machine.
    """
    return list(_differences(stored, made, (), ignore))


def _differences(stored: Any, made: Any, keys: tuple[str, ...], ignore: frozenset[str]) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(made, dict):
        a, b = cast(dict[str, Any], stored), cast(dict[str, Any], made)
        for key in dict.fromkeys([*a, *b]):
            if key not in ignore:
                yield from _differences(a.get(key), b.get(key), (*keys, key), ignore)
    elif isinstance(stored, list) and isinstance(made, list):
        first, second = cast(list[Any], stored), cast(list[Any], made)
        if len(first) != len(second):
            yield Difference(".".join(keys), f"{len(first)} entries", f"{len(second)} entries")
        for number, (one, other) in enumerate(zip(first, second, strict=False)):
            yield from _differences(one, other, (*keys, _label(one, number)), ignore)
    elif not _equal(stored, made, keys):
        yield Difference(".".join(keys), stored, made)


def _equal(stored: Any, made: Any, keys: tuple[str, ...]) -> bool:
    numbers = [value for value in (stored, made) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2:
        return stored == made
    tolerance = TOLERANCES.get(keys[-1] if keys else "", 0.0)
    if any(key in LOSSES for key in keys):
        tolerance = max(tolerance, TOLERANCES["psnr"])
    return stored == made or abs(stored - made) <= tolerance or (math.isnan(stored) and math.isnan(made))


def _label(entry: Any, number: int) -> str:
    """A name for an entry of a list: its own names where it has some, else its number."""
    if isinstance(entry, dict):
        table = cast(dict[str, Any], entry)
        names = [str(table[key]) for key in ("network", "bench", "set", "scale", "name", "halo") if key in table]
        if names:
            return " ".join(names)
    return str(number)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
