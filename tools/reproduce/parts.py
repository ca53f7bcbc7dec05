"""The parts of a reproduction: measurements and tables, and the stored ones that they are compared with."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mafdn._support.atomic import sha256
from mafdn.degradation.chain import parse_degradations
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.costs.counting import count_costs
from mafdn.evaluation.outputs import score_entry
from mafdn.evaluation.scoring import evaluate
from mafdn.inference.engines.model_files import int8_file
from mafdn.networks import ARCHITECTURES
from mafdn.networks.architectures import build, training_form
from mafdn.release.gate import MEASURED_WITH
from mafdn.release.int8_gate import judge, measure_loss
from mafdn.weights.header import SCALES
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped_scales
from tools.colors import measure as measure_colors
from tools.degraded.measure import measure as measure_degraded
from tools.degraded.measure import psnr_of
from tools.documents.update import PROJECT, renewed
from tools.documents.weights import RESULTS
from tools.gates import measure as measure_gates
from tools.reproduce.comparing import Difference, differences
from tools.shipped.weights import shipped_weights
from tools.support_matrix import measure as measure_support

Key = TypeVar("Key", int, str)
SETS = ("Set5", "Set14", "B100")
PHOTOS = ("006mp-cathedral.jpg", "012mp-bus.jpg")
"""The photographs of gates.json, both from nolmoonen/jpeg-test-images."""
ABOUT = frozenset({"engine", "machine", "versions", "load", "lr"})
"""Keys about the conditions of a measurement, which are not compared."""
SAME_PICTURES = ABOUT | {"hr_sha256"}
"""Also the digest of the pictures, which is compared with that of `evaluate` already."""
COSTS: dict[str, tuple[str, int, bool]] = {
    "x4": ("mafdn", 4, True),
    "x3": ("mafdn", 3, True),
    "x2": ("mafdn", 2, True),
    "IMDN": ("imdn", 4, True),
    "DDistill-SR (inference form)": ("ddistill", 4, True),
    "SMFANet+": ("smfanet", 4, True),
    "AFAN-style reconstruction (fits 692K / 50.90G); not the published network": ("afan", 4, False),
    "AFAN-style reconstruction, folded": ("afan", 4, True),
}
"""Rows of the tables of costs in docs/research.md: architecture, scale, and whether the folded form is counted."""


class UnavailableError(Exception):
    """A part cannot be reproduced here; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is not in the repository, in the layout of docs/data.md."""

    shared: Path
    project: Path = PROJECT

    @property
    def benches(self) -> list[Path]:
        """The benchmark datasets."""
        return [self.needed(self.shared / "data" / "bench" / name) for name in SETS]

    @property
    def photos(self) -> list[Path]:
        """The large photographs."""
        return [self.needed(self.shared / "data" / "photos" / name) for name in PHOTOS]

    def peer(self, name: str) -> Path:
        """The file of weights released by other authors."""
        return self.needed(self.shared / "peers" / name)

    def stored(self, name: str) -> Any:
        """A stored measurement."""
        return json.loads(self.needed(self.project / RESULTS / f"{name}.json").read_text("utf-8"))

    def needed(self, path: Path) -> Path:
        """Return `path`; raises `UnavailableError` if it does not exist."""
        if not path.exists():
            raise UnavailableError(f"there is no {path} (docs/data.md)")
        return path


Part = Callable[[Data], list[Difference]]
"""Reproduces something and returns what differs; raises `UnavailableError` if it cannot."""


def documents(data: Data) -> list[Difference]:
    """The tables of README and docs, from the stored measurements."""
    paths = [data.project / "README.md", *sorted((data.project / "docs").glob("*.md"))]
    return [
        Difference(path.relative_to(data.project).as_posix(), "other tables", "run python -m tools.figures")
        for path in paths
        if renewed(path, data.project) != path.read_text("utf-8")
    ]


def costs(data: Data) -> list[Difference]:
    """Parameters and Multi-Adds in docs/research.md."""
    rows: dict[str, list[str]] = {}
    for line in (data.project / "docs" / "research.md").read_text("utf-8").splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name in COSTS and len(cells) >= 3 and name not in rows:
            rows[name] = cells[:3]
    found: list[Difference] = []
    for name, (architecture, scale, folded) in COSTS.items():
        total = count_costs(build(training_form(ARCHITECTURES[architecture][1](scale=scale))), scale)[-1]
        values = (
            (total.parameters, total.conv_macs, total.thop_macs)
            if folded
            else (total.training_parameters, total.training_conv_macs, total.training_thop_macs)
        )
        made = [f"{values[0]:,}", *(f"{macs / 1e9:.4f}G" for macs in values[1:])]
        if rows.get(name) != made:
            found.append(Difference(name, rows.get(name), made))
    return found


def scores(data: Data, scale: int) -> list[Difference]:
    """Scores of bicubic and the shipped weights on every picture."""
    made = evaluate(["bicubic", "mafdn"], data.benches, Protocol(scale=scale), fresh=True)
    return differences(data.stored(f"evaluate-x{scale}"), [score_entry(score) for score in made], ignore=ABOUT)


def photo_scores(data: Data, scale: int) -> list[Difference]:
    """Scores of bicubic and the shipped photo weights on every picture, clean and degraded."""
    degrade = parse_degradations(MEASURED_WITH["photo"])
    made = evaluate(["bicubic", "photo"], data.benches, Protocol(scale=scale), degrade=degrade, fresh=True)
    return differences(data.stored(f"evaluate-photo-x{scale}"), [score_entry(score) for score in made], ignore=ABOUT)


def int8(data: Data, name: str) -> list[Difference]:
    """Scores in int8 and in fp32 on every picture."""
    network, stored = shipped_weights(PROJECT, ".onnx")[name], data.stored(f"int8-{name}")
    if not stored["ships"]:
        raise UnavailableError(f"no int8 ships of {name}")
    quantized = int8_file(network)
    if not quantized.is_file():
        return [Difference("file", stored["file"], "no file")]
    measured = measure_loss(network, quantized, data.benches, scale=NAMES_OF_SCALES[name][1])
    loss = asdict(judge(measured))
    made = {
        "file": quantized.name,
        "sha256": sha256(quantized),
        "source_sha256": sha256(network),
        "loss": {key: loss[key] for key in ("sets", "mean", "worst", "worst_loss")},
        "scores": [score_entry(score) for score in measured],
    }
    return differences({key: stored[key] for key in made}, made, ignore=SAME_PICTURES)


def comparison(data: Data) -> list[Difference]:
    """Scores and costs in docs/benchmarks.md, of the networks with released weights and of the shipped ones."""
    path = data.needed(data.project / "docs" / "benchmarks" / "compare.json")
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"]
    found: list[Difference] = []
    for row in rows:
        place = f"x{row['scale']} {row['name']}"
        if row["file"]:
            weights = PROJECT / "weights" / row["file"]
            file = weights if weights.is_file() else data.peer(row["file"])
            if sha256(file) != row["sha256"]:
                found.append(Difference(f"{place}.sha256", row["sha256"][:12], sha256(file)[:12]))
            names = [str(file)]
        else:
            names = [row["name"]] if row["scores"] else []
        if row["scores"]:
            measured = evaluate(names, data.benches, Protocol(scale=row["scale"]), fresh=True)
            made = {score.bench: {"psnr": score.psnr, "ssim": score.ssim} for score in measured}
            found += differences({place: row["scores"]}, {place: made}, ignore=ABOUT)
        if row["count"]:
            network = build(training_form(ARCHITECTURES[row["architecture"]][1](scale=row["scale"])))
            total = count_costs(network, row["scale"])[-1]
            found += differences({place: row["count"]}, {place: asdict(total)})
    return found


def gates(data: Data) -> list[Difference]:
    """The tables of docs/tiles.md: gates from a part of a picture, and the halo."""
    stored, made = data.stored("gates"), measure_gates(data.benches[0].parent, data.photos)
    return differences(stored, made, ignore=ABOUT)


def degraded(data: Data) -> list[Difference]:
    """The tables of docs/photo.md: the shipped weights on degraded LR pictures."""
    stored, made = data.stored("degraded"), measure_degraded(data.benches[0].parent, fresh=True)
    return differences(psnr_of(stored), psnr_of(made))


def colors(data: Data) -> list[Difference]:
    """The table of docs/photo.md about saturated colors."""
    return differences(data.stored("colors"), measure_colors())


def support(data: Data) -> list[Difference]:
    """The table of docs/pictures.md: what every picture format keeps."""
    return differences(data.stored("support"), measure_support())


def part_for(part: Callable[[Data, Key], list[Difference]], key: Key, place: str) -> Part:
    """A part for one scale or network; `place` follows its description."""

    def run(data: Data) -> list[Difference]:
        return part(data, key)

    run.__doc__ = (part.__doc__ or "").replace(".", f" {place}.")
    return run


PARTS: dict[str, Part] = {
    "documents": documents,
    "costs": costs,
    **{f"evaluate-x{scale}": part_for(scores, scale, f"at x{scale}") for scale in SCALES},
    **{f"evaluate-photo-x{scale}": part_for(photo_scores, scale, f"at x{scale}") for scale in shipped_scales("photo")},
    **{f"int8-{name}": part_for(int8, name, f"with {name}") for name in NAMES_OF_SCALES},
    "compare": comparison,
    "gates": gates,
    "degraded": degraded,
    "colors": colors,
    "support": support,
}
"""Parts by name; those of `tools.reproduce.pictures` and `tools.reproduce.timings` are kept there."""
