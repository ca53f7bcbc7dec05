"""The files of a network, and its int8 version."""

import hashlib
import re
from pathlib import Path

from mafdn._support.atomic import sha256
from mafdn.weights.own_architectures import code_digest

LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
"""The protobuf key `location` of an external data file, up to the length of the file name that follows."""
INT8_ENDING = "-int8"
"""Suffix of the stem of an int8 file."""


def network_files(path: Path) -> list[Path]:
    """Return `path` and, for an ONNX file, the files beside it that hold its weights."""
    if path.suffix != ".onnx":
        return [path]
    content = path.read_bytes()
    names = {content[m.end() : m.end() + m[1][0]].decode("utf-8", "replace") for m in LOCATION.finditer(content)}
    return [path, *(file for name in sorted(names) if "\0" not in name and (file := path.parent / name).is_file())]


def network_digest(path: Path) -> str:
    """Return a SHA-256 over all files of the network `path`, as 64 hexadecimal digits.

    The code of an architecture from outside is included.
    """
    parts = [*(sha256(file) for file in network_files(path)), code_digest(path)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def int8_file(path: Path) -> Path:
    """Return the path of the int8 version of the network `path`: `NAME-int8.onnx` beside it. It may not exist."""
    return path if path.stem.endswith(INT8_ENDING) else path.with_name(f"{path.stem}{INT8_ENDING}.onnx")


def has_int8(path: Path) -> bool:
    """Whether the int8 version exists and was made from the current `path`, by the SHA-256 in its header."""
    beside = int8_file(path)
    return beside.is_file() and (beside == path or sha256(path).encode() in beside.read_bytes())
