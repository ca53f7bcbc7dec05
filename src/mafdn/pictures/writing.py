"""Writing files atomically: complete under their final name, or not at all."""

import os
import re
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mafdn._support.atomic import printable, take_place, temporary_name
from mafdn.errors import PictureError

TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.partial")
"""What `temporary_name` returns."""


def part_of(temporary: Path) -> Path:
    """A second temporary file beside `temporary`, whose name follows from its name if that matches `TEMPORARY`."""
    name = temporary.name
    if TEMPORARY.fullmatch(name):
        return temporary.with_name(f".{int(name[1:13], 16) ^ 0xFFFF_FFFF_FFFF:012x}.partial")
    return temporary.with_name(temporary_name())


class Reservation:
    """A temporary file beside the final one, which it replaces or without which it vanishes.

    Args:
        path: The final file.
        overwrite: Whether it may exist already. A link is then written through, unless `temporary` is given.
        temporary: Name of the temporary file; `None` for a random one.

    Attributes:
        temporary: Path of the temporary file.

    Raises:
        PictureError: The folder is missing or not writable, or `path` exists and may not be overwritten.
    """

    def __init__(self, path: Path, *, overwrite: bool, temporary: str | None = None) -> None:
        self.path, self._overwrite = path, overwrite
        removal: Any = None
        try:
            refuse(path, overwrite=overwrite)
            self._final = path.resolve() if overwrite and temporary is None else path
            self.temporary = self._final.with_name(temporary or temporary_name())
            # Whatever happens from here on, the file is removed together with this object.
            removal = self._removal = weakref.finalize(self, self.temporary.unlink, missing_ok=True)
            self.temporary.open("xb").close()
        except (OSError, RuntimeError) as error:
            if removal:
                removal.detach()
            what = f"cannot write {printable(path)}"
            if isinstance(error, OSError):
                raise PictureError.from_os_error(what, error) from None
            raise PictureError(f"{what}: {error}") from None  # a cycle of links

    def publish(self, before_rename: Callable[[Path], object] | None = None) -> None:
        """Flush the temporary file and give it the final name.

        Args:
            before_rename: Called with the flushed temporary file; may raise to stop it from being published.

        Raises:
            PictureError: The file cannot be flushed or renamed, or the final name has been taken.
        """
        try:
            with self.temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if before_rename:
                before_rename(self.temporary)
            publish(self.temporary, self._final, overwrite=self._overwrite)
        except OSError as error:
            raise PictureError.from_os_error(f"cannot write {printable(self.path)}", error) from None
        finally:
            with suppress(OSError):  # it is published, or another error is on its way
                self.discard()

    def discard(self) -> None:
        """Remove the temporary file if it still exists."""
        self._removal()


def keep_times(source: Path, target: Path) -> tuple[str, ...]:
    """Give a result the time of modification of its input; returns a note if that is not possible."""
    try:
        os.utime(target, ns=(target.stat().st_atime_ns, source.stat().st_mtime_ns))
    except OSError as error:
        return (f"its time of modification could not be set: {error.strerror or error}",)
    return ()


@contextmanager
def reserve(path: Path, *, overwrite: bool) -> Generator[Path]:
    """A `Reservation`'s temporary file, published on success and discarded on failure."""
    reservation = Reservation(path, overwrite=overwrite)
    try:
        yield reservation.temporary
    except OSError as error:
        raise PictureError.from_os_error(f"cannot write {printable(path)}", error) from None
    else:
        reservation.publish()
    finally:
        reservation.discard()


def refuse(path: Path, *, overwrite: bool) -> None:
    """Raise `PictureError` if nothing may be written to `path`."""
    if path.is_dir():
        raise PictureError(f"cannot write {printable(path)}: it is a folder")
    if path.exists() and not path.is_file():
        raise PictureError(f"cannot write {printable(path)}: it is not a regular file")
    if not overwrite and os.path.lexists(path):
        raise PictureError(f"{printable(path)} exists; give another name or overwrite it", setting="overwrite")


def publish(temporary: Path, final: Path, *, overwrite: bool) -> None:
    """Rename a complete file; it takes the mode of what it replaces, and without `overwrite` replaces nothing.

    It may keep its first name as well, to be removed by the caller.

    Raises:
        PictureError: The name is taken and may not be.
        OSError: The file cannot be renamed.
    """
    if not overwrite:
        try:
            os.link(temporary, final)
        except OSError:  # the name is taken, or the file system has no hard links
            refuse(final, overwrite=False)
        else:
            return
    take_place(temporary, final)
