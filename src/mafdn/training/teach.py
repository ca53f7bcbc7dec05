"""Teachers: networks whose results for the pictures of a bank are kept in it, to be learned from.

Public names: :func:`teach`.

The engines of :mod:`mafdn.inference` run the networks, with as many threads as there are cores. On two cores that other
work shared, one engine with two threads took 79 to 246 ms for a picture of 120x120, two processes with one thread each
143 to 204 ms: nothing that would pay for a second copy of every network.
"""

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mafdn.data.bank import PARTIAL, Bank, TaughtBy, Teacher, open_bank, read_teacher, shard_name, teacher_folder
from mafdn.errors import ConfigError, MafdnError, MissingPackageError, UsageError, WeightsError
from mafdn.files import replacing, sha256
from mafdn.inference import Engine, open_engine, preferred_engine, upscale
from mafdn.pixels import ORIENTATIONS, orient, orient_back

TILE = 512
"""Pictures of up to 512x512 LR pixels' area are upscaled whole, as the student will see the patches' surroundings."""
NAME = re.compile(r"[A-Za-z0-9_-]+")


def teach(
    folder: Path,
    networks: Sequence[Path],
    *,
    name: str,
    self_ensemble: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Teacher:
    """Add to the bank in ``folder`` what ``networks`` make of its pictures, as the teacher ``name``.

    A network is a ``.safetensors`` file of this project or an ``.onnx`` file from (1, 3, H, W) to (1, 3, sH, sW). What
    several make, each over all eight orientations with ``self_ensemble``, is averaged before it is rounded. Goes on
    where it was killed, shard by shard; a teacher that is there already is returned at once.
    ``on_progress(done, total)`` counts pictures.

    Raises :class:`ConfigError` when there is no bank or ``name`` was taught by others, :class:`UsageError` for networks
    that do not fit the bank or each other, :class:`WeightsError` for an unusable one, :class:`MissingPackageError` when
    a safetensors file is given without torch, :class:`MafdnError` when the bank cannot be written.
    """
    if not networks or not NAME.fullmatch(name):
        raise UsageError(f"a teacher needs networks and a name of letters, digits, - and _; its name is {name!r}")
    bank = open_bank(folder)
    files = {_digest(path): path for path in networks}
    taught_by = tuple(TaughtBy(file=files[digest].name, sha256=digest) for digest in sorted(files))
    target = teacher_folder(folder, name)
    partial = target.with_name(name + PARTIAL)
    for there in (target, partial):
        if (there / "teacher.json").exists():
            _check_same(there, taught_by, self_ensemble)
    if name in bank.teachers:
        return bank.teachers[name]
    with tempfile.TemporaryDirectory() as scratch:
        engines = [_open(files[network.sha256], Path(scratch)) for network in taught_by]
        teacher = Teacher(name=name, scale=_scale(engines, bank), networks=taught_by, self_ensemble=self_ensemble)
        try:
            partial.mkdir(parents=True, exist_ok=True)
            with replacing(partial / "teacher.json") as file:
                file.write_text(json.dumps(asdict(teacher), indent=1))
            _teach_shards(bank, teacher, engines, partial, on_progress or (lambda *_: None))
            partial.rename(target)
        except OSError as error:
            raise MafdnError(f"cannot write the teacher {target} ({error}); what is finished of it is kept") from None
    return teacher


def _teach_shards(
    bank: Bank, teacher: Teacher, engines: Sequence[Engine], folder: Path, on_progress: Callable[[int, int], None]
) -> None:
    done = 0
    for shard, indices in bank.shards.items():
        target = folder / f"{shard_name(shard)}.u8"
        if not target.exists():
            with replacing(target) as temporary, temporary.open("wb") as file:
                # An engine prepares itself for every new size.
                for count, index in enumerate(sorted(indices, key=lambda i: bank.hr(i).shape), 1):
                    low = bank.lr(index, teacher.scale)
                    file.seek(bank.pictures[index].offset * 3)
                    file.write(_answer(engines, low, teacher, bank.pictures[index].name).tobytes())
                    on_progress(done + count, len(bank.pictures))
        done += len(indices)
        on_progress(done, len(bank.pictures))


def _answer(engines: Sequence[Engine], low: NDArray[np.uint8], teacher: Teacher, picture: str) -> NDArray[np.uint8]:
    """The mean of all engines and orientations: (H, W, 3) uint8 to (sH, sW, 3) uint8."""
    unit = low.astype(np.float32) / 255
    orientations = ORIENTATIONS if teacher.self_ensemble else ORIENTATIONS[:1]
    height, width = (side * teacher.scale for side in low.shape[:2])
    total = np.zeros((height, width, 3), np.float32)
    for engine in engines:
        for orientation in orientations:
            total += orient_back(upscale(engine, orient(unit, *orientation), tile=TILE), *orientation)
    if not np.isfinite(total).all():
        raise WeightsError(f"teacher {teacher.name} makes values of {picture} that are not finite")
    return np.rint(total * (255 / (len(engines) * len(orientations)))).astype(np.uint8)


def _check_same(there: Path, taught_by: tuple[TaughtBy, ...], self_ensemble: bool) -> None:
    teacher = read_teacher(there)
    same = [n.sha256 for n in teacher.networks] == [n.sha256 for n in taught_by]
    if not same or teacher.self_ensemble != self_ensemble:
        by = ", ".join(n.file for n in teacher.networks) + (" with self-ensemble" if teacher.self_ensemble else "")
        raise ConfigError(f"{there} was taught by {by}; give another name or delete that folder")


def _open(path: Path, scratch: Path) -> Engine:
    """An engine for a network; a safetensors file is exported to ``scratch`` first."""
    if path.suffix != ".safetensors":
        return open_engine(path, name=preferred_engine(), device="cpu")
    try:
        from mafdn.export import export_onnx
        from mafdn.networks import load_network
    except ImportError as error:
        raise MissingPackageError(f"exporting {path} needs {error.name}: pip install 'mafdn[train]'") from None
    exported = scratch / "network.onnx"
    export_onnx(load_network(path), exported)
    return open_engine(exported, name=preferred_engine(), device="cpu")


def _scale(engines: Sequence[Engine], bank: Bank) -> int:
    """The scale that all have; refused where the bank has no pictures reduced by it."""
    scales = sorted({engine.scale for engine in engines})
    if len(scales) > 1:
        raise UsageError(f"the networks upscale by {' and '.join(map(str, scales))}; a teacher has one scale")
    if scales[0] not in bank.scales:
        have = ", ".join(map(str, bank.scales))
        raise UsageError(f"the network upscales by {scales[0]}; {bank.folder} holds pictures reduced by {have}")
    return scales[0]


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
