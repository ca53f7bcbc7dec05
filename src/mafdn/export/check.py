"""Check that an engine computes what a network does; :mod:`mafdn.export.onnx` runs it in a process for each engine.

``python -m mafdn.export.check ENGINE FILE.onnx PICTURES.npz`` prints one line of JSON: ``difference``, the largest one
found, or ``error`` and ``message`` of a :class:`MafdnError`. Of each picture ``lr<i>`` there is the network's own
result, ``sr<i>``.

Why a process: the one that exports has imported torch, its exporter and onnxslim, and every engine adds native
libraries and thread pools of its own to those. Segmentation faults were seen there, rarely and never on demand. Here
one ends nothing but the check, and becomes one line that names the engine. This module imports no torch.
"""

import json
import sys
from pathlib import Path

import numpy as np

from mafdn.errors import MafdnError
from mafdn.inference import EngineOptions, open_engine


def largest_difference(engine_name: str, path: Path, pictures: Path) -> float:
    """Run the file ``path`` on every picture in ``pictures``, with own and with given gates; NaN stays NaN.

    Raises :class:`MafdnError` of the kinds that :func:`open_engine` and engines raise.
    """
    engine = open_engine(path, EngineOptions(engine=engine_name))
    worst: list[float] = []
    with np.load(pictures) as stored:
        for i in range(len(stored.files) // 2):
            x, expected = stored[f"lr{i}"], stored[f"sr{i}"]
            worst.append(float(np.abs(engine.run(x) - expected).max()))
            if engine.stencil:
                given = engine.stencil.run(x, engine.stencil.gates(x))
                worst.append(float(np.abs(given - expected).max()))
    return float(np.max(worst))


def main() -> None:
    engine_name, path, pictures = sys.argv[1:]
    try:
        answer = {"difference": largest_difference(engine_name, Path(path), Path(pictures))}
    except MafdnError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
