"""Pack training pictures into tar files of limited size, to carry them to a machine with a GPU in several transfers.

python scripts/pack_pictures.py PICTURES FOLDER [--megabytes 40]

The pictures are stored as they are, sorted by name, so the packs of the same pictures are the same files.
"""

import argparse
import tarfile
from pathlib import Path


def pack(pictures: Path, folder: Path, *, megabytes: float) -> list[Path]:
    """Write ``pictures-00.tar``, ``pictures-01.tar``, ... of at most ``megabytes`` (10**6 bytes) each."""
    folder.mkdir(parents=True, exist_ok=True)
    packs: list[Path] = []
    archive: tarfile.TarFile | None = None
    size = 0.0
    for path in sorted(p for p in pictures.rglob("*") if p.is_file()):
        needed = -(-path.stat().st_size // 512) * 512 + 1024  # tar's blocks and its header
        if archive is None or size + needed > megabytes * 1e6 - 20_000:
            if archive:
                archive.close()
            packs.append(folder / f"pictures-{len(packs):02d}.tar")
            archive, size = tarfile.open(packs[-1], "w", format=tarfile.USTAR_FORMAT), 0.0
        entry = archive.gettarinfo(path, path.relative_to(pictures).as_posix())
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
        with path.open("rb") as file:
            archive.addfile(entry, file)
        size += needed
    if archive:
        archive.close()
    return packs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=40)
    arguments = parser.parse_args()
    for made in pack(arguments.pictures, arguments.folder, megabytes=arguments.megabytes):
        print(made, f"{made.stat().st_size / 1e6:.1f} MB")
