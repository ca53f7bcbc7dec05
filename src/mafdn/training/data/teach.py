"""Teachers: networks whose results for the pictures of a bank are kept in it, to be learned from.

Public names: :func:`teach`, :func:`open_teachers`, :func:`identified`, :class:`Teachers`.

The engines of :mod:`mafdn.inference` run the networks, with as many threads as there are cores. On two cores that other
work shared, one engine with two threads took 79 to 246 ms for a picture of 120x120, two processes with one thread each
143 to 204 ms: nothing that would pay for a second copy of every network.
"""

import json
import re
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import replacing, sha256
from mafdn._support.progress import ignore
from mafdn.errors import ConfigError, MafdnError, MissingPackageError, UsageError, WeightsError
from mafdn.inference import Engine, open_engine, preferred_engine, upscale
from mafdn.pixels import ORIENTATIONS, orient, orient_back
from mafdn.training.data.bank import (
    PARTIAL,
    Bank,
    TaughtBy,
    Teacher,
    open_bank,
    read_teacher,
    shard_name,
    teacher_folder,
)
from mafdn.weights.resolve import resolve

TILE = 512
"""Pictures of up to 512x512 LR pixels' area are upscaled whole, as the student will see the patches' surroundings."""
NAME = re.compile(r"[A-Za-z0-9_-]+")


def teach(
    folder: Path,
    networks: Sequence[str | Path],
    *,
    name: str,
    self_ensemble: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Teacher:
    """Add to the bank in ``folder`` what ``networks`` make of its pictures, as the teacher ``name``.

    Networks are named as in :mod:`mafdn.weights.resolve`; an ``.onnx`` file maps (1, 3, H, W) to (1, 3, sH, sW). The
    results of several, each over all eight orientations with ``self_ensemble``,
    are averaged before rounding. Resumes where it was killed, shard by shard; a teacher that is there already is
    returned at once.
    ``on_progress(done, total)`` counts pictures.

    Raises :class:`ConfigError` when there is no bank or ``name`` was taught by others, :class:`UsageError` for networks
    that do not fit the bank or each other, :class:`WeightsError` for an unusable one, :class:`MissingPackageError` when
    a safetensors file is given without torch, :class:`MafdnError` when the bank cannot be written.
    """
    if not networks or not NAME.fullmatch(name):
        raise UsageError(f"a teacher needs networks and a name of letters, digits, - and _; its name is {name!r}")
    bank = open_bank(folder)
    files = network_files(networks, bank)
    taught_by = identified(files)
    target = teacher_folder(folder, name)
    partial = target.with_name(name + PARTIAL)
    for there in (target, partial):
        if (there / "teacher.json").exists():
            _check_same(there, taught_by, self_ensemble)
    if name in bank.teachers:
        return bank.teachers[name]
    with open_teachers(files, bank, self_ensemble=self_ensemble) as teachers:
        teacher = Teacher(
            name=name, scale=teachers.scale, networks=taught_by, self_ensemble=self_ensemble, bank=bank.fingerprint
        )
        try:
            partial.mkdir(parents=True, exist_ok=True)
            with replacing(partial / "teacher.json") as file:
                file.write_text(json.dumps(asdict(teacher), indent=1))
            _teach_shards(bank, teachers, partial, on_progress or ignore)
            partial.rename(target)
        except OSError as error:
            raise MafdnError(f"cannot write the teacher {target} ({error}); run it again to resume") from None
    return teacher


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """Networks that upscale together: their results, over eight orientations or one, are averaged."""

    engines: tuple[Engine, ...]
    scale: int
    self_ensemble: bool

    def answer(self, low: NDArray[np.uint8], *, picture: str) -> NDArray[np.uint8]:
        """(H, W, 3) to (scale*H, scale*W, 3); raises :class:`WeightsError` naming ``picture`` when not finite."""
        unit = low.astype(np.float32) / 255
        orientations = ORIENTATIONS if self.self_ensemble else ORIENTATIONS[:1]
        height, width = (side * self.scale for side in low.shape[:2])
        total = np.zeros((height, width, 3), np.float32)
        for engine in self.engines:
            for orientation in orientations:
                total += orient_back(upscale(engine, orient(unit, *orientation), tile=TILE), *orientation)
        if not np.isfinite(total).all():
            raise WeightsError(f"the teacher's result for {picture} has values that are not finite")
        return np.rint(total * (255 / (len(self.engines) * len(orientations)))).astype(np.uint8)


def network_files(networks: Sequence[str | Path], bank: Bank) -> list[Path]:
    """The files of networks named as in :mod:`mafdn.weights.resolve`; ``mafdn`` has the bank's scale if it has one.

    Raises :class:`UsageError` for a name without weights and :class:`WeightsError` for a missing file.
    """
    scale = bank.scales[0] if len(bank.scales) == 1 else None
    return [resolve(network).file(scale=scale) for network in networks]


def identified(networks: Sequence[Path]) -> tuple[TaughtBy, ...]:
    """The networks' files and digests, each once; raises :class:`WeightsError` for a file that cannot be read."""
    files = {_digest(path): path for path in networks}
    return tuple(TaughtBy(file=files[digest].name, sha256=digest) for digest in sorted(files))


@contextmanager
def open_teachers(networks: Sequence[Path], bank: Bank, *, self_ensemble: bool = False) -> Generator[Teachers]:
    """Every network, opened while the context lasts, of one scale that ``bank`` has; raises as :func:`teach`."""
    unique = {_digest(path): path for path in networks}
    with tempfile.TemporaryDirectory() as scratch:
        engines = tuple(_open(path, Path(scratch) / str(number)) for number, path in enumerate(unique.values()))
        yield Teachers(engines=engines, scale=_scale(engines, bank), self_ensemble=self_ensemble)


def _teach_shards(bank: Bank, teachers: Teachers, folder: Path, on_progress: Callable[[int, int], None]) -> None:
    done = 0
    for shard, indices in bank.shards.items():
        target = folder / f"{shard_name(shard)}.u8"
        if not target.exists():
            with replacing(target) as temporary, temporary.open("wb") as file:
                # An engine prepares itself for every new size.
                for count, index in enumerate(sorted(indices, key=lambda i: bank.hr(i).shape), 1):
                    picture = bank.pictures[index]
                    file.seek(picture.offset * 3)
                    file.write(teachers.answer(bank.lr(index, teachers.scale), picture=picture.name).tobytes())
                    on_progress(done + count, len(bank.pictures))
        done += len(indices)
        on_progress(done, len(bank.pictures))


def _check_same(there: Path, taught_by: tuple[TaughtBy, ...], self_ensemble: bool) -> None:
    teacher = read_teacher(there)
    same = [n.sha256 for n in teacher.networks] == [n.sha256 for n in taught_by]
    if not same or teacher.self_ensemble != self_ensemble:
        by = ", ".join(n.file for n in teacher.networks) + (" with self-ensemble" if teacher.self_ensemble else "")
        raise ConfigError(f"{there} was taught by {by}; give another name or delete that folder")


def _open(path: Path, scratch: Path) -> Engine:
    """An engine for a network; a weights file is exported to ``scratch`` with the ending .onnx first."""
    if path.suffix not in (".safetensors", ".pth"):
        return open_engine(path, name=preferred_engine(), device="cpu")
    if _has_gpu():
        return open_engine(path, name="torch", device="cuda")
    try:
        from mafdn.export.onnx import export_onnx
        from mafdn.networks.convert import open_network
    except ImportError as error:
        raise MissingPackageError(f"exporting {path} needs {error.name}: pip install 'mafdn[train]'") from None
    exported = scratch.with_suffix(".onnx")
    export_onnx(open_network(path), exported)
    return open_engine(exported, name=preferred_engine(), device="cpu")


def _has_gpu() -> bool:
    """Whether torch finds a GPU, where a weights file is best run as it is."""
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


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
