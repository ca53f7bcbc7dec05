"""Ship a run's weights if they score higher, and update the documents.

    python -m tools.release RUN [--bench SET ...]

Like `mafdn release`, but into `weights/`. The scores of every picture and the log are stored in `docs/results`, the
curves in `docs`, and the figures in README.md and docs are updated. What was measured about the precisions of the
weights before is removed, so that `--precision auto` is fp32 until `python -m tools.precision` has run again.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from mafdn.release.gate import Outcome
from mafdn.release.int8_gate import Quantized
from mafdn.release.ship import Shipped, ship
from mafdn.training.record.plot import plot_runs
from mafdn.training.record.run_folder import RunFolder
from tools.documents.update import PROJECT, RESULTS, refresh, result_name, store_loss, store_scores
from tools.precision import store
from tools.shipped.weights import shipped_weights


def release_and_document(run: Path, project: Path = PROJECT, *, benches: Sequence[Path] = ()) -> Shipped:
    """Release `run` into `project/weights` and update the documents of `project`."""

    def measured(candidate: Path, quantized: Quantized) -> None:
        store_loss(project, candidate, quantized.scores)

    shipped = ship(run, project / "weights", benches=benches, on_candidate=measured)
    outcome = shipped.outcome
    if outcome.released or outcome.scores == outcome.before:
        _store(run, project, outcome)
        if not shipped.int8.is_file() and not shipped.int8_problem.startswith("int8 loses"):
            stored = project / RESULTS / f"int8-{result_name(outcome.target)}.json"
            stored.unlink(missing_ok=True)  # belongs to a file that was removed
        store(project / "weights", shipped_weights(project, ".onnx"))
        refresh(project)
    return shipped


def _store(run: Path, project: Path, outcome: Outcome) -> None:
    store_scores(project, outcome.measured, outcome.target)
    name = result_name(outcome.target)
    log = project / RESULTS / f"train-{name}.jsonl"
    shutil.copyfile(RunFolder(run).log, log)
    plot_runs([log], project / "docs" / f"training-{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--bench", type=Path, action="extend", nargs="+", default=[])
    arguments = parser.parse_args()
    done = release_and_document(arguments.run, benches=arguments.bench)
    print("released" if done.outcome.released else "kept the shipped weights", done.outcome.reason, sep=": ")
    for name, score in done.outcome.scores.items():
        before = done.outcome.before.get(name)
        print(f"  {name}: {score['psnr']:.3f} dB" + (f", before {before['psnr']:.3f}" if before else ""))
    before_share = f", before {done.outcome.colors_before.share:.2%}" if done.outcome.colors_before else ""
    print(f"  pixels of other colors: {done.outcome.colors.share:.2%}{before_share}")
    if done.int8_problem:
        print(f"no int8 file: {done.int8_problem}")
