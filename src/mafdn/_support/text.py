"""Text: files that people write with an editor or a shell, and the first lines of messages."""

import codecs
from pathlib import Path


def read_text_file(path: Path) -> str:
    """Read a file in UTF-8, with or without a byte order mark, or in UTF-16 with one, as PowerShell 5.1 writes it.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not such a text.
    """
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return data.decode(encoding)


def first_line(error: BaseException) -> str:
    """The first line of the message of an error; its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
