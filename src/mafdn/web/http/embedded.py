"""Bodies of JSON that have files inside, as base64: the files go to disk while the body arrives."""

import binascii
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request

from mafdn.web.faults import RefusedError, storing
from mafdn.web.http.uploads import BUFFER, PictureWriter, Upload, body_chunks
from mafdn.web.labels import Label

LONGEST_TEXT = 4_096
"""Bytes of a text in JSON beyond which it is taken for a file."""
LONGEST_JSON = 2**20
"""Most bytes of the rest of the body."""
PREFIX = re.compile(rb"\s*data:[^,]{0,200},")
"""What comes before base64 in a data URI."""
SPACE = b" \t\r\n"
STOP = re.compile(rb'["\\]')


def check_json(request: Request) -> None:
    """Refuse a request whose body is no JSON by its content type; raises `RefusedError` with status 415."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RefusedError(415, f"the content type {kind[:100]!r} is not understood: send application/json")


class EmbeddedFiles:
    """Receives a body of JSON in which long texts are files in base64.

    The files are not in memory: whatever text is longer than `LONGEST_TEXT` is decoded and written as it arrives, and
    the JSON has a reference in its place, which `take` understands.

    Args:
        new_folder: Returns an empty private folder for a file.
        most: Most bytes of a file.
        most_files: Most files.
        grow: Called before each piece is written, with its length; may raise to refuse more.
    """

    def __init__(
        self, *, new_folder: Callable[[], Path], most: int, most_files: int, grow: Callable[[int], None]
    ) -> None:
        self._new_folder, self._most, self._most_files, self._grow = new_folder, most, most_files, grow
        self._token = secrets.token_hex(16)
        self._files: list[_File] = []
        self._open: list[_File] = []
        self._scanner = _Scanner(self._begin)
        self.folders: list[Path] = []
        """All folders that were made, whether their files are taken or not."""

    async def receive(self, request: Request) -> Any:
        """Receive a body and return its JSON.

        Raises:
            RefusedError: If the body is no JSON, too large or too slow.
            ClientDisconnect: If the client has gone.
        """
        try:
            async for chunk in body_chunks(request):
                self._scanner.feed(chunk)
                for file in self._open[:-1]:
                    await self._complete(file)
                if self._open:
                    await self._open[-1].flush(BUFFER)
            for file in list(self._open):
                await self._complete(file)
        finally:
            for file in self._open:
                file.writer.close()
        try:
            return json.loads(self._scanner.rest)
        except (ValueError, RecursionError):
            raise RefusedError(400, "the body is not JSON") from None

    async def take(self, text: str, name: str | None = None) -> Upload:
        """Return the file of a text in the JSON: of a reference, or of base64 that is short.

        Args:
            text: The text.
            name: Label of the file.

        Raises:
            RefusedError: If the text is no base64, or empty.
        """
        token, _, number = text.partition(":")
        if token == self._token:
            file = self._files[int(number)]
        else:
            file = self._begin(text.encode("utf-8", "replace"))[1]
            file.end()
            await self._complete(file)
        if file.fault:
            raise RefusedError(422, file.fault)
        upload = file.writer.upload
        if not upload.bytes:
            raise RefusedError(422, "the text for the picture is empty; send the file as base64")
        upload.label = Label.of(name)
        return upload

    async def _complete(self, file: "_File") -> None:
        """Write the rest of a file and close it."""
        self._open.remove(file)
        try:
            await file.flush(1)
        finally:
            file.writer.close()

    def _begin(self, head: bytes) -> "tuple[str, _File]":
        """Begin a file, of which the first part is known; returns its reference, too."""
        if len(self._files) >= self._most_files:
            raise RefusedError(413, f"the request has more than {self._most_files} pictures")
        with storing():
            folder = self._new_folder()
        self.folders.append(folder)
        writer = PictureWriter(Upload(folder=folder), self._most, self._grow)
        writer.begin(None)
        file = _File(writer)
        self._files.append(file)
        self._open.append(file)
        if head.lstrip().startswith((b"http://", b"https://")):
            file.fault = "addresses are not fetched: send the picture itself as base64"
        prefix = PREFIX.match(head)
        file.feed(head[prefix.end() :] if prefix else head)
        return f"{self._token}:{len(self._files) - 1}", file


@dataclass
class _File:
    """Decodes base64 into a file; what is not base64 only counts if the file is taken."""

    writer: PictureWriter
    fault: str | None = None
    _left: bytes = b""
    _padded: bool = False

    def feed(self, text: bytes) -> None:
        """Take some of the text."""
        text = self._left + text.translate(None, SPACE)
        whole = len(text) // 4 * 4
        self._decode(text[:whole])
        self._left = text[whole:]

    def end(self) -> None:
        """Take the rest, whose padding may be missing."""
        if self._left:
            self._decode(self._left + b"=" * (4 - len(self._left)))

    async def flush(self, least: int) -> None:
        """Write what was decoded if it has at least so many bytes."""
        await self.writer.flush(least)

    def _decode(self, text: bytes) -> None:
        if self.fault or not text:
            return
        try:
            if self._padded:
                raise binascii.Error
            self._padded = text.endswith(b"=")
            data = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            self.fault = "the text for the picture is not base64"
            return
        self.writer.feed(data)


@dataclass
class _Scanner:
    """Copies JSON, but for long texts."""

    begin: Callable[[bytes], tuple[str, _File]]
    rest: bytearray = field(default_factory=bytearray)
    """The JSON without long texts."""
    _start: int | None = None
    """Where the text begins in `rest`; `None` outside of texts."""
    _file: _File | None = None
    """The file of the text, if it is long."""
    _escape: bytes = b""
    """The beginning of an escape sequence."""

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        position = 0
        while position < len(data):
            position = self._outside(data, position) if self._start is None else self._inside(data, position)
            if len(self.rest) > LONGEST_JSON + LONGEST_TEXT:
                raise RefusedError(413, "the request is too long")

    def _outside(self, data: bytes, position: int) -> int:
        """Copy up to the next text."""
        quote = data.find(b'"', position)
        end = len(data) if quote < 0 else quote + 1
        self.rest += data[position:end]
        if quote >= 0:
            self._start = len(self.rest)
        return end

    def _inside(self, data: bytes, position: int) -> int:
        """Take some of a text, up to an escape sequence or its end."""
        if self._escape:
            return self._escaped(data, position)
        found = STOP.search(data, position)
        end = found.start() if found else len(data)
        self._take(data[position:end])
        if not found:
            return end
        if found[0] == b"\\":
            self._escape = b"\\"
        else:
            self._close()
        return found.end()

    def _escaped(self, data: bytes, position: int) -> int:
        """Take a byte of an escape sequence."""
        self._escape += data[position : position + 1]
        if len(self._escape) == (6 if self._escape[1:2] == b"u" else 2):
            escape, self._escape = self._escape, b""
            self._take(_unescaped(escape) if self._file else escape)
        return position + 1

    def _take(self, text: bytes) -> None:
        assert self._start is not None
        if self._file is not None:
            self._file.feed(text)
            return
        self.rest += text
        if len(self.rest) - self._start > LONGEST_TEXT:
            head = bytes(self.rest[self._start :])
            del self.rest[self._start :]
            reference, self._file = self.begin(re.sub(rb"\\(u[0-9a-fA-F]{4}|.)", lambda m: _unescaped(m[0]), head))
            self.rest += reference.encode()

    def _close(self) -> None:
        if self._file is not None:
            self._file.end()
        self.rest += b'"'
        self._file = self._start = None


def _unescaped(escape: bytes) -> bytes:
    """Return the character of an escape sequence: some programs write `/` and `+` as such."""
    try:
        return str(json.loads(b'"' + escape + b'"')).encode("utf-8", "replace")
    except ValueError:
        return b"?"
