"""The tables of docs/film.md, from stored measurements."""

import statistics
from typing import Any

from mafdn._support.machine import machine_text
from mafdn.evaluation.tables import markdown_table
from mafdn.inference.engines.model_files import has_int8
from mafdn.inference.options import INT8
from mafdn.weights.shipped import shipped

CHOICE = "film-choice"
"""Stem of the measurement by `tools.film_choice`."""
SPEED = "film-speed"
"""Stem of the measurement by `tools.film_speed`."""
CRFS = (None, 18, 23, 28)
"""Qualities of x264 that are measured; `None` is lossless."""
SCALES = (2, 4)
"""The scales of both variants of the weights."""
METHODS = ("bicubic", "classic", "photo")
"""What upscales the clips."""


def choice_table(stored: dict[str, Any]) -> str:
    """PSNR of the clips by scale, quality and weights."""
    columns = ["scale", "encoded", "bicubic", "classic", "photo", "photo against classic", "clips that gain"]
    rows = [
        [
            f"x{row['scale']}",
            "lossless" if row["crf"] is None else f"crf {row['crf']}",
            *(f"{row[name]:.2f}" for name in METHODS),
            f"{row['photo'] - row['classic']:+.2f}",
            f"{row['better']} of {row['clips']}",
        ]
        for row in stored["rows"]
    ]
    return markdown_table(columns, rows)


def speed_table(stored: dict[str, Any]) -> str:
    """Frames per second of the network and of films, and what that means for a minute of film."""
    columns = ["scale", "network alone, frames/s", "film, frames/s", "share", "static film, frames/s", "times as fast"]
    columns.append("time for a minute of film at 25 frames/s")
    rows: list[list[str]] = []
    for row in stored["rows"]:
        bare, whole = statistics.median(row["network"]), statistics.median(row["film"])
        minutes = 60 * 25 / whole / 60
        speeds = [f"{bare:.2f}", f"{whole:.2f}", f"{100 * row['share']:.0f} %", f"{row['static']:.1f}"]
        rows.append([f"x{row['scale']}", *speeds, f"{row['static'] / whole:.0f}", f"{minutes:.0f} minutes"])
    return (
        f"{markdown_table(columns, rows)}\n\n"
        f"Films of 640x360 with the photo weights in fp32, on {machine_text(stored['machine'])}."
    )


def time_text(stored: dict[str, Any]) -> str:
    """What the network's measured time for a 1280x720 result means for films of 640x360 at x2.

    Args:
        stored: The measurement `bench.json`.
    """
    seconds = {
        row["precision"]: row["latency"]["median"]
        for row in stored["rows"]
        if (row["name"], row["scale"], row["device"]) == ("mafdn", 2, "cpu")
        and "openvino" in (row["latency"]["engine"] or "")
    }
    if not has_int8(shipped(2, ".onnx")):
        seconds.pop(INT8, None)
    rows = [[precision, f"{each:.2f}", f"{1 / each:.1f}", f"{25 * each:.0f}"] for precision, each in seconds.items()]
    return (
        f"{markdown_table(['x2', 'seconds per frame', 'frames/s', 'minutes per minute of film'], rows)}\n\n"
        f"The network alone with the classic weights, for frames of 640x360 at 25 frames/s, on "
        f"{machine_text(stored['machine'])}."
    )
