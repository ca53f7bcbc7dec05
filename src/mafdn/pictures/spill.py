"""Pixels in temporary files, for pictures too large for memory."""

import errno
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.libvips import PIXEL_TYPES, disk_error
from mafdn.pixels.rows import Rows

LARGE = 64 * 2**20
"""Bytes of pixels above which a picture is kept in a file."""
LEAST_ROOM = 2**20
"""Free bytes below which a disk counts as full."""


@contextmanager
def spill_errors(path: Path, folder: Path | None) -> Generator[None]:
    """Turn errors of the system while pixels of `path` are put into `folder` into `PictureError`."""
    try:
        yield
    except OSError as error:
        what = f"cannot put the pixels of {printable(path)} into {printable(folder or path)}"
        raise PictureError.from_os_error(what, error) from None


class FileRows:
    """Raw pixels in an open file as `Rows`; the file is closed together with this object.

    Args:
        file: The file; closed by this object.
        shape: (H, W, C).
        dtype: Type and byte order of the stored values.
        start: Byte at which the pixels start.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int], dtype: np.dtype[Any], *, start: int = 0) -> None:
        self.shape, self.dtype = shape, dtype.newbyteorder("=")
        self._file, self._stored, self._start = file, dtype, start
        self.close = weakref.finalize(self, file.close)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Read consecutive rows; raises `PictureError` if the file has been truncated."""
        top, bottom, _ = rows.indices(self.shape[0])
        row = math.prod(self.shape[1:])
        self._file.seek(self._start + top * row * self._stored.itemsize)
        values = np.fromfile(self._file, self._stored, max(0, bottom - top) * row)
        if len(values) < (bottom - top) * row:
            name = self._file.name if isinstance(self._file.name, str) else "the temporary file of pixels"
            raise PictureError(f"{printable(name)} was truncated while it was read; try again")
        return values.reshape(-1, *self.shape[1:]).astype(self.dtype, copy=False)


def keep_bands(
    bands: Iterable[NDArray[Any]], shape: tuple[int, int, int], dtype: np.dtype[Any], folder: Path | None
) -> Rows:
    """Keep bands as rows: in memory, or in a temporary file like that of `spill`.

    Args:
        bands: Consecutive rows, (any, W, C), from the top; each is needed only until the next one.
        shape: (H, W, C) of all of them.
        dtype: Their type.
        folder: Folder for the file; `None` for memory.

    Raises:
        OSError: The file cannot be written.
    """
    if folder is None:
        return np.concatenate([band.copy() for band in bands])
    file = tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".partial")  # noqa: SIM115
    try:
        for band in bands:
            file.write(np.ascontiguousarray(band).data)
        file.flush()
    except BaseException:
        file.close()
        raise
    return FileRows(file, shape, dtype)


def spill(image: pyvips.Image, folder: Path) -> FileRows:
    """Decode `image` (uchar, ushort or float) into a temporary file in `folder`.

    Where the system allows, the file has no name. It disappears with the process, however that ends.

    Raises:
        pyvips.Error: Decoding failed.
        OSError: The file cannot be written.
    """
    file = tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".partial")  # noqa: SIM115
    try:
        image.rawsave_target(pyvips.Target.new_to_descriptor(file.fileno()))
    except BaseException as error:
        number = None
        if isinstance(error, pyvips.Error):  # its text does not always name the cause
            full = shutil.disk_usage(folder).free < LEAST_ROOM
            number = disk_error(error) or (errno.ENOSPC if full else None)
        file.close()
        if number:
            raise OSError(number, os.strerror(number)) from None
        raise
    return FileRows(file, (image.height, image.width, image.bands), np.dtype(PIXEL_TYPES[image.format]))
