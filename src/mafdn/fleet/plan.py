"""What is to be done with each picture of a source: decided by lists alone, without reading a picture."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mafdn.errors import MafdnError
from mafdn.fleet.options import FleetOptions
from mafdn.fleet.sources import LOOK_UPS, Picture, Source
from mafdn.fleet.state import Known, done_key
from mafdn.fleet.storage import STATE, Entry, Store
from mafdn.fleet.table import Row, contains, key_of
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.formats import Format, format_called, format_of_name
from mafdn.upscaling.folder.naming import NameRequest, assign, place
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.size import Size

LISTED_FROM = 8
"""Results in a folder of the target from which on it is listed: a list brings a thousand names in one request."""
UNNAMABLE = "its name is no valid Unicode, or leads out of its folder; rename it, or use mafdn upscale"
DOUBLE = "has the same result as another picture of the list; add a column name, or use --pattern"
EXISTS = "exists and is not a result of an earlier run; use --overwrite to replace it, or another target or --pattern"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done with one picture.

    Args:
        task: A row of `TASK` if it is to be upscaled, else what is known of a row of `RESULT`.
        status: `todo`, `kept`, `failed`, or `earlier` if it failed in an earlier run and is not tried again.
    """

    task: Row
    status: str


class Planner:
    """Decides about pictures, folder by folder.

    Args:
        source: Where they are.
        target: Where the results are, or will be.
        known: What earlier runs recorded.
        options: How pictures are upscaled.
        fleet: Which pictures are upscaled.
        size: Size of the results.
        settings: Digest of everything else that results depend on.

    Attributes:
        other_shards: How many pictures belong to other shards, so far.
    """

    def __init__(
        self,
        source: Source,
        target: Store,
        known: Known,
        options: UpscaleOptions,
        fleet: FleetOptions,
        *,
        size: Size,
        settings: str,
    ) -> None:
        self.other_shards = 0
        self._source, self._target, self._known = source, target, known
        self._options, self._fleet, self._size, self._settings = options, fleet, size, settings
        self._pattern = fleet.pattern or default_pattern(size)
        self._listed: dict[str, dict[str, Entry]] = {}
        found = target.entries()
        self._is_new = found is None or (not found[0] and found[1] in ([], [STATE]))
        self._taken = _Keys()

    def decisions(self) -> Iterator[Decision]:
        """Yield what is to be done with every picture; raises `MafdnError` if source or target cannot be read."""
        for folder, pictures in self._source.folders():
            named = [picture for picture in pictures if _is_namable(picture.name)]
            for picture in pictures:
                if not _is_namable(picture.name):
                    uri = picture.uri.encode("utf-8", "backslashreplace").decode()
                    name = picture.name.encode("utf-8", "backslashreplace").decode()
                    row = {"uri": uri, "name": name, "status": "failed", "reason": f"{uri}: {UNNAMABLE}"}
                    yield Decision(task=row, status="failed")
            targets, stems = self._names(named)
            existing = self._existing([self._known.renamed.get(targets[p.name], targets[p.name]) for p in named])
            for picture in named:
                if self._fleet.shard and not self._fleet.shard.has(Path(picture.name)):
                    self.other_shards += 1
                    continue
                target = targets[picture.name]
                if folder is None and not self._taken.add(key_of(target)):
                    reason = f"{picture.uri} {DOUBLE} ({target})"
                    row = {"uri": picture.uri, "name": picture.name, "status": "failed", "reason": reason}
                    yield Decision(task=row, status="failed")
                    continue
                yield self._decide(picture, target, stems[picture.name], existing)

    def _names(self, pictures: list[Picture]) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return the names of results, unique within a folder, and those without endings for another true ending.

        With whatever ending, the latter are not the names of other results.
        """
        requests = [self._request(picture) for picture in pictures]
        targets = assign(requests, allowed=self._is_free)
        stems = {source: target.with_suffix("") for source, target in targets.items()}
        uses = Counter(map(place, stems.values()))
        shared = [_without_ending(request) for request in requests if uses[place(stems[request.source])] > 1]
        stems |= assign(shared, allowed=lambda _, stem: place(stem) not in uses)
        names = [(picture.name, Path(picture.name)) for picture in pictures]
        return {n: targets[path].as_posix() for n, path in names}, {n: stems[path].as_posix() for n, path in names}

    def _is_free(self, request: NameRequest, target: Path) -> bool:
        """Whether a name is not that of the result of another picture, whose content decided for its ending."""
        name = request.source.as_posix()
        return self._known.owners.get(target.as_posix(), name) == name

    def _request(self, picture: Picture) -> NameRequest:
        path = Path(picture.name)
        kind = self._kind(path)

        def name(extra: str) -> str:
            return self._pattern.name(path, self._size, (0, 0), kind, extra=extra)

        return NameRequest(source=path, relative=path, folder=path.parent, name=name)

    def _kind(self, path: Path) -> Format:
        """Return the format that a result will have if the ending of its picture is true."""
        if self._options.output.format is not None:
            return format_called(self._options.output.format)
        kind = self._pattern.format_for(None)
        if kind is None:
            try:
                kind = format_of_name(path)
            except MafdnError:  # a listed file with any name
                kind = next(iter(FORMATS.values()))
        return kind if kind.written_as is None else FORMATS[kind.written_as]

    def _decide(self, picture: Picture, target: str, stem: str, existing: Mapping[str, Entry]) -> Decision:
        known = self._known
        actual = known.renamed.get(target, target)
        key = key_of(picture.name, picture.size, picture.mark, self._settings, self._size, target)
        found = existing.get(actual)
        task: Row = {
            "uri": picture.uri,
            "name": picture.name,
            "target": target,
            "stem": stem,
            "replaces": None if found is None else actual,
            "source_size": picture.size,
            "source_mark": picture.mark,
            "reason": "new",
            "key": key,
        }
        if found is None:
            if not self._fleet.retry and not self._fleet.redo and contains(known.failed, key):
                return Decision(task=task, status="earlier")
            again = contains(known.targets, key_of(actual))
            return Decision(task=task | {"reason": "missing" if again else "new"}, status="todo")
        if contains(known.done, done_key(key, found.size, found.mark)):
            if self._fleet.redo:
                return Decision(task=task | {"reason": "redone"}, status="todo")
            return Decision(task=task, status="kept")
        if self._options.overwrite or contains(known.targets, key_of(actual)):
            return Decision(task=task | {"reason": "changed"}, status="todo")
        reason = f"{self._target.url_of(actual)} {EXISTS}"
        return Decision(task=task | {"status": "failed", "reason": reason}, status="failed")

    def _existing(self, names: list[str]) -> Mapping[str, Entry]:
        """Return those of some results that exist: folders of many are listed, others looked up."""
        if self._is_new:
            return {}
        folders: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            folders[name.rpartition("/")[0]].append(name)
        found: dict[str, Entry] = {}
        single: list[str] = []
        for folder, members in folders.items():
            if len(members) < LISTED_FROM and folder not in self._listed:
                single += members
            else:
                entries = self._entries(folder)
                found |= {name: entries[name] for name in members if name in entries}
        with ThreadPoolExecutor(LOOK_UPS) as pool:
            found |= {entry.name: entry for entry in pool.map(self._target.info, single) if entry is not None}
        return found

    def _entries(self, folder: str) -> dict[str, Entry]:
        """Return the files in a folder of the target; those of the last one are kept."""
        if folder not in self._listed:
            found = self._target.entries(folder)
            self._listed = {folder: {entry.name: entry for entry in found[0]} if found else {}}
        return self._listed[folder]


class _Keys:
    """A growing set of keys of 8 bytes each, of which the last thousands are in a slower one."""

    def __init__(self) -> None:
        self._sorted, self._last = np.empty(0, np.uint64), set[int]()

    def add(self, key: int) -> bool:
        """Add a key; returns whether it is new."""
        if key in self._last or contains(self._sorted, key):
            return False
        self._last.add(key)
        if len(self._last) > max(10_000, len(self._sorted) // 8):
            self._sorted = np.union1d(self._sorted, np.fromiter(self._last, np.uint64))
            self._last.clear()
        return True


def default_pattern(size: Size) -> Pattern:
    """Return the pattern for the names of results: as for folders, or that of the picture for a size in pixels."""
    return Pattern("{stem}_x{scale}{ext}" if size.scale is not None else "{stem}{ext}")


def _without_ending(request: NameRequest) -> NameRequest:
    def name(extra: str) -> str:
        return Path(request.name(extra)).stem

    return replace(request, name=name)


def _is_namable(name: str) -> bool:
    """Whether a name can be in tables and stays within the folder of the results."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    return "\0" not in name and not {"", ".", ".."} & set(parts) and parts[0] != STATE
