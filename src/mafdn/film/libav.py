"""PyAV, if it is installed."""

from importlib.util import find_spec
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError


def require_av(path: Path) -> None:
    """Raise `MissingPackageError` if PyAV is not installed; `path` is the source for which it is needed."""
    if find_spec("av") is None:
        need = f"to read and write films, install the extra film: {pip_install('film')}"
        raise MissingPackageError(f"{printable(path)}: {need}")
