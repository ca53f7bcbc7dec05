"""File names of clients, which are only labels: shown, and offered for downloads, but never opened."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from mafdn._support.atomic import printable
from mafdn.pictures.codecs.foreign.unsupported import RAW_SUFFIXES
from mafdn.pictures.codecs.foreign.unsupported import SUFFIXES as UNSUPPORTED
from mafdn.pictures.formats import SUFFIXES

LONGEST_NAME = 180
"""Longest name, in bytes; results add to it."""
DEEPEST_FOLDER = 16
"""Most folders of a label."""
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
"""Characters that names have on no system, or not on Windows."""
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
"""Names of devices on Windows."""
KNOWN_SUFFIXES = frozenset({*SUFFIXES, *RAW_SUFFIXES, *UNSUPPORTED})
"""Endings that say something about a file: formats without a signature, and raw photographs."""
UNNAMED = "picture"


@dataclass(frozen=True)
class Label:
    """The name that a client gave a picture."""

    name: str
    """A plain file name that every system accepts."""
    folder: str
    """The folders before it, joined by `/`; empty for none."""

    @classmethod
    def of(cls, text: str | None) -> "Label":
        """Make a label of any text; `..`, drives, control characters and the like are left out."""
        parts = [_clean(part) for part in re.split(r"[/\\]", text or "")]
        parts = [part for part in parts if part]
        name = parts[-1] if parts else UNNAMED
        return cls(name=name, folder="/".join(parts[:-1][-DEEPEST_FOLDER:]))

    @property
    def suffix(self) -> str:
        """Its ending if that is of a known format, in lower case; the only part of a label that a file gets."""
        suffix = PurePosixPath(self.name).suffix.lower()
        return suffix if suffix in KNOWN_SUFFIXES else ""


def content_disposition(name: str) -> str:
    """Return the header that offers a download under this name (RFC 6266 and 5987)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w. ()\-+=,@#!]", "_", plain, flags=re.ASCII) or UNNAMED
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def with_labels(text: str, names: Mapping[Path, str]) -> str:
    """Return a message with the labels of files in place of their paths on the server, longest paths first."""
    for path, label in sorted(names.items(), key=lambda item: -len(str(item[0]))):
        text = text.replace(printable(path), label)
    return text


def _clean(part: str) -> str:
    part = unicodedata.normalize("NFC", part.encode("utf-8", "ignore").decode())
    part = "".join(c for c in part if unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cn", "Zl", "Zp"))
    part = FORBIDDEN.sub("_", part).strip(" ").strip(".").strip(" ") if part.strip(". ") else ""
    part = f"_{part}" if RESERVED.match(part) else part
    return _cut(part)


def _cut(part: str) -> str:
    """Cut a name that is too long, but not its ending."""
    if len(part.encode()) <= LONGEST_NAME:
        return part
    stem, dot, suffix = part.rpartition(".")
    if not dot or len(suffix.encode()) > 10:
        stem, dot, suffix = part, "", ""
    room = LONGEST_NAME - len((dot + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + suffix
