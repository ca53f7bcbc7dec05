"""Pack training pictures into tar files of limited size, for transfer to a machine with a GPU.

    python -m tools.pack_pictures PICTURES FOLDER [--megabytes 40]

The pictures are stored unchanged and sorted by name, so that the same pictures give identical files.
"""

import argparse
import tarfile
from pathlib import Path

from mafdn.errors import UsageError

PADDING = 20_000
"""Bytes that are left for the end of an archive, which is filled up to whole records of tar."""


def pack(pictures: Path, folder: Path, *, megabytes: float) -> list[Path]:
    """Write `pictures-00.tar`, `pictures-01.tar`, ... of at most `megabytes` (10**6 bytes) each.

    Raises:
        UsageError: A picture does not fit into one of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    most = megabytes * 1e6 - PADDING
    groups: list[list[Path]] = []
    size = 0.0
    for path in sorted(p for p in pictures.rglob("*") if p.is_file()):
        needed = -(-path.stat().st_size // 512) * 512 + 1024  # with padding and header of tar
        if needed > most:
            raise UsageError(f"{path} does not fit into {megabytes:g} MB; choose more --megabytes")
        if not groups or size + needed > most:
            groups.append([])
            size = 0.0
        groups[-1].append(path)
        size += needed
    packs = [folder / f"pictures-{number:02d}.tar" for number in range(len(groups))]
    for target, paths in zip(packs, groups, strict=True):
        with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
            for path in paths:
                entry = archive.gettarinfo(path, path.relative_to(pictures).as_posix())
                entry.mtime, entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0o644, 0, 0, "", ""
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    return packs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=40)
    arguments = parser.parse_args()
    for made in pack(arguments.pictures, arguments.folder, megabytes=arguments.megabytes):
        print(made, f"{made.stat().st_size / 1e6:.1f} MB")
