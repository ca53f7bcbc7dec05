"""Parts of pictures and results for the page: tiles at any reduction, and thumbnails."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from mafdn.web.faults import RefusedError
from mafdn.web.routes.common import find_job
from mafdn.web.routes.schemas import errors, pictures
from mafdn.web.service import Service
from mafdn.web.work.jobs import Job

MOST_SIDE = 1_024
"""Longest side of a tile or thumbnail in pixels."""
MOST_REDUCE = 64
"""Largest reduction."""
CACHING = "private, max-age=86400, immutable"
"""For addresses with the present `version` of the job, under which nothing changes."""
NO_CACHING = "private, no-cache"
TYPES = {"png": "image/png", "webp": "image/webp"}
Which = Literal["before", "after"]
Kind = Literal["png", "webp"]
Position = Annotated[int, Query(ge=0, le=2**31 - 1)]
Side = Annotated[int, Query(ge=1, le=MOST_SIDE)]
Version = Annotated[int | None, Query(description="The `version` of the job, so that browsers may keep the answer.")]


def routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["previews"])

    @router.get(
        "/api/v1/jobs/{job_id}/preview/{which}",
        summary="Look at a part of a picture",
        responses={**pictures(200, "The part.", *TYPES.values()), **errors(404, 408, 409, 413, 422, 429)},
        response_class=Response,
    )
    async def preview(
        request: Request,
        job_id: str,
        which: Which,
        x: Position = 0,
        y: Position = 0,
        width: Side = 512,
        height: Side = 512,
        reduce: Annotated[int, Query(ge=1, le=MOST_REDUCE)] = 1,
        format: Kind = "png",  # noqa: A002 - the name of the parameter
        version: Version = None,
    ) -> Response:
        """Draw a window of the result, or of the picture enlarged to the same size by bicubic interpolation.

        Positions and sides are in pixels of the result divided by `reduce`.
        """
        job = find_job(service, job_id)
        window = {"x": x, "y": y, "width": width, "height": height, "reduce": reduce}
        message = {**_picture(service, job, which), "window": window, "kind": format}
        message["new_size"] = job.new_size if which == "before" else None
        if which == "before" and job.new_size is None:
            raise RefusedError(409, "the size of the result is not known yet")
        content = await service.draw(request, job, "view", **message)
        return _answer(content, format, is_current=version == job.version)

    @router.get(
        "/api/v1/jobs/{job_id}/thumbnail",
        summary="Look at a whole picture",
        responses={**pictures(200, "The thumbnail.", *TYPES.values()), **errors(404, 408, 409, 413, 422, 429)},
        response_class=Response,
    )
    async def thumbnail(
        request: Request,
        job_id: str,
        which: Which = "before",
        size: Side = 256,
        format: Kind = "webp",  # noqa: A002 - the name of the parameter
        version: Version = None,
    ) -> Response:
        """Draw a picture or its result with at most `size` pixels a side."""
        job = find_job(service, job_id)
        message = {**_picture(service, job, which), "side": size, "kind": format}
        content = await service.draw(request, job, "thumbnail", **message)
        return _answer(content, format, is_current=version == job.version)

    return router


def _picture(service: Service, job: Job, which: Which) -> dict[str, Any]:
    """Return the file of a picture or result, and which of its frames is meant."""
    if which == "before":
        return {"path": str(service.store.source(job)), "frame": job.options.get("frame")}
    path = service.store.result(job)
    if path is None or job.state != "done":
        raise RefusedError(409, f"the job has no result: it is {job.state}")
    return {"path": str(path), "frame": None}


def _answer(content: bytes, kind: Kind, *, is_current: bool) -> Response:
    # What was written as results are, is always PNG.
    found = "image/png" if content.startswith(b"\x89PNG") else TYPES[kind]
    return Response(content, media_type=found, headers={"Cache-Control": CACHING if is_current else NO_CACHING})
