"""The files a network lies in, and which of them has the precision asked for.

Public names: :func:`network_files`, :func:`network_digest`, :func:`int8_file`, :func:`has_int8`.
"""

import hashlib
import re
from pathlib import Path

from mafdn._support.atomic import sha256

LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
INT8_ENDING = "-int8"


def network_files(path: Path) -> list[Path]:
    """``path``, and the files beside an ONNX file that hold its weights.

    Protobuf has the names of these as ``location`` and a string.
    """
    if path.suffix != ".onnx":
        return [path]
    content = path.read_bytes()
    names = {content[m.end() : m.end() + m[1][0]].decode("utf-8", "replace") for m in LOCATION.finditer(content)}
    return [path, *(file for name in sorted(names) if "\0" not in name and (file := path.parent / name).is_file())]


def network_digest(path: Path) -> str:
    """One number for all bytes that make the network ``path`` what it is, 64 hexadecimal digits."""
    return hashlib.sha256("".join(sha256(file) for file in network_files(path)).encode()).hexdigest()


def int8_file(path: Path) -> Path:
    """Where the int8 form of the network ``path`` lies, if there is one: ``NAME-int8.onnx`` beside it."""
    return path if path.stem.endswith(INT8_ENDING) else path.with_name(f"{path.stem}{INT8_ENDING}.onnx")


def has_int8(path: Path) -> bool:
    """Whether :func:`int8_file` is there and was made from ``path`` as it is now: its header has its SHA-256."""
    beside = int8_file(path)
    return beside.is_file() and (beside == path or sha256(path).encode() in beside.read_bytes())
