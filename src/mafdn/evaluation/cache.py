"""Scores that were measured before, found again by what they depend on.

Public names: :func:`entry_key`, :func:`load_entry`, :func:`store_entry`, :func:`entries_folder`, :data:`MEASURING`.

An entry is called after the SHA-256 of all that could change it: protocol, the bytes of the set and of the network,
the engine and its version. It holds the scores of one network on one set. Nothing is lost with the folder.
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
from mafdn.errors import PictureError
from mafdn.evaluation.benchset import Pair, PictureScore, Protocol, SetScore, finite
from mafdn.evaluation.methods import Means, engine_label, engine_name, find_network
from mafdn.inference import EngineOptions
from mafdn.inference.engines import resolve_model
from mafdn.inference.engines.model_files import network_digest

MEASURING = 4
"""Raised whenever the same files give other scores than before: it makes all older entries void."""


def entries_folder() -> Path:
    """The folder of the entries, in the user's cache folder."""
    return cache_folder("evaluate")


def entry_key(network: str, set_digest: str, protocol: Protocol, means: Means | None = None) -> str:
    """The name of the entry of ``network`` (as :func:`find_network` takes it) on a set by :func:`digest_of_set`."""
    means = means or Means()
    path = find_network(network, scale=protocol.scale)
    if path is None:  # not a network: self-ensemble does not concern it
        who, protocol = [network], replace(protocol, self_ensemble=False)
    else:
        label, name = engine_label(path, means), engine_name(path, means)
        path, precision = resolve_model(
            path, EngineOptions(engine=name, device=means.device, precision=means.precision)
        )
        # The engine is in its label.
        how = asdict(means) | {"engine": "", "threads": None, "precision": precision}
        who = [label, how, network_digest(path)]
    parts = [MEASURING, __version__, asdict(protocol), set_digest, who]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_of_set(pairs: Iterable[Pair]) -> str:
    """The SHA-256 over names and bytes of a set's files; raises :class:`PictureError` when one cannot be read."""
    parts: list[list[str]] = []
    for path in (path for pair in pairs for path in pair):
        if path and not path.is_file():
            raise PictureError(f"cannot read {path}: not a regular file")
        try:
            parts.append([path.name, sha256(path)] if path else [])
        except OSError as error:
            raise PictureError(f"cannot read {path}: {error.strerror or error}") from None
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load_entry(key: str, blank: SetScore) -> SetScore | None:
    """``blank`` with the scores of an entry; ``None`` when there is none, or none that is whole."""
    try:
        entry: dict[str, Any] = json.loads((entries_folder() / f"{key}.json").read_text("utf-8"))
        pictures = tuple(
            PictureScore(name=str(p["name"]), psnr=_float(p["psnr"], none=math.inf), ssim=_float(p["ssim"]))
            for p in entry["pictures"]
        )
        grey = tuple(str(name) for name in entry["grey"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return replace(blank, pictures=pictures, grey=grey) if pictures else None


def store_entry(key: str, score: SetScore) -> None:
    """Write an entry whole or not at all. Errors are the system's own."""
    folder = entries_folder()
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [asdict(p) | {"psnr": finite(p.psnr)} for p in score.pictures]
    with replacing(folder / f"{key}.json") as temporary:
        temporary.write_text(json.dumps({"pictures": pictures, "grey": score.grey}), "utf-8")


def _float(value: object, *, none: float | None = None) -> float:
    if value is None and none is not None:
        return none
    if not isinstance(value, float):
        raise TypeError(f"{value!r} is no score")
    return value
