"""Zoomed pairs: additional LR pictures from a bank's photographs, with a teacher's outputs as HR pictures.

A photograph at full size or slightly reduced can serve as an LR picture too, and a teacher needs no HR picture to
upscale it. Reducing also removes JPEG artifacts. In DCKD (arXiv 2412.08939) additional pairs from the teacher helped
most.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import replacing
from mafdn._support.progress import ignore
from mafdn.errors import ConfigError, MafdnError, UsageError
from mafdn.pixels import imresize
from mafdn.training.data.bank import PARTIAL, VERSION, Bank, Zoomed, open_bank, pixels_name, shard_name
from mafdn.training.data.patches import texture
from mafdn.training.data.shards import check_unfinished, remove_shard
from mafdn.training.data.teach import Teachers, identify, network_files, open_teachers

SIDE = 120
"""Side of an LR window in pixels: that of a training crop reduced by 4, so that both take a teacher equally long."""
LARGEST = 0.9
"""Largest reduction factor below full size."""
FULL_SIZE = 0.25
"""Share of the windows that are taken at full size."""
WINDOWS = 4
"""Number of windows tried, of which the one with the most texture is used."""


def zoom(
    folder: Path,
    networks: Sequence[str | Path],
    target: Path,
    *,
    per_picture: int = 1,
    smallest: float = 0.5,
    on_progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Make a bank of zoomed pairs from a bank of photographs, or open it if it exists.

    Windows of at most 120x120 pixels are taken from each picture, one in four at full size. The choice depends on
    the bank alone. An interrupted run is resumed shard by shard.

    Args:
        folder: The folder of the bank of photographs.
        networks: The teacher's networks, as for `mafdn.training.data.teach.teach`; their results are averaged.
        target: The folder of the new bank.
        per_picture: Windows per photograph.
        smallest: Smallest factor by which photographs are reduced, from 0.1 to 0.9.
        on_progress: Called as `on_progress(done, total)`, counting pictures.

    Raises:
        ConfigError: The bank is not usable or not one of photographs, or `target` is a different bank or not a bank.
        UsageError: A number is out of range, or the networks do not match the bank or each other.
        WeightsError: A network is not usable.
        MissingPackageError: A network needs torch, which is not installed.
        MafdnError: The new bank cannot be written.
    """
    if per_picture < 1 or not 0.1 <= smallest <= LARGEST:
        raise UsageError(f"zooming needs at least 1 window per picture and a smallest factor from 0.1 to {LARGEST}")
    bank = open_bank(folder)
    if bank.zoomed:
        raise ConfigError(f"{folder} is a bank of zoomed pairs; choose a bank of photographs")
    files = network_files(networks, bank)
    with open_teachers(files, bank) as teachers:
        zoomed = Zoomed(
            source=bank.fingerprint,
            scale=teachers.scale,
            networks=identify(files),
            smallest=smallest,
            per_picture=per_picture,
        )
        fingerprint = hashlib.sha256(json.dumps([VERSION, asdict(zoomed)]).encode()).hexdigest()
        if target.exists():
            existing = open_bank(target)
            if existing.fingerprint != fingerprint:
                raise ConfigError(f"{target} is a bank of different pairs; choose another folder")
            return existing
        try:
            _write_bank(bank, target, zoomed, teachers, fingerprint, on_progress or ignore)
        except OSError as error:
            advice = "run the same command to resume"
            raise MafdnError.from_os_error(f"cannot write the bank {target}", error, advice) from None
    return open_bank(target)


def window(hr: NDArray[np.uint8], *, smallest: float, seed: tuple[int, int]) -> NDArray[np.uint8]:
    """Take an LR window from a photograph.

    Args:
        hr: The photograph (H, W, 3).
        smallest: Smallest factor by which it is reduced first.
        seed: Index of the photograph and number of the window, which determine factor and position.

    Returns:
        (h, w, 3), with sides of at most `SIDE` pixels.
    """
    rng = np.random.default_rng(seed)
    factor = 1.0 if rng.random() < FULL_SIZE else rng.uniform(smallest, LARGEST)
    whole = hr if factor == 1 else imresize(hr, factor)
    height, width = (min(SIDE, side) for side in whole.shape[:2])
    corners = [
        (int(rng.integers(whole.shape[0] - height + 1)), int(rng.integers(whole.shape[1] - width + 1)))
        for _ in range(WINDOWS)
    ]
    return max((whole[y : y + height, x : x + width] for y, x in corners), key=texture)


def _write_bank(
    bank: Bank,
    target: Path,
    zoomed: Zoomed,
    teachers: Teachers,
    fingerprint: str,
    on_progress: Callable[[int, int], None],
) -> None:
    """Write the missing parts of the bank, which gets its final name when it is complete."""
    partial = target.with_name(target.name + PARTIAL)
    check_unfinished(partial)
    done, pictures = 0, list[dict[str, Any]]()
    for shard, indices in bank.shards.items():
        folder = partial / shard_name(shard)
        entries = _finished(folder, fingerprint)
        if entries is None:
            entries = _write_shard(bank, indices, folder, zoomed, teachers, {"shard": shard, "key": fingerprint})
        pictures += entries
        done += len(indices)
        on_progress(done, len(bank.pictures))
    about = {"version": VERSION, "fingerprint": fingerprint, "scales": [zoomed.scale], "zoomed": asdict(zoomed)}
    with replacing(partial / "bank.json", resumed=True) as file:
        file.write_text(json.dumps(about | {"pictures": pictures, "excluded": []}, indent=1))
    partial.rename(target)


def _finished(folder: Path, fingerprint: str) -> list[dict[str, Any]] | None:
    """Read the manifest of a shard if it is complete and belongs to the same bank, else return `None`."""
    try:
        manifest = json.loads((folder / "shard.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return manifest["pictures"] if manifest.get("key") == fingerprint else None


def _write_shard(
    bank: Bank, indices: Sequence[int], folder: Path, zoomed: Zoomed, teachers: Teachers, about: dict[str, Any]
) -> list[dict[str, Any]]:
    """Write a shard, which gets its final name when it is complete; returns its part of the manifest."""
    partial = folder.with_name(folder.name + PARTIAL)
    for stale in (partial, folder):
        remove_shard(stale)
    partial.mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    offset = 0
    with (
        (partial / pixels_name(1)).open("wb") as high_file,
        (partial / pixels_name(zoomed.scale)).open("wb") as low_file,
        (partial / "shard.json").open("w") as manifest,
    ):
        for index in indices:
            source = bank.pictures[index]
            for turn in range(zoomed.per_picture):
                low = window(bank.hr(index), smallest=zoomed.smallest, seed=(index, turn))
                high = teachers.upscale(low, picture=source.name)
                low_file.write(np.ascontiguousarray(low).tobytes())
                high_file.write(high.tobytes())
                mean = texture(high) / (2 * high.shape[0] * high.shape[1])
                picture = asdict(source) | {"height": high.shape[0], "width": high.shape[1]}
                entries.append(picture | {"gradient": round(mean, 4), "shard": about["shard"], "offset": offset})
                offset += high.shape[0] * high.shape[1]
        json.dump(about | {"pictures": entries}, manifest)
        for file in (high_file, low_file, manifest):
            file.flush()
            os.fsync(file.fileno())
    partial.rename(folder)
    return entries
