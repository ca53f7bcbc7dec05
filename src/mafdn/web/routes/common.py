"""What several routes share: uploads, jobs by their identifier, bodies of JSON, and files as answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from mafdn.web.faults import ClosingError, RefusedError, error_of, storing
from mafdn.web.http.uploads import body_chunks, check_request, least_bytes, receive
from mafdn.web.labels import content_disposition
from mafdn.web.service import Service
from mafdn.web.work.jobs import Job

POLL_SECONDS = 0.5
"""Time between two looks whether the client still waits."""
LONGEST_JSON = 2**20
"""Most bytes of a body of JSON."""


@contextlib.asynccontextmanager
async def uploaded(service: Service, request: Request, *, ephemeral: bool) -> AsyncGenerator[Job]:
    """Receive an upload and make a job of it, which has a place in the queue within this context.

    Raises:
        RefusedError: If there is no room, or the upload is refused.
        MafdnError: If the picture or an option is.
    """
    most = service.settings.upload_bytes
    check_request(request, most)
    with service.upload_slot():
        service.check_disk(least_bytes(request))
        with storing():
            folder = service.store.new_folder()
        reserved = 0

        def grow(count: int) -> None:
            nonlocal reserved
            service.reserve(count)
            reserved += count

        kept = False
        try:
            upload = await receive(request, folder, most=most, grow=grow)
            query = {key: value for key, value in request.query_params.items() if key != "name"}
            upload.options = {**query, **upload.options}
            job = await service.make_job(upload, ephemeral=ephemeral)
            kept = True
        finally:
            service.store.release(reserved)
            if not kept:
                await asyncio.to_thread(service.store.discard, folder)
        yield job


def find_job(service: Service, name: str) -> Job:
    """Return the job of this identifier; raises `RefusedError` with status 404."""
    job = service.store.get(name)
    if job is None or job.ephemeral:
        raise RefusedError(404, "there is no such job; it may have been removed")
    return job


async def read_json(request: Request) -> Any:
    """Read a body of JSON; an empty one is an empty object. Raises `RefusedError`."""
    body = bytearray()
    async for chunk in body_chunks(request):
        body += chunk
        if len(body) > LONGEST_JSON:
            raise RefusedError(413, "the request is too long")
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is not JSON") from None


async def wait_until_done(service: Service, request: Request, job: Job) -> Path:
    """Wait until a job is done, as long as the client does, and return its result.

    Raises:
        MafdnError: Why it failed.
        RefusedError: If the client has gone, or the server closes before it begins.
    """
    waiting = asyncio.ensure_future(service.queue.wait_for(job))
    while not waiting.done():
        await asyncio.wait((waiting,), timeout=POLL_SECONDS)
        if not waiting.done() and await request.is_disconnected():
            waiting.cancel()
            raise RefusedError(499, "the client has gone")
    if job.error is not None:
        raise error_of({"fault": job.fault or "", "error": job.error})
    path = service.store.result(job)
    if path is None or job.state != "done":
        raise ClosingError
    return path


class ResultResponse(FileResponse):
    """A result as an answer.

    Args:
        path: The file.
        job: Its job.
        on_end: Called as `on_end(complete)` at the end: not complete if the client has gone, or asked for a part or for
            the headers alone.
        headers: Further headers.
    """

    def __init__(
        self, path: Path, job: Job, *, on_end: Callable[[bool], None], headers: dict[str, str] | None = None
    ) -> None:
        disposition = content_disposition(job.result_name or path.name)
        super().__init__(
            path, media_type=job.result_type, headers={"Content-Disposition": disposition, **(headers or {})}
        )
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        status, complete = 0, False

        async def watched(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False):  # the server drops what it sends to a client that has gone
                whole = status == 200 and scope["method"] != "HEAD"
                complete = whole and not await Request(scope, receive).is_disconnected()
            await send(message)

        if scope["method"] != "GET":  # a range makes no sense then
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"range"]}
        try:
            await super().__call__(scope, receive, watched)
        finally:
            self._on_end(complete)
