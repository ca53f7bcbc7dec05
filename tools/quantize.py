"""Quantize the shipped weights to int8 again, and update the documents.

    python -m tools.quantize BANK --bench SET ... [--network x4 ...]

Writes, for `x4`, `weights/mafdn-x4-int8.onnx` and `docs/results/int8-x4.json`, and updates README.md and docs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mafdn.inference.engines.model_files import int8_file
from mafdn.release.int8_gate import Quantized, quantize
from mafdn.weights.resolve import NAMES_OF_SCALES
from tools.documents.update import PROJECT, refresh, store_loss
from tools.shipped.weights import shipped_weights


def quantize_and_document(
    name: str, project: Path = PROJECT, *, calibration: Path, benches: Sequence[Path]
) -> Quantized:
    """Quantize a shipped network of `project`, such as `x4`; an int8 file that does not pass the gate is removed."""
    network = shipped_weights(project, ".onnx")[name]
    target = int8_file(network)
    made = quantize(
        network,
        target,
        calibration=calibration,
        benches=benches,
        on_candidate=lambda candidate, quantized: store_loss(project, candidate, quantized.scores),
    )
    if made.loss.reason:
        target.unlink(missing_ok=True)
    refresh(project)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", metavar="BANK", type=Path)
    parser.add_argument("--bench", type=Path, action="extend", nargs="+", required=True)
    parser.add_argument("--network", action="extend", nargs="+", choices=NAMES_OF_SCALES)
    arguments = parser.parse_args()
    for chosen in arguments.network or NAMES_OF_SCALES:
        loss = quantize_and_document(chosen, calibration=arguments.calibration, benches=arguments.bench).loss
        print(f"{chosen}: loses {loss.mean:.3f} dB on average, {loss.worst_loss:.3f} on {loss.worst}; {loss.reason}")
