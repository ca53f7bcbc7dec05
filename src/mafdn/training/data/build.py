"""Build a training bank from folders of pictures, resuming an interrupted build.

Consecutive files form a shard: a folder that one worker process writes, picture by picture, and that gets its final
name when it is complete. A restarted build reuses the complete shards of files with the same names and sizes;
`bank.json` and the bank's final name come last. The contents depend on the sources alone, not on the number of workers
or on interruptions.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import replacing, sha256
from mafdn._support.progress import counted, each
from mafdn.errors import ConfigError, MafdnError
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import ORIENTATIONS, SAME, imresize, luma, modulo_crop, nearest, perceptual_hashes
from mafdn.training.data.bank import (
    PARTIAL,
    VERSION,
    Bank,
    BankPicture,
    BankSources,
    Excluded,
    open_bank,
    pixels_name,
    shard_name,
)
from mafdn.training.data.processes import spread
from mafdn.training.data.shards import SHARD_NAME, check_unfinished, remove_shard
from mafdn.training.data.sources import Source, difference, fingerprint, list_pictures

SHARD = 32
"""Source files per shard; a killed build repeats at most this many per worker."""


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """One shard to write; sent to a worker process."""

    number: int
    folder: Path
    sources: tuple[Source, ...]
    scales: tuple[int, ...]
    bench: NDArray[np.uint64]
    """(n, 8) perceptual hashes of the bench pictures in eight orientations."""
    bench_names: tuple[str, ...]
    key: str
    """Fingerprint of its sources."""


def build_bank(
    sources: Iterable[Path],
    folder: Path,
    *,
    scales: Iterable[int],
    exclude: Iterable[Path] = (),
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Build a bank of all pictures in folders, or open it if it exists.

    Pictures that look like one of a benchmark dataset are left out and listed in `Bank.excluded`; crops of benchmark
    pictures are not detected.
    Pictures smaller than the least common multiple of `scales` are left out too. Until the bank is complete, finished
    shards are in a folder with the suffix `.partial`.

    Args:
        sources: Folders that are searched recursively.
        folder: The folder of the bank.
        scales: Downscaling factors to store.
        exclude: Folders of benchmark datasets, whose pictures are left out in any of eight orientations.
        workers: Number of processes; by default one per core.
        on_progress: Called as `on_progress(done, total)`, counting files.

    Raises:
        ConfigError: A folder has no pictures, none is left, or `folder` is not a usable bank of these pictures.
        PictureError: A picture cannot be read.
        MafdnError: The bank cannot be written.
    """
    pictures, excluded, scales = list_pictures(sources), list_pictures(exclude), tuple(sorted(set(scales)))
    listing, bench = pictures.files, excluded.files
    if folder.exists():
        bank = open_bank(folder)
        if different := difference(bank, pictures, excluded, scales):
            raise ConfigError(f"{folder} is a different bank: {different}; choose another folder")
        return bank
    partial = folder.with_name(folder.name + PARTIAL)
    check_unfinished(partial)
    tick = counted(on_progress, len(bench) + len(listing))
    hashes = spread(_hashes, [source.path for source in bench], workers=workers, on_done=each(tick))
    shards = [
        _Shard(
            number=number,
            folder=partial / shard_name(number),
            sources=(files := tuple(listing[start : start + SHARD])),
            scales=scales,
            bench=np.array(hashes, np.uint64).reshape(-1, len(ORIENTATIONS)),
            bench_names=tuple(f"{source.folder}/{source.name}" for source in bench),
            key=fingerprint(files, bench=bench, scales=scales),
        )
        for number, start in enumerate(range(0, len(listing), SHARD))
    ]
    try:
        partial.mkdir(parents=True, exist_ok=True)
        missing = [shard for shard in shards if _manifest(shard) is None]
        tick(len(listing) - sum(len(shard.sources) for shard in missing))
        spread(_write, missing, workers=workers, on_done=lambda index: tick(len(missing[index].sources)))
        about = {
            "version": VERSION,
            "fingerprint": fingerprint(listing, bench=bench, scales=scales),
            "scales": list(scales),
            "sources": asdict(BankSources(folders=pictures.described, exclude=excluded.described)),
        }
        _finish(partial, shards, about)
        partial.rename(folder)
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write the bank {folder}", error, "finished shards are kept") from None
    return open_bank(folder)


def _finish(partial: Path, shards: Sequence[_Shard], about: dict[str, Any]) -> None:
    """Merge the shards' manifests, and remove leftovers of a build from different sources."""
    manifests = [_manifest(shard) or {} for shard in shards]
    parts = {part: [entry for manifest in manifests for entry in manifest[part]] for part in ("pictures", "excluded")}
    if not parts["pictures"]:
        raise ConfigError(
            f"no pictures are left for the bank: {len(parts['excluded'])} are in a benchmark dataset, the others are "
            "too small"
        )
    for path in set(partial.iterdir()) - {shard.folder for shard in shards}:
        if path.is_dir() and SHARD_NAME.fullmatch(path.name):
            remove_shard(path)
    with replacing(partial / "bank.json", resumed=True) as file:
        file.write_text(json.dumps(about | parts, indent=1))


def _manifest(shard: _Shard) -> dict[str, Any] | None:
    """Read `shard.json` if the shard is complete and has the same sources and settings, else return `None`."""
    try:
        manifest = json.loads((shard.folder / "shard.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return manifest if manifest.get("key") == shard.key else None


def _write(shard: _Shard) -> None:
    """Write a shard; runs in a worker process."""
    partial = shard.folder.with_name(shard.folder.name + PARTIAL)
    for stale in (partial, shard.folder):
        remove_shard(stale)
    partial.mkdir()
    pictures: list[BankPicture] = []
    excluded: list[Excluded] = []
    offset = 0
    with ExitStack() as stack:
        outputs = {s: stack.enter_context((partial / pixels_name(s)).open("wb")) for s in (1, *shard.scales)}
        manifest = stack.enter_context((partial / "shard.json").open("w"))
        for source in shard.sources:
            whole = read_rgb8(source.path)
            own = perceptual_hashes(whole)[0]
            match = _match(source.name, own, shard)
            hr = modulo_crop(whole, math.lcm(*shard.scales))
            if match:
                excluded.append(match)
            elif hr.size:
                pictures.append(_describe(source, hr, own, shard.number, offset))
                offset += hr.shape[0] * hr.shape[1]
                outputs[1].write(hr.tobytes())
                for s in shard.scales:
                    outputs[s].write(imresize(hr, 1 / s).tobytes())
        parts = {"pictures": [asdict(p) for p in pictures], "excluded": [asdict(e) for e in excluded]}
        json.dump({"key": shard.key} | parts, manifest)
        for file in (*outputs.values(), manifest):
            file.flush()
            os.fsync(file.fileno())
    partial.rename(shard.folder)


def _describe(source: Source, hr: NDArray[np.uint8], own: np.uint64, shard: int, offset: int) -> BankPicture:
    y = luma(hr)
    gradient = float(np.abs(np.diff(y, axis=0)).mean() + np.abs(np.diff(y, axis=1)).mean()) / 2
    return BankPicture(
        name=source.name,
        sha256=sha256(source.path),
        height=hr.shape[0],
        width=hr.shape[1],
        gradient=round(gradient, 4),
        hash=f"{int(own):016x}",
        shard=shard,
        offset=offset,
    )


def _match(name: str, own: np.uint64, shard: _Shard) -> Excluded | None:
    """Find a bench picture that looks like the picture whose perceptual hash is `own`."""
    if not shard.bench.size:
        return None
    index, distance = nearest(own, shard.bench.ravel())
    if distance > SAME:
        return None
    return Excluded(name=name, match=shard.bench_names[index // len(ORIENTATIONS)], distance=distance)


def _hashes(path: Path) -> NDArray[np.uint64]:
    return perceptual_hashes(read_rgb8(path))
