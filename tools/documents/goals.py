"""The speed goals of this project, and whether a stored measurement of `mafdn bench` reaches them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mafdn.bench.cases import OURS
from mafdn.evaluation.tables import Table

FASTER_THAN_TORCH = 2.2
"""Speed of fp32 in OpenVINO relative to torch, both on the CPU."""
INT8_FASTER = 2.0
"""Speed of int8 relative to fp32, both in OpenVINO on the CPU."""
SHARE_OF_CEILING = 0.7
"""Rate of fp32 in OpenVINO as a share of the ceiling."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal at one scale, and what was measured."""

    what: str
    scale: int
    target: float
    measured: float

    @property
    def reached(self) -> bool:
        return self.measured >= self.target


def goals(measured: Mapping[str, Any]) -> list[Goal]:
    """The goals that a measurement covers, scale by scale, judged by the fastest runs.

    Args:
        measured: The JSON of `mafdn bench`.
    """
    found: list[Goal] = []
    for scale in dict.fromkeys(row["scale"] for row in measured["rows"]):
        rows = {
            (row["latency"]["engine"].partition(" ")[0], row["precision"]): row
            for row in measured["rows"]
            if row["name"] == OURS and row["scale"] == scale and row["device"] == "cpu"
        }
        plain = rows.get(("openvino", "fp32"))
        if plain is None:
            continue
        least, eager, int8 = plain["latency"]["least"], rows.get(("torch", "fp32")), rows.get(("openvino", "int8"))
        if eager:
            ratio = eager["latency"]["least"] / least
            found.append(
                Goal(what="fp32, speed relative to torch", scale=scale, target=FASTER_THAN_TORCH, measured=ratio)
            )
        if int8:
            ratio = least / int8["latency"]["least"]
            found.append(Goal(what="int8, speed relative to fp32", scale=scale, target=INT8_FASTER, measured=ratio))
        if plain["share"]:
            share = float(plain["share"])
            found.append(Goal(what="fp32, share of the ceiling", scale=scale, target=SHARE_OF_CEILING, measured=share))
    return found


def goal_table(measured: Mapping[str, Any]) -> Table:
    """The goals as a table."""
    rows = [
        [
            f"x{goal.scale}: {goal.what}",
            f"{goal.target:g}",
            f"{goal.measured:.2f}",
            "reached" if goal.reached else "missed",
        ]
        for goal in goals(measured)
    ]
    return Table("goal", ["", "at least", "measured", ""], rows)
