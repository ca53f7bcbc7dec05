"""`GET /api/v1/results.zip`: several results as one archive, written while it is sent."""

import zipfile
from collections.abc import AsyncGenerator, Generator, Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse

from mafdn.web.faults import RefusedError
from mafdn.web.labels import content_disposition
from mafdn.web.routes.schemas import errors, pictures
from mafdn.web.service import Service
from mafdn.web.work.jobs import Job

CHUNK = 2**18
"""Bytes that are read at a time."""
ARCHIVE = "upscaled.zip"


def routes(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["jobs"])

    @router.head("/api/v1/results.zip", include_in_schema=False)
    @router.get(
        "/api/v1/results.zip",
        summary="Download several results",
        responses={**pictures(200, "A zip archive.", "application/zip"), **errors(404, 409)},
        response_class=Response,
    )
    async def archive(request: Request, ids: str = "") -> Response:
        """Download the results of some jobs (identifiers with commas between them), or of all that are done.

        Jobs that were removed, are not done or have failed are left out.
        """
        names = [name for name in ids.split(",") if name]
        listed = {job.id: job for job in service.store.listed()}
        jobs = [listed[name] for name in names if name in listed] if ids else list(listed.values())
        if names and not jobs:
            raise RefusedError(404, "there are no such jobs; they may have been removed")
        jobs = [job for job in jobs if job.state == "done"]
        if not jobs:
            raise RefusedError(409, "none of these jobs has a result")
        headers = {"Content-Disposition": content_disposition(ARCHIVE)}
        if request.method == "HEAD":
            return Response(media_type="application/zip", headers=headers)
        files = [(job, path) for job in jobs if (path := service.store.result(job)) is not None]

        async def delivered() -> AsyncGenerator[bytes]:
            named = zip(_unique(job for job, _ in files), (path for _, path in files), strict=True)
            async for part in iterate_in_threadpool(_zip(named)):
                yield part
            for job in jobs:  # which is not reached if the client has gone
                service.queue.deliver(job)

        return StreamingResponse(delivered(), media_type="application/zip", headers=headers)

    return router


class _Pipe:
    """What the archive is written to: collects bytes until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _zip(files: Iterable[tuple[str, Path]]) -> Generator[bytes]:
    """Yield a zip archive of files under these names; pictures are compressed already, so they are stored."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w", zipfile.ZIP_STORED) as archive:
        for name, path in files:
            try:
                file = path.open("rb")
            except FileNotFoundError:  # it was removed while others were sent
                continue
            with file:
                modified = datetime.fromtimestamp(path.stat().st_mtime).timetuple()[:6]  # noqa: DTZ006 - as zip has it
                entry = zipfile.ZipInfo(name, cast(tuple[int, int, int, int, int, int], tuple(modified)))
                entry.external_attr = 0o644 << 16
                with archive.open(entry, "w", force_zip64=True) as target:
                    while data := file.read(CHUNK):
                        target.write(data)
                        yield pipe.take()
    yield pipe.take()


def _unique(jobs: Iterable[Job]) -> Generator[str]:
    """Yield the names of results in an archive: with the folders of their labels, and each only once."""
    taken: set[str] = set()
    for job in jobs:
        path = PurePosixPath(job.folder, job.result_name or job.id)
        name, number = path, 2
        while str(name).casefold() in taken:
            name, number = path.with_name(f"{path.stem} ({number}){path.suffix}"), number + 1
        taken.add(str(name).casefold())
        yield str(name)
