"""Quantize the shipped weights to int8 again, and update the documents.

    python -m tools.quantize BANK --bench SET ... [--scale 4 ...]

Writes `weights/mafdn-xS-int8.onnx` and `docs/results/int8-xS.json`, and updates README.md and docs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mafdn.inference.engines.model_files import int8_file
from mafdn.release.int8_gate import Quantized, quantize
from mafdn.weights.header import SCALES
from tools.documents import PROJECT, refresh, store_loss


def quantize_and_document(
    scale: int, project: Path = PROJECT, *, calibration: Path, benches: Sequence[Path]
) -> Quantized:
    """Quantize `project/weights/mafdn-xS.onnx`; an int8 file that does not pass the gate is removed."""
    network = project / "weights" / f"mafdn-x{scale}.onnx"
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
    parser.add_argument("--bench", type=Path, action="append", required=True)
    parser.add_argument("--scale", type=int, action="append", choices=SCALES)
    arguments = parser.parse_args()
    for factor in arguments.scale or SCALES:
        loss = quantize_and_document(factor, calibration=arguments.calibration, benches=arguments.bench).loss
        print(f"x{factor}: loses {loss.mean:.3f} dB on average, {loss.worst_loss:.3f} on {loss.worst}; {loss.reason}")
