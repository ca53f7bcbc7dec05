"""Count which operations of the shipped networks run in integers and which in float, in the graphs of the engines.

    python -m tools.executed_graph > docs/results/executed-graph.json

For OpenVINO, these are the graphs of tiles after all fusions, on this processor; for onnxruntime, the optimized graphs.
"""

import json
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from mafdn._support.machine import installed_version, machine
from mafdn.evaluation.tables import markdown_table
from mafdn.inference.engines.model_files import int8_file
from mafdn.inference.engines.onnxruntime import LOG_FATAL
from mafdn.inference.engines.openvino import OpenVINOEngine
from tools.shipped.weights import shipped_weights

PROJECT = Path(__file__).parents[1]
SIZE = (180, 320)
"""Height and width of the input."""
NOT_RUN = frozenset({"Const", "Input", "Output"})
"""Kinds of nodes of OpenVINO that take no time."""
INTEGERS = frozenset({"u8", "i8"})
INTEGER_CONVOLUTIONS = frozenset({"QLinearConv", "ConvInteger"})
"""Integer convolutions of onnxruntime."""
CONVOLUTIONS = frozenset({"Conv", "FusedConv"}) | INTEGER_CONVOLUTIONS


def openvino_operations(path: Path) -> list[dict[str, Any]]:
    """Kind, element type of the result, and count of the operations that OpenVINO executes."""
    return [
        {"kind": kind, "type": element, "count": count}
        for (kind, element), count in sorted(_executed(OpenVINOEngine(path).compiled((1, 3, *SIZE))).items())
    ]


def _executed(compiled: Any) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for operation in compiled.get_runtime_model().get_ordered_ops():
        about = operation.get_rt_info()
        kind, element = (about[name].astype(str) for name in ("layerType", "runtimePrecision"))
        if kind not in NOT_RUN:
            counts[kind, element] += 1
    return counts


def onnxruntime_convolutions(path: Path) -> dict[str, int]:
    """How many convolutions onnxruntime computes in integers and in float."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_FATAL
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(options.optimized_model_filepath).graph.node
    kinds = [node.op_type for node in nodes if node.op_type in CONVOLUTIONS]
    integers = sum(kind in INTEGER_CONVOLUTIONS for kind in kinds)
    return {"integer": integers, "float": len(kinds) - integers}


def main() -> None:
    """Print the counts as JSON."""
    files = [(n, file) for n, path in shipped_weights(PROJECT, ".onnx").items() for file in (path, int8_file(path))]
    networks = [
        {
            "network": name,
            "precision": "int8" if int8_file(file) == file else "fp32",
            "openvino": openvino_operations(file),
            "onnxruntime": onnxruntime_convolutions(file),
        }
        for name, file in files
        if file.is_file()
    ]
    versions = {name: installed_version(name) for name in ("openvino", "onnxruntime")}
    print(json.dumps({"networks": networks, "versions": versions, "machine": asdict(machine())}, indent=1))


def operations_table(stored: dict[str, Any]) -> str:
    """A row for each network in int8: operations in integers and in float by kind in OpenVINO, and convolutions in
    onnxruntime."""
    int8 = [entry for entry in stored["networks"] if entry["precision"] == "int8"]
    kinds = sorted({row["kind"] for entry in int8 for row in entry["openvino"]})
    rows = [[entry["network"], *(_counts(entry["openvino"], kind) for kind in kinds), _both(entry)] for entry in int8]
    versions = stored["versions"]
    return (
        f"Operations in integers / in float, in the graphs that OpenVINO {versions['openvino']} executes on a "
        f"processor with {', '.join(stored['machine']['features'])}, and convolutions in onnxruntime "
        f"{versions['onnxruntime']}:\n\n" + markdown_table(["int8", *kinds, "convolutions in onnxruntime"], rows)
    )


def _both(entry: dict[str, Any]) -> str:
    return f"{entry['onnxruntime']['integer']} / {entry['onnxruntime']['float']}"


def _counts(rows: list[dict[str, Any]], kind: str) -> str:
    integers = sum(row["count"] for row in rows if row["kind"] == kind and row["type"] in INTEGERS)
    return f"{integers} / {sum(row['count'] for row in rows if row['kind'] == kind) - integers}"


if __name__ == "__main__":
    main()
