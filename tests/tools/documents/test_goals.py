"""The speed goals of this project."""

from typing import Any

from tools.documents.goals import goal_table, goals


def row(engine: str, precision: str, seconds: float, share: float | None = None) -> dict[str, Any]:
    return {
        "name": "mafdn",
        "scale": 4,
        "device": "cpu",
        "precision": precision,
        "latency": {"engine": f"{engine} 1", "least": seconds},
        "share": share,
    }


def test_goals_are_reached_or_missed() -> None:
    rows = [row("openvino", "fp32", 1.0, 0.69), row("openvino", "int8", 0.5), row("torch", "fp32", 2.5)]
    assert [(goal.measured, goal.reached) for goal in goals({"rows": rows})] == [
        (2.5, True),
        (2.0, True),
        (0.69, False),
    ]
    assert [cells[-1] for cells in goal_table({"rows": rows}).rows] == ["reached", "reached", "missed"]
    assert goals({"rows": rows[1:]}) == []
