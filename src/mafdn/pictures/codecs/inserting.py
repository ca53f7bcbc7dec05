"""Changing the first bytes of a file while libvips encodes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyvips


def save_edited(save: Callable[[pyvips.Target], None], path: Path, edit: Callable[[bytearray], bytes | None]) -> None:
    """Encode a file whose first bytes are changed; the rest passes through.

    Args:
        save: Encodes to the target that it is given.
        path: The file.
        edit: Takes the first bytes, as far as they are there, and returns what replaces them; `None` while there are
            too few.

    Raises:
        pyvips.Error: From libvips.
        OSError: The file cannot be written.
        Exception: From `edit`.
    """
    with path.open("wb") as file:
        writer = _Writer(file, edit)
        target = pyvips.TargetCustom()
        target.on_write(writer.write)
        try:
            save(target)
        except pyvips.Error:
            if writer.error:
                raise writer.error from None
            raise
        if writer.head:
            raise ValueError("the encoder has written less than the beginning of a file")


class _Writer:
    """What libvips writes to.

    Attributes:
        head: The first bytes until they have been written, and nothing from then on.
        error: What the system or `edit` reported, after `write` has returned -1.
    """

    def __init__(self, file: BinaryIO, edit: Callable[[bytearray], bytes | None]) -> None:
        self._file, self._edit = file, edit
        self.head: bytearray | None = bytearray()
        self.error: Exception | None = None

    def write(self, part: Any) -> int:
        """Take the next bytes of the file; returns their number, or -1 on failure."""
        try:
            head = self.head
            if head is None:
                self._file.write(part)
                return len(part)
            head += part
            edited = self._edit(head)
            if edited is not None:
                self.head = None
                self._file.write(edited)
        except Exception as error:  # must not reach libvips, which called this
            self.error = error
            return -1
        return len(part)
