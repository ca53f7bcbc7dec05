"""The speed goals of this project."""

from dataclasses import asdict
from typing import Any

import pytest

from mafdn._support.machine import machine
from tools.documents.goals import goal_table, goals, withdrawn_note


def row(
    engine: str,
    precision: str,
    seconds: float,
    share: float | None = None,
    *,
    name: str = "mafdn",
    scale: int = 4,
) -> dict[str, Any]:
    return {
        "name": name,
        "scale": scale,
        "device": "cpu",
        "precision": precision,
        "latency": {"engine": f"{engine} 1", "least": seconds},
        "share": share,
    }


def test_goals_are_reached_or_missed() -> None:
    rows = [row("openvino", "fp32", 1.0, 0.69), row("openvino", "int8", 0.5), row("torch", "fp32", 2.5)]
    assert [goal.measured for goal in goals({"rows": rows})] == [2.5, 2.0, 0.69]
    assert [cells[-1] for cells in goal_table({"rows": rows}).rows] == ["reached", "reached", "missed"]
    assert goals({"rows": rows[1:]}) == []
    assert withdrawn_note({"rows": rows}) == ""


def test_a_goal_of_a_file_that_does_not_ship_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.documents.goals.ships_int8", lambda scale: scale == 4)
    rows = [row("openvino", precision, seconds, scale=2) for precision, seconds in (("fp32", 1.0), ("int8", 0.4))]
    (goal,) = goals({"rows": rows})
    assert (goal.measured, goal.outcome) == (2.5, "no longer ships")
    assert withdrawn_note({"rows": rows}).startswith("The int8 file of x2 that was measured no longer ships")


@pytest.mark.parametrize(("default", "outcome"), [("fp32", "missed"), ("bf16", "reached")])
def test_the_default_is_compared_with_other_networks_at_their_fastest(
    default: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.documents.goals.precision_on", lambda *_: default)
    ours = [row("openvino", "fp32", 1.0), row("openvino", "bf16", 0.5)]
    peer = [row("openvino", precision, seconds, name="IMDN") for precision, seconds in (("fp32", 0.9), ("bf16", 0.6))]
    lanczos = row("numpy", "uint8", 0.1, name="lanczos")
    stored = {"rows": [*ours, *peer, lanczos], "machine": asdict(machine())}
    (goal,) = goals(stored)
    assert goal.what == f"default ({default}), speed relative to IMDN at its fastest (bf16)"
    assert (goal.measured, goal.outcome) == (0.6 / ours[default == "bf16"]["latency"]["least"], outcome)
    stored["rows"] = [*ours, peer[0], lanczos]
    assert goals(stored)[0].what.endswith("IMDN at its fastest (fp32)"), "a measurement in fp32 alone"
