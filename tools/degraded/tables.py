"""Tables of the measurements on degraded LR pictures, for README.md and docs/photo.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mafdn.degradation.chain import PRESETS
from mafdn.evaluation.tables import markdown_table
from tools.documents.weights import RESULTS

STORED = RESULTS / "degraded.json"
"""The stored measurement, relative to the root."""
TITLES = {"lanczos": "Lanczos", "classic": "classic weights", "photo": "photo weights"}
"""Names of networks in tables; others keep their own."""
SHORT = ("clean", "q95", "q90", "q75", "q50", "q30")
"""Columns of the table in README.md."""
CLEAN = "none"
"""The degradation of the LR pictures as they are."""
Row = dict[str, Any]
"""A row of the report: one dataset at one scale with one degradation."""


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON with one line for each of its rows."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in report.items() if key != "rows"]
    rows = ",\n".join(f"  {json.dumps(row)}" for row in report["rows"])
    path.write_text("{\n" + ",\n".join([*lines, f' "rows": [\n{rows}\n ]']) + "\n}\n", "utf-8")


def gains(row: Row, network: str) -> list[float]:
    """The gain of a network over bicubic on every picture, in dB; pictures restored perfectly are left out."""
    pairs = zip(row["psnr"][network], row["psnr"]["bicubic"], strict=True)
    return [new - old for new, old in pairs if new is not None and old is not None]


def full_tables(project: Path) -> str:
    """A table for each scale: a row for each network and dataset, a column for each degradation."""
    report = _load(project)
    parts: list[str] = []
    for scale in dict.fromkeys(row["scale"] for row in report["rows"]):
        rows: list[list[str]] = []
        for bench in report["benches"]:
            mine = {row["case"]: row for row in report["rows"] if (row["scale"], row["bench"]) == (scale, bench)}
            rows += _rows(bench, len(report["benches"][bench]["pictures"]), list(mine.values()))
        title = f"x{scale}, gain over bicubic in dB"
        parts.append(markdown_table([title, *report["cases"]], rows))
    return "\n\n".join([*parts, _clean_text(report), below_bicubic_text(report), _about(report)])


def below_bicubic(report: dict[str, Any]) -> dict[tuple[int, str, str, str], float]:
    """The gain of the photo weights by scale, dataset, degradation and picture, where it is not above 0."""
    found: dict[tuple[int, str, str, str], float] = {}
    for row in report["rows"]:
        names = report["benches"][row["bench"]]["pictures"]
        for name, ours, bicubic in zip(names, row["psnr"]["photo"], row["psnr"]["bicubic"], strict=True):
            if ours is not None and (bicubic is None or ours <= bicubic):
                lost = float("-inf") if bicubic is None else ours - bicubic
                found[row["scale"], row["bench"], row["case"], name] = lost
    return found


def below_bicubic_text(report: dict[str, Any]) -> str:
    """The sentence about pictures on which the photo weights are no better than bicubic."""
    below = [
        f"{bench}/{name} at x{scale}, {report['cases'][case]} ({gain:+.2f} dB)"
        for (scale, bench, case, name), gain in below_bicubic(report).items()
    ]
    text = "The photo weights score above bicubic on every picture with every degradation"
    return f"{text}, except: {'; '.join(below)}." if below else f"{text}."


def short_table(project: Path) -> str:
    """The first dataset with JPEG of several qualities: the classic and the photo weights."""
    report = _load(project)
    bench = next(iter(report["benches"]))
    rows: list[list[str]] = []
    for scale in dict.fromkeys(row["scale"] for row in report["rows"]):
        mine = {row["case"]: row for row in report["rows"] if (row["scale"], row["bench"]) == (scale, bench)}
        rows += [
            [f"x{scale}, {TITLES[network]}", *(_mean(mine[case], network) for case in SHORT)]
            for network in ("classic", "photo")
        ]
    titles = ["gain over bicubic in dB", *("clean" if case == "clean" else f"JPEG {case[1:]}" for case in SHORT)]
    count = len(report["benches"][bench]["pictures"])
    return f"{markdown_table(titles, rows)}\n\nPSNR on luma, mean over the first {count} pictures of {bench}."


def preset_table(_project: Path) -> str:
    """The presets of `--degrade`."""
    rows = [[f"`{name}`", preset.situation, f"`{preset.chain}`"] for name, preset in PRESETS.items()]
    return markdown_table(["preset", "situation", "chain"], rows)


def _rows(bench: str, count: int, cases: Sequence[Row]) -> list[list[str]]:
    """The rows of one dataset: PSNR of bicubic, mean gains, and gains on the worst picture of the shipped weights."""
    networks = [name for name in cases[0]["psnr"] if name != "bicubic"]
    psnr = [f"{_average([value for value in case['psnr']['bicubic'] if value is not None]):.2f}" for case in cases]
    means = [[_title(name), *(_mean(case, name) for case in cases)] for name in networks]
    worst = [
        [f"{_title(name)}, worst picture", *(f"{min(gains(case, name)):+.2f}" for case in cases)]
        for name in ("classic", "photo")
    ]
    return [[f"**{bench}** ({count}), bicubic PSNR", *psnr], *means, *worst]


def _title(network: str) -> str:
    return TITLES.get(network, network)


def _mean(row: Row, network: str) -> str:
    return f"{_average(gains(row, network)):+.2f}"


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _clean_text(report: dict[str, Any]) -> str:
    """What the photo weights lose on clean pictures."""
    losses: list[str] = []
    for row in report["rows"]:
        if report["cases"][row["case"]] == CLEAN:
            loss = _average(gains(row, "classic")) - _average(gains(row, "photo"))
            losses.append(f"x{row['scale']} {row['bench']} {loss:.3f}")
    return f"What the photo weights lose against the classic ones on clean pictures, in dB: {', '.join(losses)}."


def _about(report: dict[str, Any]) -> str:
    """What the networks and columns are."""
    chains = ", ".join(f"{title}: `{chain}`" for title, chain in report["cases"].items() if chain != "none")
    files = ", ".join(f"`{n['file']}` ({n['sha256'][:12]}, {n['engine']})" for n in report["networks"] if "file" in n)
    return (
        f"Columns as for `mafdn evaluate --degrade`: {chains}. Networks: {files}. LR pictures were coded by "
        f"Pillow {report['versions']['pillow']}; another version may give slightly different figures."
    )


def _load(project: Path) -> dict[str, Any]:
    return json.loads((project / STORED).read_text("utf-8"))
