"""Expand folders, glob patterns and file names to a list of sources.

Only folders are opened here, never a file, because opening a FIFO would block. Links to folders are not followed, so a
walk always ends.
"""

import fnmatch
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.validate import as_path, is_folder
from mafdn.errors import UsageError

WILDCARDS = frozenset("*?[")
"""Characters that make a name a glob pattern."""
CASELESS = ("win32", "darwin")
"""Platforms whose file systems usually treat upper and lower case as the same."""


@dataclass(frozen=True)
class Source:
    """A file that may be a picture.

    Args:
        path: The file.
        root: The folder in which it was found; its result has the same place relative to the output folder.
        named: Whether it was given by name, not found in a folder.
    """

    path: Path
    root: Path
    named: bool = False

    @property
    def relative(self) -> Path:
        """The path relative to `root`."""
        return self.path.relative_to(self.root)


@dataclass(frozen=True)
class Unusable:
    """An input that cannot be used, with the reason in one line."""

    path: Path
    reason: str


@dataclass(kw_only=True)
class Found:
    """The result of a search.

    Args:
        sources: The files, in the order of their names.
        unusable: Inputs that cannot be used.
        links: Number of links to folders, which were not followed.
        folders: Number of subfolders that were not entered because the search was not recursive.
    """

    sources: list[Source] = field(default_factory=list[Source])
    unusable: list[Unusable] = field(default_factory=list[Unusable])
    links: int = 0
    folders: int = 0


def find_sources(inputs: Sequence[Path | str], *, recursive: bool = False, exclude: Path | None = None) -> Found:
    """Find all files that `inputs` stand for, each file once.

    Missing and unreadable inputs are part of the result.

    Args:
        inputs: Files, folders, and glob patterns, which may contain `**`. An existing name is never a pattern. Hidden
            files and folders are skipped unless they are named.
        recursive: Whether to enter subfolders.
        exclude: A folder to skip.

    Raises:
        UsageError: If there is no input, or an empty one, which would be the current folder.
    """
    if not inputs:
        raise UsageError("give a picture, a folder or a pattern in quotes")
    found = Found()
    for entry in inputs:
        text = os.fspath(entry)
        if "\0" in text:
            reason = f"{printable(text)} is not a valid file name: it contains a NUL character"
            found.unusable.append(Unusable(Path(text), reason))
            continue
        path = Path(os.path.abspath(as_path("INPUT", text)))  # noqa: PTH100 - links stay links
        if WILDCARDS & set(text) and not os.path.lexists(path):
            _add_glob(found, path, exclude)
        elif is_folder(path):
            found.sources += [Source(file, path) for file in _walk(path, found, recursive=recursive, exclude=exclude)]
            found.folders += 0 if recursive else _count_folders(path, exclude)
        else:
            found.sources.append(Source(path, path.parent, named=True))
    found.sources = _unique(found.sources)
    return found


def _add_glob(found: Found, pattern: Path, exclude: Path | None) -> None:
    """Add the files that match `pattern`; their root is the folder before the first wildcard."""
    parts = pattern.parts
    first = next(
        index for index, part in enumerate(parts) if WILDCARDS & set(part) and not is_folder(Path(*parts[: index + 1]))
    )
    root, globs = Path(*parts[:first]), parts[first:]
    if not is_folder(root):
        found.unusable.append(
            Unusable(pattern, f"{printable(pattern)} matches nothing: {printable(root)} is not a folder")
        )
        return
    files = _walk(root, found, recursive=len(globs) > 1, exclude=exclude)
    matching = [Source(file, root) for file in files if _matches(file.relative_to(root).parts, globs)]
    found.sources += matching
    if not matching:
        found.unusable.append(Unusable(pattern, f"{printable(pattern)} matches no file"))


def _matches(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
    """Whether a path matches a glob pattern, part by part; `**` matches any number of folders."""
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_matches(parts[n:], globs[1:]) for n in range(len(parts) + 1))
    return bool(parts) and _matches_name(parts[0], globs[0]) and _matches(parts[1:], globs[1:])


def _matches_name(name: str, glob: str) -> bool:
    """Whether a name matches a pattern; upper and lower case are the same on systems where they name one file."""
    if sys.platform in CASELESS:
        name, glob = name.casefold(), glob.casefold()
    return fnmatch.fnmatchcase(name, glob)


def _walk(root: Path, found: Found, *, recursive: bool, exclude: Path | None) -> Iterator[Path]:
    """Yield all files below `root` that are not hidden; folders that cannot be read are added to `found`."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"cannot read the folder {printable(folder)}: {error.strerror or error}"
            found.unusable.append(Unusable(folder, reason))
            continue
        deeper: list[Path] = []
        for entry in listed:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if recursive and not _is_same(path, exclude):
                    deeper.append(path)
            elif entry.is_symlink() and is_folder(path):
                found.links += 1
            else:
                yield path
        waiting += reversed(deeper)


def _count_folders(root: Path, exclude: Path | None) -> int:
    """Count the folders in `root` that a walk skips if it is not recursive."""
    try:
        return sum(
            p.is_dir() and not (p.is_symlink() or p.name.startswith(".") or _is_same(p, exclude))
            for p in root.iterdir()
        )
    except OSError:  # reported by the walk
        return 0


def _unique(sources: list[Source]) -> list[Source]:
    """Keep every file once, in the order of their names, with the outermost of its roots."""
    best: dict[Path, Source] = {}
    for source in sorted(sources, key=lambda s: (len(s.root.parts), str(s.root), not s.named)):
        best.setdefault(source.path, source)
    return sorted(best.values(), key=lambda s: (str(s.relative), str(s.root)))


def _is_same(path: Path, other: Path | None) -> bool:
    try:
        return other is not None and path.samefile(other)
    except OSError:  # one of them does not exist
        return False
