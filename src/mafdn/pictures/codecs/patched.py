"""A file with another beginning and end, as libvips reads it; the file itself is not changed."""

import os
import weakref
from pathlib import Path

import pyvips


class PatchedFile:
    """A file whose first bytes are replaced, and that is continued by other bytes, as a source for libvips.

    It has to live for as long as libvips reads.

    Args:
        path: The file.
        head: The bytes that replace the first ones.
        tail: The bytes that follow the last one.

    Attributes:
        source: The source.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, head: bytes, tail: bytes) -> None:
        self._file, self._head, self._tail, self._position = path.open("rb"), head, tail, 0
        self._size = self._file.seek(0, os.SEEK_END)
        weakref.finalize(self, self._file.close)
        self.source = pyvips.SourceCustom()
        # The callbacks must not refer to this object, or both would live forever.
        this = weakref.proxy(self)
        self.source.on_read(lambda length: this.read(length))
        self.source.on_seek(lambda offset, whence: this.seek(offset, whence))

    def read(self, length: int) -> bytes:
        place, head = self._position, len(self._head)
        if place < head:
            data = self._head[place : place + length]
        elif place < self._size:
            self._file.seek(place)
            data = self._file.read(min(length, self._size - place))
        else:
            data = self._tail[place - self._size : place - self._size + length]
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        starts = (0, self._position, self._size + len(self._tail))
        self._position = starts[whence] + offset
        return self._position
