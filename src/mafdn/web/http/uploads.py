"""Uploads: a picture and its options, streamed from a request into a private folder within limits."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mafdn.web.faults import RefusedError, storing
from mafdn.web.labels import Label
from mafdn.web.work.jobs import SOURCE

MOST_PARTS = 40
"""Parts of a form; there are fewer options."""
LONGEST_HEADER = 8_192
"""Most bytes of the headers of a part."""
LONGEST_VALUE = 4_096
"""Most bytes of the value of an option."""
MOST_OVERHEAD = 2**20
"""Bytes of a form besides the picture."""
BUFFER = 2**20
"""Bytes that are written at a time."""
IDLE_SECONDS = 30.0
"""Longest time without a byte."""
LEAST_RATE = 8_192
"""Bytes per second that an upload has on average, after a minute."""
RATE_SECONDS = 60.0
"""Time for which any rate is accepted."""
FILE = "file"
"""Name of the part with the picture."""


@dataclass(kw_only=True)
class Upload:
    """What a request brought: the picture is in `folder / source_name`."""

    folder: Path
    label: Label = field(default_factory=lambda: Label.of(None))
    source_name: str = ""
    bytes: int = 0
    options: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def source(self) -> Path:
        """The picture."""
        return self.folder / self.source_name


def check_request(request: Request, most: int) -> None:
    """Refuse a request by its headers alone: the wrong type, or too many bytes.

    Raises:
        RefusedError: With status 413 or 415.
    """
    kind = _content_type(request)
    if not (_is_form(kind) or _is_raw(kind)):
        raise RefusedError(
            415,
            f"the content type {kind[:100]!r} is not understood: send a form (multipart/form-data) with the part "
            f"{FILE!r}, or the bytes of the picture as application/octet-stream",
        )
    if least_bytes(request) > most:
        raise _too_large(most)


def least_bytes(request: Request) -> int:
    """Return how many bytes the picture has at least, by the declared length of the body; 0 if none is declared."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return 0
    return max(0, int(length) - (MOST_OVERHEAD if _is_form(_content_type(request)) else 0))


async def receive(request: Request, folder: Path, *, most: int, grow: Callable[[int], None]) -> Upload:
    """Receive the body of a request that `check_request` accepts.

    Args:
        request: The request.
        folder: An empty private folder.
        most: Most bytes of the picture.
        grow: Called before each piece is written, with its length; may raise to refuse more.

    Raises:
        RefusedError: If the body is too large, too slow, no form as declared, or has no picture.
        ClientDisconnect: If the client has gone.
    """
    kind = _content_type(request)
    writer = PictureWriter(Upload(folder=folder), most, grow)
    try:
        if _is_form(kind):
            boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
            if not boundary or len(boundary) > 70:
                raise RefusedError(400, "the form has no valid boundary")
            await _receive_form(request, boundary, writer)
        else:
            writer.begin(request.query_params.get("name"))
            async for chunk in body_chunks(request):
                writer.feed(chunk)
                await writer.flush(BUFFER)
        await writer.flush(1)
    finally:
        writer.close()
    upload = writer.upload
    if not upload.source_name:
        raise RefusedError(422, f"the form has no part {FILE!r} with a picture")
    if not upload.bytes:
        raise RefusedError(422, f"{upload.label.name} is empty; it holds no picture")
    return upload


class PictureWriter:
    """Writes the picture of an upload to disk, a large piece at a time."""

    def __init__(self, upload: Upload, most: int, grow: Callable[[int], None]) -> None:
        self.upload = upload
        self._most, self._grow = most, grow
        self._buffer = bytearray()
        self._file: BinaryIO | None = None

    def begin(self, name: str | None) -> None:
        """Begin the picture, which has this name."""
        upload = self.upload
        upload.label = Label.of(name)
        upload.source_name = SOURCE + upload.label.suffix
        with storing():
            self._file = upload.source.open("xb")

    def feed(self, data: bytes) -> None:
        """Take some of it."""
        self.upload.bytes += len(data)
        if self.upload.bytes > self._most:
            raise _too_large(self._most)
        self._buffer += data

    async def flush(self, least: int) -> None:
        """Write what has been taken if it has at least so many bytes."""
        if self._file is not None and len(self._buffer) >= least:
            data, self._buffer = self._buffer, bytearray()
            self._grow(len(data))
            with storing():
                await asyncio.to_thread(self._file.write, data)

    def close(self) -> None:
        """Close the file, which writes the last of it."""
        if self._file is not None:
            with storing():
                self._file.close()


class _Form:
    """Callbacks of the form's parser: options are collected, the picture goes to the writer."""

    def __init__(self, writer: PictureWriter) -> None:
        self._writer = writer
        self._parts = 0
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._name = ""
        self._in_file = False
        self.ended = False

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise RefusedError(413, f"the form has more than {MOST_PARTS} parts")
        self._disposition, self._in_file, self._name = b"", False, ""
        self._value.clear()
        self._header.clear()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._check_length(self._header)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_length(self._value)

    @staticmethod
    def _check_length(header: bytearray) -> None:
        if len(header) > LONGEST_HEADER:
            raise RefusedError(413, "the form has a part whose header is too long")

    def on_header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        _, given = parse_options_header(self._disposition)
        self._name = given.get(b"name", b"").decode("utf-8", "replace")
        filename = given.get(b"filename")
        self._in_file = self._name == FILE
        if self._in_file:
            if self._writer.upload.source_name:
                raise RefusedError(422, f"the form has several parts {FILE!r}; send one picture a request")
            name = None if filename is None else filename.decode("utf-8", "replace")
            self._writer.begin(name and name.replace("%22", '"'))  # which browsers encode so
        elif filename is not None:
            raise RefusedError(422, f"the form has a file in the part {self._name[:60]!r}; name it {FILE!r}")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._writer.feed(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > LONGEST_VALUE:
            raise RefusedError(413, f"the option {self._name[:60]!r} is too long")

    def on_part_end(self) -> None:
        if not self._in_file:
            options = self._writer.upload.options
            if self._name in options:
                raise RefusedError(422, f"the option {self._name[:60]!r} is given twice")
            options[self._name] = self._value.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.ended = True


async def _receive_form(request: Request, boundary: bytes, writer: PictureWriter) -> None:
    form = _Form(writer)
    names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "headers_finished")
    callbacks = {f"on_{name}": getattr(form, f"on_{name}") for name in (*names, "end")}
    parser = MultipartParser(boundary, callbacks)  # pyright: ignore[reportArgumentType]
    try:
        async for chunk in body_chunks(request):
            parser.write(chunk)
            await writer.flush(BUFFER)
    except MultipartParseError as error:
        raise RefusedError(400, f"the form is damaged: {str(error)[:200]}") from None
    if not form.ended:
        raise RefusedError(400, "the form is incomplete")


async def body_chunks(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body of a request, as long as it comes fast enough.

    Raises:
        RefusedError: With status 408 if it does not.
        ClientDisconnect: If the client has gone.
    """
    began, count = time.monotonic(), 0
    while True:
        try:
            message = await asyncio.wait_for(request.receive(), IDLE_SECONDS)
        except TimeoutError:
            raise RefusedError(408, f"the upload was idle for {IDLE_SECONDS:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        count += len(chunk)
        if time.monotonic() - began > RATE_SECONDS + count / LEAST_RATE:
            raise RefusedError(408, "the upload is too slow")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()


def _is_form(kind: str) -> bool:
    return kind == "multipart/form-data"


def _is_raw(kind: str) -> bool:
    return kind == "application/octet-stream" or kind.startswith("image/")


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the picture has more than the {most / 1e6:,g} MB that --max-file-mb allows")
