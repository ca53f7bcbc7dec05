"""Scores that were measured before, found again by what they depend on.

Public names: :func:`entry_key`, :func:`load_entry`, :func:`store_entry`, :func:`cache_folder`, :data:`MEASURING`.

An entry is called after the SHA-256 of all that could change it: protocol, the bytes of the set and of the network,
the engine and its version. It holds the scores of one network on one set. Nothing is lost with the folder.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import platformdirs

from mafdn._version import __version__
from mafdn.errors import PictureError
from mafdn.evaluation.bench import Pair, PictureScore, Protocol, SetScore, finite
from mafdn.evaluation.networks import engine_label, find_network
from mafdn.files import replacing, sha256

LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
MEASURING = 1
"""Raised whenever the same files give other scores than before: it makes all older entries void."""


def cache_folder() -> Path:
    """The folder of the entries: in ``MAFDN_CACHE`` where that is set, else in the user's cache folder."""
    given = os.environ.get("MAFDN_CACHE")
    return (Path(given) if given else platformdirs.user_cache_path("mafdn")) / "evaluate"


def entry_key(network: str, set_digest: str, protocol: Protocol) -> str:
    """The name of the entry of ``network`` (as :func:`find_network` takes it) on a set by :func:`digest_of_set`."""
    path = find_network(network, scale=protocol.scale)
    if path is None:  # not a network: self-ensemble does not concern it
        who, protocol = [network], replace(protocol, self_ensemble=False)
    else:
        who = [engine_label(path), *(sha256(file) for file in (path, *_beside(path)))]
    parts = [MEASURING, __version__, asdict(protocol), set_digest, who]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _beside(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its weights: protobuf has their names as ``location`` and a string."""
    if path.suffix != ".onnx":
        return []
    content = path.read_bytes()
    names = {content[m.end() : m.end() + m[1][0]].decode("utf-8", "replace") for m in LOCATION.finditer(content)}
    return [file for name in sorted(names) if (file := path.parent / name).is_file()]


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
        entry: dict[str, Any] = json.loads((cache_folder() / f"{key}.json").read_text("utf-8"))
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
    folder = cache_folder()
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
