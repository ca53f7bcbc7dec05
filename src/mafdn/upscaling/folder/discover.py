"""Which files are meant: folders, globs and single names become a list of sources.

Public names: :class:`Source`, :class:`Found`, :class:`Unusable`, :func:`find_sources`, :func:`is_folder`.

Only folders are opened here, never a file: a FIFO would wait for ever. Links to folders are not followed, so a walk
ends.
"""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn._support.validate import as_path
from mafdn.errors import UsageError

WILD = frozenset("*?[")


@dataclass(frozen=True)
class Source:
    """A file that may be a picture, and the folder by which its result's place is told."""

    path: Path
    root: Path
    named: bool = False
    """Given by its own name, not found in a folder."""

    @property
    def relative(self) -> Path:
        return self.path.relative_to(self.root)


@dataclass(frozen=True)
class Unusable:
    """What was asked for and cannot be used, with the reason in one line."""

    path: Path
    reason: str


@dataclass(kw_only=True)
class Found:
    """What a search has found; files in the order of their names."""

    sources: list[Source] = field(default_factory=list[Source])
    unusable: list[Unusable] = field(default_factory=list[Unusable])
    links: int = 0
    """Links to folders, which were not followed."""
    folders: int = 0
    """Folders in folders, which were not entered for want of ``recursive``."""


def find_sources(inputs: Sequence[Path | str], *, recursive: bool = False, without: Path | None = None) -> Found:
    """All files that ``inputs`` mean: files, folders and globs, each file once.

    A folder stands for the files in it, with ``recursive`` for those further down too; a glob may hold ``**``, and what
    exists under a name as it stands is no glob. Hidden files and folders are left out unless named, and so is the
    folder ``without``. What is missing or unreadable is told in the result. Raises :class:`UsageError` for no input and
    for an empty one, which would be the current folder.
    """
    if not inputs:
        raise UsageError("give a picture, a folder or a pattern in quotes")
    found = Found()
    for given in inputs:
        text = os.fspath(given)
        if "\0" in text:
            found.unusable.append(Unusable(Path(text), f"{shown(text)} is no file name: it holds a NUL"))
            continue
        path = Path(os.path.abspath(as_path("INPUT", text)))  # noqa: PTH100 - links stay links
        if WILD & set(text) and not os.path.lexists(path):
            _add_glob(found, path, without)
        elif is_folder(path):
            found.sources += [Source(file, path) for file in _walk(path, found, recursive=recursive, without=without)]
            found.folders += 0 if recursive else _count_folders(path, without)
        else:
            found.sources.append(Source(path, path.parent, named=True))
    found.sources = _once(found.sources)
    return found


def _add_glob(found: Found, pattern: Path, without: Path | None) -> None:
    """Add what ``pattern`` matches; its results lie by the folder before the first wildcard."""
    parts = pattern.parts
    plain = next(
        number for number, part in enumerate(parts) if WILD & set(part) and not is_folder(Path(*parts[: number + 1]))
    )
    root, wanted = Path(*parts[:plain]), parts[plain:]
    deep = len(wanted) > 1
    if not is_folder(root):
        found.unusable.append(Unusable(pattern, f"{shown(pattern)} matches nothing: there is no folder {shown(root)}"))
        return
    files = _walk(root, found, recursive=deep, without=without)
    matching = [Source(file, root) for file in files if _matches(file.relative_to(root).parts, wanted)]
    found.sources += matching
    if not matching:
        found.unusable.append(Unusable(pattern, f"{shown(pattern)} matches no file"))


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a path fits a glob, part by part; ``**`` stands for any number of folders."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[n:], wanted[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def _walk(root: Path, found: Found, *, recursive: bool, without: Path | None) -> Iterator[Path]:
    """All files below ``root`` that are not hidden; a folder that cannot be read is told in ``found``."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"cannot read the folder {shown(folder)}: {error.strerror or error}"
            found.unusable.append(Unusable(folder, reason))
            continue
        deeper: list[Path] = []
        for entry in listed:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if recursive and not _is(path, without):
                    deeper.append(path)
            elif entry.is_symlink() and is_folder(path):
                found.links += 1
            else:
                yield path
        waiting += reversed(deeper)


def _count_folders(root: Path, without: Path | None) -> int:
    """Folders in ``root`` that a walk which is not recursive passes by."""
    try:
        return sum(
            p.is_dir() and not (p.is_symlink() or p.name.startswith(".") or _is(p, without)) for p in root.iterdir()
        )
    except OSError:  # told by the walk
        return 0


def _once(sources: list[Source]) -> list[Source]:
    """Every file once, in the order of their names; of several roots the outermost, so that structure is kept."""
    best: dict[Path, Source] = {}
    for source in sorted(sources, key=lambda s: (len(s.root.parts), str(s.root), not s.named)):
        best.setdefault(source.path, source)
    return sorted(best.values(), key=lambda s: (str(s.relative), str(s.root)))


def is_folder(path: Path) -> bool:
    """Whether a folder is there; what cannot be one is none."""
    try:
        return path.is_dir()
    except OSError:  # a name too long
        return False


def _is(path: Path, other: Path | None) -> bool:
    try:
        return other is not None and path.samefile(other)
    except OSError:  # one of them does not exist
        return False
