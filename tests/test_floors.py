"""The architecture as a rule: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "mafdn"
FLOORS = {
    "errors": -1,
    "_version": -1,
    "_support": 0,
    "weights": 1,
    "pixels": 1,
    "degradation": 2,
    "networks": 2,
    "pictures": 2,
    "inference": 3,
    "export": 4,
    "verification": 4,
    "upscaling": 5,
    "training": 5,
    "evaluation": 5,
    "bench": 6,
    "film": 6,
    "compare": 7,
    "release": 7,
    "fleet": 7,
    "api": 7,
    "pytorch": 7,
    "spandrel": 7,
    "hub": 8,
    "": 8,  # mafdn itself
    "web": 9,
    "cli": 10,
    "__main__": 11,
}
FOREIGN = {  # packages only these parts may import
    "torch": {
        "networks",
        "inference",
        "export",
        "training",
        "evaluation",
        "bench",
        "compare",
        "release",
        "pytorch",
        "spandrel",
    },
    "onnx": {"export", "evaluation", "bench", "release"},
    "nncf": {"release"},
    "matplotlib": {"_support", "training", "evaluation", "compare"},
    "pyvips": {"pictures", "evaluation", "bench", "cli", "web"},
    "pi_heif": {"pictures"},
    "PIL": {"degradation", "pictures", "training"},
    "imagecodecs": {"pictures"},
    "av": {"film"},
    "tifffile": {"pictures"},
    "openvino": {"inference", "bench"},
    "onnxruntime": {"inference"},
    "typer": {"cli"},
    "rich": {"cli"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "python_multipart": {"web"},
    "prometheus_client": {"web"},
    "pydantic": {"web"},
    "mcp": {"web"},
    "anyio": {"web"},
    "filelock": {"film", "upscaling", "web"},
    "ray": {"fleet"},
    "pyarrow": {"fleet"},
    "fsspec": {"fleet"},
    "spandrel": {"spandrel"},
    "huggingface_hub": {"hub"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    name = relative.parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = part_of(path)
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "mafdn":
            other = rest[0] if rest else ""
            assert other == own or FLOORS[other] < FLOORS[own], f"{own or 'mafdn'} imports {name}"
        elif top in FOREIGN:
            assert own in FOREIGN[top], f"{own} imports {top}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "upscaling").glob("*.py")), ids=lambda p: p.name)
def test_upscaling_one_picture_does_not_depend_on_upscaling_many(path: Path) -> None:
    assert not any(name.startswith("mafdn.upscaling.folder") for name in imports(path))


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) == "inference"], ids=lambda p: p.name)
def test_inference_imports_what_it_runs_on_only_when_it_runs(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:  # not what functions import
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert not name.startswith(("torch", "openvino", "onnxruntime", "mafdn.networks")), name


def test_pixels_needs_only_numpy() -> None:
    allowed = {"numpy", "mafdn.pixels", "collections", "dataclasses", "math", "functools", "typing"}
    for path in (PACKAGE / "pixels").glob("*.py"):
        assert all(any(name == a or name.startswith(a + ".") for a in allowed) for name in imports(path)), path


def test_costs_are_counted_in_one_place() -> None:
    counting = {"mafdn.networks.count", "mafdn.networks.counting.count", "mafdn.evaluation.costs.graphs.count_graph"}
    for path in FILES:
        if path.parent != PACKAGE / "evaluation" / "costs" and part_of(path) != "networks":
            found = {
                f"{node.module}.{alias.name}"
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            assert not found & counting, f"{path}: use mafdn.evaluation.costs.counting"


def test_every_part_has_a_floor() -> None:
    assert {part_of(path) for path in FILES} == set(FLOORS)
