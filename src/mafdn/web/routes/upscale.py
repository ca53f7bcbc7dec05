"""`POST /api/v1/upscale`: a picture in, its enlargement out."""

import json

from fastapi import APIRouter, Request, Response

from mafdn.web.routes.common import ResultResponse, uploaded, wait_until_done
from mafdn.web.routes.schemas import UPLOAD, errors, pictures, upload_body
from mafdn.web.service import Service
from mafdn.web.work.jobs import MIME_TYPES, Job

LONGEST_REPORT = 6_000
"""Most characters of the report in a header."""


def routes(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["pictures"])

    @router.post(
        "/api/v1/upscale",
        summary="Upscale a picture",
        responses={**pictures(200, "The result.", *MIME_TYPES.values()), **errors(*UPLOAD, 500)},
        response_class=Response,
        openapi_extra=upload_body(),
    )
    async def upscale(request: Request) -> Response:
        """Upscale a picture and answer with the result, which is not kept; `X-Mafdn-Report` has the report as JSON."""
        async with uploaded(service, request, ephemeral=True) as job:
            service.queue.submit(job)
        return await wait_for_result(service, request, job)

    return router


async def wait_for_result(service: Service, request: Request, job: Job) -> Response:
    """Wait until a job is finished, and answer with its result; the job is removed then, or if the client goes.

    Raises:
        MafdnError: Why it failed.
        RefusedError: If the server closes before it begins.
    """
    queue = service.queue
    answered = False
    try:
        path = await wait_until_done(service, request, job)
        answered = True
        return ResultResponse(path, job, headers=_report(job), on_end=lambda _: queue.forget(job))
    finally:
        if not answered:
            queue.forget(job)


def _report(job: Job) -> dict[str, str]:
    text = json.dumps({**(job.report or {}), "size": job.size, "new_size": job.new_size})
    return {"X-Mafdn-Report": text} if len(text) <= LONGEST_REPORT else {}
