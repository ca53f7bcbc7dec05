"""Pixels that wait in a file: of a picture too large to be in memory.

Public names: :class:`FileRows`, :func:`spill`, :func:`disk_error`, :data:`LARGE`, :data:`LEAST_ROOM`.
"""

import errno
import math
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import DISK_ERRORS, shown
from mafdn.errors import PictureError

LARGE = 64 * 2**20
"""Bytes of pixels from which on a picture waits in a file."""


LEAST_ROOM = 2**20
"""Bytes without which a disk is full for any picture."""


class FileRows:
    """Raw (H, W, C) pixels in an open file, from the byte ``start`` on; the file is closed with this object."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int], dtype: np.dtype[Any], *, start: int = 0) -> None:
        self.shape, self.dtype = shape, dtype.newbyteorder("=")
        self._file, self._stored, self._start = file, dtype, start
        self.close = weakref.finalize(self, file.close)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Raises :class:`PictureError` when the file has become shorter."""
        top, bottom, _ = rows.indices(self.shape[0])
        row = math.prod(self.shape[1:])
        self._file.seek(self._start + top * row * self._stored.itemsize)
        values = np.fromfile(self._file, self._stored, max(0, bottom - top) * row)
        if len(values) < (bottom - top) * row:
            name = self._file.name if isinstance(self._file.name, str) else "the pixels that wait in a file"
            raise PictureError(f"{shown(name)} became shorter while it was read; try again")
        return values.reshape(-1, *self.shape[1:]).astype(self.dtype, copy=False)


def disk_error(error: pyvips.Error) -> int | None:
    """The one of :data:`DISK_ERRORS` behind an error of libvips, which hands on the system's words but no number."""
    ends = {f" error: {os.strerror(number)}": number for number in DISK_ERRORS}
    return next((ends[end] for line in str(error).splitlines() for end in ends if line.rstrip().endswith(end)), None)


def spill(image: pyvips.Image, folder: Path) -> FileRows:
    """The pixels of ``image`` (uchar or ushort) in a file in ``folder`` that has no name, where the system allows.

    It is gone when the process is, however that ends. Raises ``pyvips.Error`` and ``OSError``.
    """
    file = tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".partial")  # noqa: SIM115
    try:
        image.rawsave_target(pyvips.Target.new_to_descriptor(file.fileno()))
    except BaseException as error:
        number = None
        if isinstance(error, pyvips.Error):  # which does not always tell
            full = shutil.disk_usage(folder).free < LEAST_ROOM
            number = disk_error(error) or (errno.ENOSPC if full else None)
        file.close()
        if number:
            raise OSError(number, os.strerror(number)) from None
        raise
    dtype = np.dtype(np.uint8 if image.format == "uchar" else np.uint16)
    return FileRows(file, (image.height, image.width, image.bands), dtype)
