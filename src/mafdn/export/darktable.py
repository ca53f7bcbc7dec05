"""Package networks for darktable, which installs them from `.dtmodel` files.

Such a file is a zip with one folder, named as the file without `.dtmodel`, and in it `config.json`, `model_x2.onnx` and
`model_x4.onnx`, plain files with held gates (`mafdn.export.plain`), because darktable cuts tiles. The format is that of
docs/dtmodel-format.md and docs/model-yaml-spec.md in darktable-ai-sdk 0.1.1a1. The same networks and versions of the
packages give the same bytes.
"""

import json
import re
import stat
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mafdn._support.atomic import printable, replacing
from mafdn._support.progress import ignore
from mafdn._version import __version__
from mafdn.errors import UsageError, WeightsError
from mafdn.export.gates import COMPUTED, TYPICAL, choose_gates
from mafdn.export.plain import export_plain
from mafdn.networks import MAFDN
from mafdn.networks.checkpoints import has_header, open_network
from mafdn.weights.header import Card, read_header
from mafdn.weights.resolve import SCALE_FIELD, SHIPPED_NAMES, is_pattern, resolve
from mafdn.weights.shipped import PREFIXES, Variant

SUFFIX = ".dtmodel"
SCALES = (2, 4)
"""The factors that darktable offers."""
PURPOSES: dict[Variant, str] = {
    "classic": "clean pictures, such as developed raw files",
    "photo": "photographs with JPEG artifacts",
}
AUTHOR = "MAFDN maintainers"
PAPER = "https://doi.org/10.1155/2024/3255233"
LICENSE = "Apache-2.0 for the code and the file; for the weights, see the license of the training data"
DATA_LICENSE = (
    "several, as stated with the data; among them research only, academic use, non-commercial (CC BY-NC-ND) and unclear"
)
NOTES = (
    "Because of these data, darktable cannot distribute this package; it is for installation by its user. "
    "Obtain legal advice before any commercial use."
)


def package_id(path: Path) -> str:
    """The name by which darktable knows the package at `path`. Raises `UsageError` if darktable would refuse it."""
    if path.suffix != SUFFIX:
        raise UsageError(f"a package for darktable must end in {SUFFIX}; {printable(path)} does not")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", path.stem):
        raise UsageError(
            f"{printable(path.name)} cannot name a package for darktable: before {SUFFIX}, use letters, digits, - and _"
        )
    return path.stem


def default_package(source: str) -> Path:
    """The package of networks without a name of its own: `mafdn-photo.dtmodel`, in the working folder."""
    if source in SHIPPED_NAMES:
        return Path(PREFIXES[SHIPPED_NAMES[source]] + SUFFIX)
    stem = re.sub(rf"[-_]?x?{re.escape(SCALE_FIELD)}", "", Path(source).stem)
    return Path(f"{stem or 'network'}{SUFFIX}")


def package_networks(source: str) -> dict[int, Path]:
    """The weights files of a package, by scale.

    Args:
        source: `classic`, `photo`, or a file whose name has `{scale}`.

    Raises:
        UsageError: It is something else, such as one file.
        WeightsError: A file is missing.
    """
    if source not in SHIPPED_NAMES and not is_pattern(source):
        raise UsageError(
            "a package for darktable has networks for x2 and x4: name classic, photo, or files with {scale} in their "
            f"name, not {printable(source)}"
        )
    found = {scale: resolve(source, scale=scale) for scale in SCALES}
    for network in found.values():
        if network.kind == "run":
            raise UsageError(f"{printable(network.name)} is for training runs; export them to .safetensors files first")
    return {scale: network.file(".safetensors") for scale, network in found.items()}


def export_darktable(
    source: str,
    path: Path,
    *,
    gates: str = TYPICAL,
    card_of: Callable[[Path], Card] = lambda path: read_header(path)[1],
    on_progress: Callable[[str, int, int], None] | None = None,
) -> float:
    """Write the package of two networks, after a check of each in every engine.

    Args:
        source: As for `package_networks`.
        path: The `.dtmodel` file, which is replaced on success only.
        gates: `typical` or a folder of pictures, as for `mafdn.export.gates.choose_gates`.
        card_of: Reads the card of a file with a header; by default that of a weights file.
        on_progress: As in `mafdn.export.onnx.export_onnx`.

    Returns:
        The largest difference between any engine and its network, as a share of white.

    Raises:
        UsageError: The source, the name of the package or the gates are invalid.
        WeightsError: A network has the wrong scale or cannot be exported, or the file cannot be written.
        OutOfMemoryError: Memory ran out.
    """
    on_stage = on_progress or ignore
    name = package_id(path)
    if gates == COMPUTED:
        raise UsageError(
            "darktable cuts pictures into tiles, which join only with held gates; they cannot be computed",
            setting="gates",
        )
    weights = package_networks(source)
    networks = {scale: _opened(file, scale) for scale, file in weights.items()}
    held = {scale: choose_gates(network, weights[scale], gates) for scale, network in networks.items()}
    cards = [card_of(file) if has_header(file) else {} for file in weights.values()]
    content = {"config.json": _config(name, SHIPPED_NAMES.get(source), cards)}
    worst: list[float] = []
    try:
        with tempfile.TemporaryDirectory(prefix="mafdn-") as folder, replacing(path) as temporary:
            temporary.touch()  # an unwritable folder is noticed before the work
            for scale, network in networks.items():
                model = Path(folder, f"model_x{scale}.onnx")

                def on_part(stage: str, done: int, total: int, scale: int = scale) -> None:
                    on_stage(f"x{scale}: {stage}", done, total)

                worst.append(export_plain(network, model, gates=held[scale], on_progress=on_part))
                content[model.name] = model.read_bytes()
            _write(temporary, {f"{name}/{file}": data for file, data in content.items()})
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot write {path}", error) from None
    return max(worst)


def _opened(path: Path, scale: int) -> MAFDN:
    network = open_network(path)
    if not isinstance(network, MAFDN):
        raise WeightsError(
            f"{path} holds {type(network).__name__}; only tiles of MAFDN join without seams in darktable"
        )
    if network.settings.scale != scale:
        raise WeightsError(f"{path} upscales by {network.settings.scale}, not {scale}; use the file for x{scale}")
    return network


def _config(name: str, variant: Variant | None, cards: list[Card]) -> bytes:
    """The description of the package; darktable shows `model_card` to its user."""
    purpose = f" for {PURPOSES[variant]}" if variant else ""
    card = {
        "long_description": f"A small network{purpose}. MAFDN is reconstructed from the abstract of its paper. Its "
        "channel attention is held at typical values, so that tiles join without seams.",
        "scope": "super-resolution of single pictures by 2 and 4",
        "paper": PAPER,
    }
    if variant:
        card |= {"author": AUTHOR, "license": LICENSE, "training_data_license": DATA_LICENSE, "notes": NOTES}
    data = _training_data(cards)
    if data:
        card["training_data"] = data
    config: dict[str, Any] = {
        "id": name,
        "name": name.replace("-", " "),
        "description": f"MAFDN super-resolution by 2 and 4{purpose}",
        "task": "upscale",
        "arch": "mafdn",
        "backend": "onnx",
        "version": __version__,
        "tiling": True,
        "model_card": card,
    }
    return (json.dumps(config, indent=4, ensure_ascii=False) + "\n").encode()


def _training_data(cards: list[Card]) -> str:
    """What all runs of all networks were trained on, each statement once."""
    runs = [run for card in cards for run in (*card.get("chain", []), card)]
    data = [str(run["data"]) for run in runs if run.get("data")]
    teachers = [f"Targets by a teacher: {run['teacher']}." for run in runs if run.get("teacher")]
    return " ".join(dict.fromkeys([*data, *teachers]))


def _write(path: Path, content: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend only on its content."""
    with zipfile.ZipFile(path, "w") as package:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)  # dated 1980, the earliest that a zip can state
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            package.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
