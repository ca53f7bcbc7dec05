"""Remove unfinished shards, and nothing else."""

import re
from pathlib import Path

from mafdn.errors import ConfigError

SHARD_NAME = re.compile(r"\d{5,}(\.partial)?")
SHARD_FILE = re.compile(r"(hr|lr_x\d+)\.u8|shard\.json")
BANK_FILE = re.compile(r"bank\.json(\.partial)?")
STRAY_FILE = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
"""Files that macOS and Windows add to folders that are looked at."""


def check_unfinished(folder: Path) -> None:
    """Check that a folder, if it exists, holds nothing but shards and the manifest of a bank.

    Raises:
        ConfigError: It holds something else.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; choose another folder for the bank")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and SHARD_NAME.fullmatch(path.name):
            _files(path)
        elif not BANK_FILE.fullmatch(path.name) and not STRAY_FILE.fullmatch(path.name):
            raise _foreign(path)


def remove_shard(folder: Path) -> None:
    """Remove the folder of a shard, if it exists.

    Raises:
        ConfigError: It holds something else than the files of a shard; nothing is removed then.
    """
    if folder.is_dir():
        for path in _files(folder):
            path.unlink()
        folder.rmdir()


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir())
    for path in files:
        known = SHARD_FILE.fullmatch(path.name) or STRAY_FILE.fullmatch(path.name)
        if not known or not path.is_file():
            raise _foreign(path)
    return files


def _foreign(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not part of an unfinished bank; choose another folder for the bank")
