"""Writing pictures: whole under their final name, or not at all.

Public names: :class:`Reservation`, :func:`reserve`, :func:`temporary_name`, :func:`check_encodable`, :data:`TEMPORARY`.
"""

import os
import re
import secrets
import stat
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mafdn._support.atomic import shown
from mafdn.errors import PictureError
from mafdn.pictures.formats import Format

TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.partial")
"""Names of files that are not yet whole."""


def temporary_name() -> str:
    """A name like :data:`TEMPORARY` that nothing has."""
    return f".{secrets.token_hex(6)}.partial"


def check_encodable(path: Path, target: Format, *, width: int, height: int) -> None:
    """Raise :class:`PictureError` when ``target`` cannot hold a picture of this size."""
    if max(width, height) > target.largest_side:
        raise PictureError(
            f"cannot write {shown(path)}: {width}x{height} is beyond {target.name}'s limit of {target.largest_side} "
            "pixels a side; choose PNG or TIFF"
        )


class Reservation:
    """A temporary file, ``temporary``, beside ``path``: it becomes ``path`` or vanishes.

    A link that may be overwritten is written through, unless the name that ``temporary`` shall have beside ``path`` is
    given. Raises :class:`PictureError` at once when the folder is missing or not writable, or when ``path`` exists and
    ``overwrite`` is false.
    """

    def __init__(self, path: Path, *, overwrite: bool, temporary: str | None = None) -> None:
        self.path, self._overwrite = path, overwrite
        removal: Any = None
        try:
            _refuse(path, overwrite=overwrite)
            self._final = path.resolve() if overwrite and temporary is None else path
            self.temporary = self._final.with_name(temporary or temporary_name())
            # Whatever happens from here on, it is gone when this object is.
            removal = self._removal = weakref.finalize(self, self.temporary.unlink, missing_ok=True)
            self.temporary.open("xb").close()
        except (OSError, RuntimeError) as error:
            if removal:
                removal.detach()
            what = f"cannot write {shown(path)}"
            if isinstance(error, OSError):
                raise PictureError.from_os_error(what, error) from None
            raise PictureError(f"{what}: {error}") from None  # links in a circle

    def publish(self, on_whole: Callable[[Path], None] | None = None) -> None:
        """Flush the temporary file and give it its name; raises :class:`PictureError`.

        ``on_whole`` is called with the temporary file in between, and may raise to keep it from its name.
        """
        try:
            with self.temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if on_whole:
                on_whole(self.temporary)
            _publish(self.temporary, self._final, overwrite=self._overwrite)
        except OSError as error:
            raise PictureError.from_os_error(f"cannot write {shown(self.path)}", error) from None
        finally:
            with suppress(OSError):  # the result has its name or an error is told, whatever becomes of the other
                self.discard()

    def discard(self) -> None:
        """Remove the temporary file if it is still there."""
        self._removal()


@contextmanager
def reserve(path: Path, *, overwrite: bool) -> Generator[Path]:
    """A :class:`Reservation`'s temporary file: on success it becomes ``path``, else it vanishes."""
    reservation = Reservation(path, overwrite=overwrite)
    try:
        yield reservation.temporary
    except OSError as error:
        raise PictureError.from_os_error(f"cannot write {shown(path)}", error) from None
    else:
        reservation.publish()
    finally:
        reservation.discard()


def _refuse(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise PictureError(f"cannot write {shown(path)}: it is a folder")
    if path.exists() and not path.is_file():
        raise PictureError(f"cannot write {shown(path)}: it is no regular file")
    if not overwrite and os.path.lexists(path):
        raise PictureError(f"{shown(path)} exists; give another name or --overwrite")


def _publish(temporary: Path, final: Path, *, overwrite: bool) -> None:
    """Give the finished file its name, and who may read it; without ``overwrite`` only if the name is still free."""
    if not overwrite:
        try:
            os.link(temporary, final)
        except OSError:  # the name is taken, or the file system has no hard links
            _refuse(final, overwrite=False)
        else:
            return
    else:
        with suppress(OSError):  # nothing is replaced, or the file system has no modes
            temporary.chmod(stat.S_IMODE(final.stat().st_mode))
    temporary.replace(final)
