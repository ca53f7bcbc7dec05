"""A cache of scores, keyed by everything they depend on.

The name of an entry is the SHA-256 of the protocol, the bytes of the set and of the network, the engine and its
version. An entry holds the scores of one network on one set. The cache folder can be deleted at any time.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing, sha256
from mafdn._support.cache import cache_folder
from mafdn._version import __version__
from mafdn.degradation.chain import Degradation
from mafdn.errors import PictureError
from mafdn.evaluation.benchset import PictureScore, Protocol, SetScore, finite
from mafdn.evaluation.layouts import Pair
from mafdn.evaluation.methods import engine_label, find_network, reproducible_options
from mafdn.inference import EngineOptions
from mafdn.inference.engines import resolve_model
from mafdn.inference.engines.model_files import network_digest

MEASURING = 7
"""Version of the measurement; increase it, invalidating all entries, when the same files give different scores."""


def entries_folder() -> Path:
    """The folder of the entries, in the user's cache folder."""
    return cache_folder("evaluate")


def entry_key(network: str, set_digest: str, protocol: Protocol, options: EngineOptions | None = None) -> str:
    """The name of the entry of a network on a set.

    Args:
        network: A name as in `mafdn.weights.resolve`.
        set_digest: The set's digest, from `digest_of_set`.
        protocol: What is measured.
        options: The engine, as for `mafdn.evaluation.methods.open_method`.
    """
    path = find_network(network, scale=protocol.scale)
    if path is None:  # a baseline, which self-ensemble does not change
        who, protocol = [network], replace(protocol, self_ensemble=False)
    else:
        label, options = engine_label(path, options), reproducible_options(path, options)
        path, precision = resolve_model(path, options)
        # The engine is in its label.
        how = asdict(options) | {"engine": "", "threads": None, "precision": precision}
        who = [label, how, network_digest(path)]
    parts = [MEASURING, __version__, asdict(protocol), set_digest, who]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_of_set(pairs: Iterable[Pair], degrade: Degradation | None = None) -> str:
    """The SHA-256 of the names and bytes of a set's files, and of how its LR pictures are degraded.

    Raises:
        PictureError: A file cannot be read.
    """
    parts: list[list[str]] = []
    for path in (path for pair in pairs for path in pair):
        if path and not path.is_file():
            raise PictureError(f"cannot read {path}: not a regular file")
        try:
            parts.append([path.name, sha256(path)] if path else [])
        except OSError as error:
            raise PictureError.from_os_error(f"cannot read {path}", error) from None
    if degrade:
        parts.append(degrade.fingerprint())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load_entry(key: str, blank: SetScore) -> SetScore | None:
    """`blank` with the scores of an entry and the hash of its LR pictures; `None` if it is missing or damaged."""
    try:
        entry: dict[str, Any] = json.loads((entries_folder() / f"{key}.json").read_text("utf-8"))
        pictures = tuple(
            PictureScore(name=str(p["name"]), psnr=_float(p["psnr"], none=math.inf), ssim=_float(p["ssim"]))
            for p in entry["pictures"]
        )
        grey, large = (tuple(str(name) for name in entry[key]) for key in ("grey", "large"))
        hr_sha256 = str(entry["hr_sha256"])
        lr = blank.lr and replace(blank.lr, sha256=str(entry["lr_sha256"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    found = replace(blank, pictures=pictures, grey=grey, large=large, lr=lr, hr_sha256=hr_sha256)
    return found if pictures else None


def store_entry(key: str, score: SetScore) -> None:
    """Write an entry atomically; raises `OSError`."""
    folder = entries_folder()
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [asdict(p) | {"psnr": finite(p.psnr)} for p in score.pictures]
    digests = {"hr_sha256": score.hr_sha256, "lr_sha256": score.lr.sha256 if score.lr else ""}
    entry = {"pictures": pictures, "grey": score.grey, "large": score.large} | digests
    with replacing(folder / f"{key}.json") as temporary:
        temporary.write_text(json.dumps(entry), "utf-8")


def _float(value: object, *, none: float | None = None) -> float:
    if value is None and none is not None:
        return none
    if not isinstance(value, float):
        raise TypeError(f"{value!r} is not a score")
    return value
