"""Store the outputs of teacher networks for the pictures of a bank, for knowledge distillation.

The engines of `mafdn.inference` run the networks, with as many threads as cores. On two shared cores one engine with
two threads took 79 to 246 ms for a picture of 120x120, two processes with one thread each 143 to 204 ms: not enough to
justify a second copy of every network.
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
from mafdn._support.extras import pip_install
from mafdn._support.progress import ignore
from mafdn.errors import ConfigError, MafdnError, MissingPackageError, UsageError, WeightsError
from mafdn.inference import Engine, EngineOptions, open_engine, preferred_engine, upscale
from mafdn.pixels import ORIENTATIONS, orient, orient_back
from mafdn.training.data.bank import (
    PARTIAL,
    Bank,
    Teacher,
    TeacherSource,
    check_pictures,
    open_bank,
    read_teacher,
    shard_name,
    teacher_folder,
)
from mafdn.weights.resolve import TORCH_FILES, resolve

TILE = 1024
"""Side of a tile in LR pixels, if none is asked for; pictures of up to this area are upscaled whole."""
NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Valid names of teachers, which are also names of folders."""


def teach(
    folder: Path,
    networks: Sequence[str | Path],
    *,
    name: str,
    self_ensemble: bool = False,
    tile: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Teacher:
    """Upscale the reduced pictures of a bank and store the results in it as a teacher.

    An interrupted run is resumed shard by shard; a complete teacher is returned at once.

    Args:
        folder: The folder of the bank.
        networks: Names as in `mafdn.weights.resolve`; an `.onnx` file maps (1, 3, H, W) to (1, 3, sH, sW). The results
            of several are averaged before rounding.
        name: Name of the teacher: letters, digits, `-` and `_`.
        self_ensemble: Whether to average each network's results over the eight orientations.
        tile: Side of the tiles in LR pixels into which pictures of a larger area than a tile are cut; by default that
            of the teacher if it exists, else 1024.
        on_progress: Called as `on_progress(done, total)`, counting pictures.

    Raises:
        ConfigError: The bank is not usable, or has a teacher of that name made by different networks or in other tiles.
        UsageError: The name is invalid, or the networks do not match the bank or each other.
        WeightsError: A network is not usable.
        MissingPackageError: A network needs torch, which is not installed.
        MafdnError: The bank cannot be written.
    """
    if not networks or not NAME.fullmatch(name):
        raise UsageError(f"a teacher needs networks and a name of letters, digits, - and _, not {name!r}")
    bank = open_bank(folder)
    files = network_files(networks, bank)
    sources = identify(files)
    target = teacher_folder(folder, name)
    partial = target.with_name(name + PARTIAL)
    for existing in (target, partial):
        if (existing / "teacher.json").exists():
            tile = _check_same(existing, bank, sources, self_ensemble, tile)
    if name in bank.teachers:
        return bank.teachers[name]
    with open_teachers(files, bank, self_ensemble=self_ensemble, tile=tile or TILE) as teachers:
        teacher = Teacher(
            name=name,
            scale=teachers.scale,
            networks=sources,
            self_ensemble=self_ensemble,
            bank=bank.fingerprint,
            digest=bank.digest,
            tile=teachers.tile,
        )
        try:
            partial.mkdir(parents=True, exist_ok=True)
            with replacing(partial / "teacher.json") as file:
                file.write_text(json.dumps(asdict(teacher), indent=1))
            _teach_shards(bank, teachers, partial, on_progress or ignore)
            partial.rename(target)
        except OSError as error:
            advice = "run the same command to resume"
            raise MafdnError.from_os_error(f"cannot write the teacher {target}", error, advice) from None
    return teacher


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """Open networks whose results are averaged."""

    engines: tuple[Engine, ...]
    scale: int
    self_ensemble: bool
    """Whether each network's results are averaged over the eight orientations."""
    tile: int
    """Side of a tile in LR pixels; pictures of up to this area are upscaled whole."""

    def upscale(self, low: NDArray[np.uint8], *, picture: str) -> NDArray[np.uint8]:
        """Upscale a picture.

        Args:
            low: (H, W, 3).
            picture: Its name, for the error message.

        Returns:
            (scale*H, scale*W, 3).

        Raises:
            WeightsError: The result has values that are not finite.
        """
        unit = low.astype(np.float32) / 255
        orientations = ORIENTATIONS if self.self_ensemble else ORIENTATIONS[:1]
        height, width = (side * self.scale for side in low.shape[:2])
        total = np.zeros((height, width, 3), np.float32)
        for engine in self.engines:
            for orientation in orientations:
                total += orient_back(upscale(engine, orient(unit, *orientation), tile=self.tile), *orientation)
        if not np.isfinite(total).all():
            raise WeightsError(f"the teacher's result for {picture} has values that are not finite")
        return np.rint(total * (255 / (len(self.engines) * len(orientations)))).astype(np.uint8)


def network_files(networks: Sequence[str | Path], bank: Bank) -> list[Path]:
    """Find the files of networks named as in `mafdn.weights.resolve`; `mafdn` has the scale of a bank with one scale.

    Raises:
        UsageError: A name is unknown or has no weights, or it does not determine the scale of a shipped network.
        WeightsError: A file is missing.
    """
    scale = bank.scales[0] if len(bank.scales) == 1 else None
    return [resolve(network).file(scale=scale) for network in networks]


def identify(networks: Sequence[Path]) -> tuple[TeacherSource, ...]:
    """Return the names and digests of network files, without duplicates, ordered by digest.

    Raises:
        WeightsError: A file cannot be read.
    """
    files = {_digest(path): path for path in networks}
    return tuple(TeacherSource(file=files[digest].name, sha256=digest) for digest in sorted(files))


@contextmanager
def open_teachers(
    networks: Sequence[Path], bank: Bank, *, self_ensemble: bool = False, tile: int = TILE
) -> Generator[Teachers]:
    """Open networks for the duration of the context.

    Args:
        networks: Network files, as for `teach`.
        bank: The bank whose pictures they will upscale.
        self_ensemble: Whether to average each network's results over the eight orientations.
        tile: Side of a tile in LR pixels.

    Raises:
        UsageError: The networks do not match the bank or each other.
        WeightsError: A network is not usable.
        MissingPackageError: A network needs torch, which is not installed.
    """
    unique = {_digest(path): path for path in networks}
    with tempfile.TemporaryDirectory() as scratch:
        engines = tuple(_open(path, Path(scratch) / str(number)) for number, path in enumerate(unique.values()))
        yield Teachers(engines=engines, scale=_scale(engines, bank), self_ensemble=self_ensemble, tile=tile)


def _teach_shards(bank: Bank, teachers: Teachers, folder: Path, on_progress: Callable[[int, int], None]) -> None:
    done = 0
    for shard, indices in bank.shards.items():
        target = folder / f"{shard_name(shard)}.u8"
        if not target.exists():
            with replacing(target, resumed=True) as temporary, temporary.open("wb") as file:
                # Sorted by size, as an engine compiles a graph for every new size.
                for count, index in enumerate(sorted(indices, key=lambda i: bank.hr(i).shape), 1):
                    picture = bank.pictures[index]
                    file.seek(picture.offset * 3)
                    file.write(teachers.upscale(bank.lr(index, teachers.scale), picture=picture.name).tobytes())
                    on_progress(done + count, len(bank.pictures))
        done += len(indices)
        on_progress(done, len(bank.pictures))


def _check_same(
    folder: Path, bank: Bank, sources: tuple[TeacherSource, ...], self_ensemble: bool, tile: int | None
) -> int:
    """Return the tile of the teacher in `folder`.

    Raises:
        ConfigError: Other networks or settings made it, or it was made from other pictures.
    """
    teacher = read_teacher(folder)
    check_pictures(teacher, bank, folder)
    same = [n.sha256 for n in teacher.networks] == [n.sha256 for n in sources]
    if not same or teacher.self_ensemble != self_ensemble or tile not in (None, teacher.tile):
        how = ", ".join(n.file for n in teacher.networks) + (" with self-ensemble" if teacher.self_ensemble else "")
        how += f" in tiles of {teacher.tile}" if tile not in (None, teacher.tile) else ""
        raise ConfigError(f"the teacher in {folder} was made by {how}; choose another name", setting="name")
    return teacher.tile


def _open(path: Path, scratch: Path) -> Engine:
    """Open an engine for a network; on a CPU a weights file is first exported to `scratch` with the suffix .onnx."""
    if path.suffix not in TORCH_FILES:
        return open_engine(path, EngineOptions(engine=preferred_engine(), device="cpu", precision="fp32"))
    if _has_gpu():
        return open_engine(path, EngineOptions(engine="torch", device="cuda", precision="fp32"))
    try:
        from mafdn.export.onnx import export_onnx
        from mafdn.networks.checkpoints import open_network
    except ImportError as error:
        raise MissingPackageError(f"exporting {path} needs {error.name}: {pip_install('train')}") from None
    exported = scratch.with_suffix(".onnx")
    export_onnx(open_network(path), exported)
    return open_engine(exported, EngineOptions(engine=preferred_engine(), device="cpu", precision="fp32"))


def _has_gpu() -> bool:
    """Whether torch finds a GPU, on which it runs weights files directly."""
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def _scale(engines: Sequence[Engine], bank: Bank) -> int:
    """Return the common scale of the engines.

    Raises:
        UsageError: They have several, or the bank has no pictures reduced by it.
    """
    scales = sorted({engine.scale for engine in engines})
    if len(scales) > 1:
        raise UsageError(f"the networks upscale by {' and '.join(map(str, scales))}; all must have the same scale")
    if scales[0] not in bank.scales:
        have = ", ".join(map(str, bank.scales))
        raise UsageError(f"the network upscales by {scales[0]}, but pictures in {bank.folder} are reduced by {have}")
    return scales[0]


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
