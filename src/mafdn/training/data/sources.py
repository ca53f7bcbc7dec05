"""The folders of pictures that a bank is made from, and whether a bank was made from given ones."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mafdn._support.progress import ignore
from mafdn.errors import ConfigError
from mafdn.pictures.formats import SUFFIXES
from mafdn.training.data.bank import VERSION, Bank, SourceFolder


@dataclass(frozen=True)
class Source:
    """A picture file."""

    folder: str
    """Name of the folder that was searched."""
    name: str
    """Path relative to that folder, with slashes."""
    path: Path
    size: int
    """Size in bytes."""


@dataclass(frozen=True)
class Listing:
    """The picture files in some folders."""

    folders: tuple[tuple[Source, ...], ...]

    @property
    def files(self) -> list[Source]:
        """The files of all folders, in order."""
        return [source for folder in self.folders for source in folder]

    @property
    def described(self) -> tuple[SourceFolder, ...]:
        """A description of each folder."""
        return tuple(
            SourceFolder(name=files[0].folder, files=len(files), digest=_digest(_names(files)))
            for files in self.folders
        )


def list_pictures(folders: Iterable[Path]) -> Listing:
    """Find the picture files in folders, recursively.

    Raises:
        ConfigError: A folder does not exist or has no pictures.
    """
    listing: list[tuple[Source, ...]] = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder of pictures; give one, such as that of DIV2K")
        found = sorted(
            (path for path in folder.rglob("*") if _is_listed(path, folder)), key=lambda p: p.relative_to(folder).parts
        )
        if not found:
            raise ConfigError(f"no pictures in {folder}: expected files ending in {', '.join(sorted(SUFFIXES))}")
        top = folder.resolve().name
        listing.append(
            tuple(Source(top, path.relative_to(folder).as_posix(), path, path.stat().st_size) for path in found)
        )
    return Listing(tuple(listing))


def _is_listed(path: Path, folder: Path) -> bool:
    """Whether a path below `folder` is a picture; hidden ones are not, such as the `._a.jpg` that macOS adds."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def fingerprint(files: Sequence[Source], *, bench: Sequence[Source], scales: Sequence[int]) -> str:
    """Return the digest of the files by name and size and of the settings that a bank, or a shard, is made from.

    It does not depend on what is in the files: reading all of them would take too long at each start. `Bank.digest` is
    that of the contents of a finished bank.
    """
    return _digest([[VERSION, list(scales), _names(bench)], _names(files)])


def difference(bank: Bank, pictures: Listing, exclude: Listing, scales: Sequence[int]) -> str:
    """Describe how a bank differs from one that would be made of these folders; empty if it does not."""
    if bank.fingerprint == fingerprint(pictures.files, bench=exclude.files, scales=scales):
        return ""
    if bank.sources is None:
        return "its pictures, scales or excluded benchmark datasets are different"
    found: list[str] = []
    if bank.scales != tuple(scales):
        found.append(f"its scales are {_list(bank.scales)}, not {_list(scales)}")
    if bank.sources.exclude != exclude.described:
        found.append(f"it excludes {_named(bank.sources.exclude)}, not {_named(exclude.described)}")
    if bank.sources.folders != pictures.described:
        found.append(f"it was made from {_named(bank.sources.folders)}, not {_named(pictures.described)}")
    return " and ".join(found)


def check_bank(
    bank: Bank,
    *,
    scale: int,
    folders: Sequence[Path],
    exclude: Sequence[Path],
    on_note: Callable[[str], None] = ignore,
) -> None:
    """Check that a run may use an existing bank.

    The bank may have more scales and exclude more benchmark datasets. Its pictures are only compared with folders that
    still exist, by the names and sizes of the files.

    Args:
        bank: The bank.
        scale: The scale of the network.
        folders: The folders of pictures that the run names, if any.
        exclude: The benchmark datasets that the bank must exclude.
        on_note: Called with messages about what could not be compared.

    Raises:
        ConfigError: The bank lacks the scale, has different pictures, or does not exclude a dataset.
    """
    if scale not in bank.scales:
        raise ConfigError(
            f"the bank {bank.folder} has no pictures reduced by {scale}, only by {_list(bank.scales)}; build another "
            "for this scale with 'mafdn bank build' and set data.bank"
        )
    missing = [folder for folder in folders if not folder.exists()]
    if missing:
        names = ", ".join(map(str, missing))
        on_note(f"data.folders: {names} does not exist; using the bank {bank.folder} as it is")
    if bank.sources is None:
        _check_by_fingerprint(bank, [] if missing else folders, exclude)
        return
    if folders and not missing:
        wanted = list_pictures(folders).described
        if _sorted(wanted) != _sorted(bank.sources.folders):
            raise _other_pictures(bank, f"was made from {_named(bank.sources.folders)}, not {_named(wanted)}")
    excluded = {folder.digest for folder in bank.sources.exclude}
    names = {folder.name for folder in bank.sources.exclude}
    wanted_sets = [(f, list_pictures([f]).described[0] if f.exists() else None) for f in exclude]
    lacking = [str(f) for f, found in wanted_sets if (found.digest not in excluded if found else f.name not in names)]
    if lacking:
        raise _not_excluded(bank, lacking)
    others = names - {folder.resolve().name for folder in exclude}
    if others:
        on_note(f"the bank {bank.folder} also leaves out pictures of {', '.join(sorted(others))}")


def _check_by_fingerprint(bank: Bank, folders: Sequence[Path], exclude: Sequence[Path]) -> None:
    """As `check_bank`, for banks that do not state what they were made from."""
    if not folders:
        return
    files, bench = list_pictures(folders).files, list_pictures(f for f in exclude if f.exists()).files
    if bank.fingerprint == fingerprint(files, bench=bench, scales=bank.scales):
        return
    if bench and bank.fingerprint == fingerprint(files, bench=[], scales=bank.scales):
        raise _not_excluded(bank, [str(folder) for folder in exclude])
    raise _other_pictures(bank, "was made from different pictures, or excludes other benchmark datasets")


def _other_pictures(bank: Bank, how: str) -> ConfigError:
    return ConfigError(
        f"the bank {bank.folder} {how}; set data.bank to a new folder, or use this bank as it is with data.folders = []"
    )


def _not_excluded(bank: Bank, folders: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the bank {bank.folder} does not exclude {', '.join(folders)}, so training might see benchmark pictures; set "
        "data.bank to a new folder, or remove the dataset from data.exclude"
    )


def _names(files: Sequence[Source]) -> list[list[Any]]:
    return [[source.name, source.size] for source in files]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _sorted(folders: Sequence[SourceFolder]) -> list[str]:
    return sorted(folder.digest for folder in folders)


def _named(folders: Sequence[SourceFolder]) -> str:
    return ", ".join(f"{folder.name} ({folder.files} files)" for folder in folders) or "nothing"


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
