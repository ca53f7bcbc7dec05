"""A unique name for every result."""

import itertools
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES_SEARCHED = 50
"""How many of a picture's possible names are searched for an earlier result."""


@dataclass(frozen=True, kw_only=True)
class NameRequest:
    """A picture whose result needs a name.

    Args:
        source: The picture.
        relative: Its path within the folder in which it was found.
        folder: Folder of the result.
        name: Returns the result's name with a text appended to the stem.
    """

    source: Path
    relative: Path
    folder: Path
    name: Callable[[str], str]

    @property
    def candidates(self) -> Iterator[Path]:
        """Targets to try in turn: the plain name, one with the source's ending in it, then numbered ones."""
        ending = self.source.suffix.replace(".", "_")
        extras = itertools.chain(
            [""], [ending] if ending else [], (f"{ending}_{number}" for number in itertools.count(2))
        )
        return (self.folder / self.name(extra) for extra in extras)

    @property
    def order(self) -> tuple[str, ...]:
        """The key by which requests are sorted, so that names do not depend on their order."""
        return (_folded(str(self.relative)), str(self.relative), str(self.source))


def place(path: Path) -> str:
    """Return a key that is equal for paths that some file systems treat as one file: case and composition ignored."""
    return _folded(os.path.join(os.path.realpath(path.parent), path.name))  # noqa: PTH118 - a key, not a path


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def assign(
    requests: Sequence[NameRequest],
    *,
    reserved: Iterable[Path] = (),
    earlier: Callable[[NameRequest], Collection[Path]] = lambda _: (),
    allowed: Callable[[NameRequest, Path], bool] = lambda _request, _target: True,
) -> dict[Path, Path]:
    """Assign a target to every source, independent of the order of `requests`.

    No two targets are at the same place (by `place`).

    Args:
        requests: The pictures.
        reserved: Paths whose places are never used.
        earlier: Returns the targets that a picture had in earlier runs; one that is still among its candidates is kept.
        allowed: Returns whether a picture may use a target, which may belong to another picture.

    Returns:
        The target of every source.
    """
    taken = {place(path) for path in reserved}
    targets: dict[Path, Path] = {}
    ordered = sorted(requests, key=lambda r: r.order)
    for request in ordered:
        had = earlier(request)
        possible = itertools.islice(request.candidates, NAMES_SEARCHED) if had else ()
        kept = next((target for target in possible if target in had and place(target) not in taken), None)
        if kept is not None:
            targets[request.source] = kept
            taken.add(place(kept))
    for request in ordered:
        if request.source not in targets:
            target = next(t for t in request.candidates if place(t) not in taken and allowed(request, t))
            targets[request.source] = target
            taken.add(place(target))
    return targets
