"""Reproduce the figures of README and docs from the shipped weights, and report which differ.

    python -m tools.reproduce [--list] [--only NAME ...] [--timings] [--shared FOLDER]

Every measurement is compared with the stored one, value by value: PSNR within 0.005 dB, SSIM within 0.0001, counts and
checksums exactly. Timings depend on the machine: they are made with --timings only, and reported as ratios. What needs
training is not reproduced; docs/results/README.md has the commands. The exit code is 1 if something differs.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing
from mafdn._support.machine import machine
from mafdn.errors import MafdnError, MissingPackageError, OutOfMemoryError, UsageError
from tools.documents.update import PROJECT
from tools.documents.weights import RESULTS
from tools.reproduce.parts import PARTS, Data, Part, UnavailableError
from tools.reproduce.pictures import PICTURES
from tools.reproduce.timings import TIMINGS, Timing, ratios

STORED = RESULTS / "reproduce.json"
"""The last stored outcome of each part, with the time it took."""
NOT_MADE = {
    "choices, ablations, from-scratch": "hours of training (docs/training.md, docs/benchmarks.md)",
    "train-x2, train-x3, train-x4, train-photo-x2, train-photo-x4, photo-targets": "hours of training",
    "faithfulness, recovered, weights-choice": "python -m tools.faithfulness, .recovered and .choice",
    "film-choice, film-speed": "python -m tools.film_choice and .film_speed",
    "server, small-pictures, sides": "python -m tools.load, .small_pictures and .sides",
    "ensemble, plain-gates, precision": "python -m tools.ensemble, .plain_gates and .precision",
    "fleet-pair": "python -m tools.fleet pair FOLDER",
    "fleet-rows": "python -m tools.fleet rows",
    "executed-graph, packages": "python -m tools.executed_graph and .packages",
    "int8-layers": "needs the training pictures for calibration",
    "other-scales, profile": "needs the training pictures",
    "optimizer.png": "its logs are not stored",
    "degradations.jpg, web-pictures.png, web-compare.jpg": "python -m tools.degradations and .screenshots",
    "benchmarks/crops-x*.png": "drawn by mafdn compare --report, with the weights of other networks",
}
"""What is not reproduced, and why."""
SHOWN = 10
"""Differences of a part that are printed; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a part."""

    name: str
    result: str
    """`same`, `differs`, `skipped` or `measured`."""
    seconds: float
    lines: list[str] = field(default_factory=list[str])


Job = Callable[[Data], tuple[str, list[str]]]
"""Makes a part and returns its result and lines about it."""


def attempt(name: str, job: Job, data: Data) -> Outcome:
    """Run a part; what cannot be made here is skipped with its reason, and what is damaged differs."""
    began = time.perf_counter()
    try:
        result, lines = job(data)
    except UnavailableError as reason:
        result, lines = "skipped", [str(reason)]
    except (UsageError, MissingPackageError, OutOfMemoryError) as error:  # such as an engine that is not installed
        result, lines = "skipped", [f"cannot be made here: {error}"]
    except MafdnError as error:
        result, lines = "differs", [str(error)]
    return Outcome(name=name, result=result, seconds=time.perf_counter() - began, lines=lines)


def compared(part: Part) -> Job:
    """A part that is compared with what is stored."""

    def job(data: Data) -> tuple[str, list[str]]:
        lines = [str(difference) for difference in part(data)]
        return ("differs" if lines else "same"), lines

    return job


def timed(timing: Timing) -> Job:
    """A part that depends on the machine."""
    return lambda data: ("measured", list(ratios(*timing(data))))


def stored_run(data: Data) -> dict[str, Any]:
    """The stored outcomes; without any, a table without parts."""
    try:
        return json.loads((data.project / STORED).read_text("utf-8"))
    except FileNotFoundError:
        return {"parts": [], "machine": {}}


def store(outcomes: Sequence[Outcome], data: Data) -> None:
    """Store outcomes in place of earlier ones of the same parts."""
    parts = {part["name"]: part for part in stored_run(data)["parts"]}
    parts |= {outcome.name: asdict(outcome) for outcome in outcomes}
    with replacing(data.project / STORED) as temporary:
        table = {"parts": list(parts.values()), "machine": asdict(machine())}
        temporary.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def show_list(data: Data) -> None:
    """Print all parts with the seconds that they took last time, and what is not made."""
    last = stored_run(data)
    seconds = {part["name"]: part["seconds"] for part in last["parts"]}
    for title, parts in (("", {**PARTS, **PICTURES}), ("with --timings:", TIMINGS)):
        if title:
            print(title)
        for name, part in parts.items():
            took = f"{seconds[name]:.0f} s" if name in seconds else "-"
            print(f"  {name:<18}{took:>7}  {(part.__doc__ or '').splitlines()[0]}")
    print("not made:")
    for name, reason in NOT_MADE.items():
        print(f"  {name}: {reason}")
    if seconds:
        about = last["machine"]
        print(f"times of the last stored run, on {about['cores']} cores of {about['processor']}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("MAFDN_SHARED", PROJECT.parent / "shared")
    parser.add_argument("--list", action="store_true", help="list the parts and how long they take")
    parser.add_argument("--only", action="extend", nargs="+", metavar="NAME", help="make these parts only")
    parser.add_argument("--timings", action="store_true", help="also measure timings")
    parser.add_argument("--shared", type=Path, default=Path(default), help="benchmark datasets, photographs and peers")
    parser.add_argument("--store", action="store_true", help=f"store the outcome in {STORED}")
    options = parser.parse_args(arguments)
    data = Data(shared=options.shared)
    if options.list:
        show_list(data)
        return 0
    known = {name: compared(part) for name, part in {**PARTS, **PICTURES}.items()}
    names = options.only or [*known, *(TIMINGS if options.timings else ())]
    known |= {name: timed(timing) for name, timing in TIMINGS.items()}
    for name in names:
        if name not in known:
            parser.error(f"there is no part {name}; choose from {', '.join(known)}")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MAFDN_CACHE"] = cache  # nothing from earlier measurements
        for name in names:
            outcomes.append(outcome := attempt(name, known[name], data))
            print(f"{name}: {outcome.result} ({outcome.seconds:.0f} s)", flush=True)
            for line in outcome.lines[:SHOWN]:
                print(f"  {line}")
            if len(outcome.lines) > SHOWN:
                print(f"  and {len(outcome.lines) - SHOWN} more")
    if options.store:
        store(outcomes, data)
    return summarize(outcomes)


def summarize(outcomes: Sequence[Outcome]) -> int:
    """Print how many parts are the same, and return the exit code."""
    same, differ, skipped = (
        [outcome.name for outcome in outcomes if outcome.result == result] for result in ("same", "differs", "skipped")
    )
    total = sum(outcome.seconds for outcome in outcomes)
    print(f"{len(same)} same, {len(differ)} differ, {len(skipped)} skipped; {total:.0f} s")
    if differ:
        print(f"differ: {', '.join(differ)}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
