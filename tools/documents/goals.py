"""The speed goals of this project, and whether a stored measurement of `mafdn bench` reaches them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mafdn._support.machine import Machine
from mafdn.bench.cases import OURS, RESIZES
from mafdn.evaluation.tables import Table
from mafdn.inference.engines.model_files import has_int8
from mafdn.inference.engines.precision import precision_on
from mafdn.weights.shipped import shipped

FASTER_THAN_TORCH = 2.2
"""Speed of fp32 in OpenVINO relative to torch, both on the CPU."""
INT8_FASTER = 2.0
"""Speed of int8 relative to fp32, both in OpenVINO on the CPU."""
SHARE_OF_CEILING = 0.7
"""Rate of fp32 in OpenVINO as a share of the ceiling."""
FASTER_THAN_PEERS = 1.0
"""Speed of the default precision relative to another network in its fastest precision."""
Row = Mapping[str, Any]
"""A row of the JSON of `mafdn bench`."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal at one scale, and what was measured."""

    what: str
    scale: int
    target: float
    measured: float
    ships: bool = True
    """Whether the file that was measured ships, in these or in other weights."""

    @property
    def outcome(self) -> str:
        if not self.ships:
            return "no longer ships"
        return "reached" if self.measured >= self.target else "missed"


def goals(measured: Mapping[str, Any]) -> list[Goal]:
    """The goals that a measurement covers, scale by scale, judged by the fastest runs.

    Args:
        measured: The JSON of `mafdn bench`.
    """
    found: list[Goal] = []
    for scale in dict.fromkeys(row["scale"] for row in measured["rows"]):
        on_cpu = [row for row in measured["rows"] if row["scale"] == scale and row["device"] == "cpu"]
        rows = {
            (row["latency"]["engine"].partition(" ")[0], row["precision"]): row for row in on_cpu if row["name"] == OURS
        }
        plain = rows.get(("openvino", "fp32"))
        if plain is None:
            continue
        least, eager, int8 = _least(plain), rows.get(("torch", "fp32")), rows.get(("openvino", "int8"))
        if eager:
            ratio = _least(eager) / least
            found.append(
                Goal(what="fp32, speed relative to torch", scale=scale, target=FASTER_THAN_TORCH, measured=ratio)
            )
        if int8:
            found.append(
                Goal(
                    what="int8, speed relative to fp32",
                    scale=scale,
                    target=INT8_FASTER,
                    measured=least / _least(int8),
                    ships=ships_int8(scale),
                )
            )
        if plain["share"]:
            share = float(plain["share"])
            found.append(Goal(what="fp32, share of the ceiling", scale=scale, target=SHARE_OF_CEILING, measured=share))
        peers = [row for row in on_cpu if row["name"] not in (OURS, *RESIZES)]
        if peers:
            default = precision_on(_machine(measured), shipped(scale, ".onnx"))
            if ours := rows.get(("openvino", default)):
                found += _against_peers(ours, peers)
    return found


def goal_table(measured: Mapping[str, Any]) -> Table:
    """The goals as a table."""
    rows = [
        [f"x{goal.scale}: {goal.what}", f"{goal.target:g}", f"{goal.measured:.2f}", goal.outcome]
        for goal in goals(measured)
    ]
    return Table("goal", ["", "at least", "measured", ""], rows)


def withdrawn_note(measured: Mapping[str, Any]) -> str:
    """A sentence about measured int8 files that do not ship; empty if there are none."""
    scales = dict.fromkeys(
        row["scale"] for row in measured["rows"] if (row["name"], row["precision"]) == (OURS, "int8")
    )
    gone = [f"x{scale}" for scale in scales if not ships_int8(scale)]
    if not gone:
        return ""
    return f"The int8 file of {' and '.join(gone)} that was measured no longer ships ([int8.md](int8.md))."


def ships_int8(scale: int) -> bool:
    """Whether an int8 file of the classic weights ships."""
    return has_int8(shipped(scale, ".onnx"))


def _against_peers(ours: Row, peers: Sequence[Row]) -> list[Goal]:
    """The goal against every other network, each in the precision in which it was fastest."""
    found: list[Goal] = []
    for name in dict.fromkeys(row["name"] for row in peers):
        best = min((row for row in peers if row["name"] == name), key=_least)
        what = f"default ({ours['precision']}), speed relative to {name} at its fastest ({best['precision']})"
        ratio = _least(best) / _least(ours)
        found.append(Goal(what=what, scale=ours["scale"], target=FASTER_THAN_PEERS, measured=ratio))
    return found


def _least(row: Row) -> float:
    return float(row["latency"]["least"])


def _machine(measured: Mapping[str, Any]) -> Machine:
    """The machine of a measurement."""
    stored = measured["machine"]
    return Machine(**stored | {"features": tuple(stored["features"])})
