"""Check an exported file in one engine; `mafdn.export.onnx` runs this in one process per engine.

`python -m mafdn.export.check ENGINE FILE.onnx PICTURES.npz` prints one line of JSON: `difference`, the largest
difference from the network, or `error` and `message` of a `MafdnError`. For each picture `lr<i>`, PICTURES.npz also
holds the network's result, `sr<i>`.

Why a separate process: the exporting process has imported torch, its exporter and onnxslim, and every engine adds its
own native libraries and thread pools. Segmentation faults occurred there, rarely and not reproducibly. In a separate
process a crash ends only the check, and is reported in one line that names the engine. This module does not import
torch.
"""

import json
import sys
from pathlib import Path

import numpy as np

from mafdn.errors import MafdnError
from mafdn.inference import EngineOptions, open_engine


def largest_difference(engine_name: str, path: Path, pictures: Path) -> float:
    """The largest difference between an exported file and its network.

    Args:
        engine_name: The engine.
        path: The exported file.
        pictures: An .npz file as described above.

    Returns:
        The difference over all pictures, with the file's own gates and with gates passed in; NaN if any result is NaN.

    Raises:
        MafdnError: The engine cannot open or run the file.
    """
    engine = open_engine(path, EngineOptions(engine=engine_name))
    worst: list[float] = []
    with np.load(pictures) as stored:
        for i in range(len(stored.files) // 2):
            x, expected = stored[f"lr{i}"], stored[f"sr{i}"]
            worst.append(float(np.abs(engine.run(x) - expected).max()))
            if engine.stencil:
                held = engine.stencil.run(x, engine.stencil.gates(x))
                worst.append(float(np.abs(held - expected).max()))
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
