"""`/api/v1/jobs`: queue pictures, follow them, take their results."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mafdn.web.faults import RefusedError
from mafdn.web.options import options_schema, parse_options
from mafdn.web.routes.common import ResultResponse, find_job, read_json, uploaded
from mafdn.web.routes.schemas import UPLOAD, errors, json_body, pictures, upload_body
from mafdn.web.service import Service
from mafdn.web.work.jobs import MIME_TYPES


def routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["jobs"])
    queue = service.queue
    retrying: set[str] = set()

    @router.post(
        "/api/v1/jobs",
        status_code=202,
        summary="Queue a picture",
        responses=errors(*UPLOAD),
        openapi_extra=upload_body(),
    )
    async def create(request: Request) -> JSONResponse:
        """Queue a picture. Its header is read first: a picture that cannot be upscaled is refused at once."""
        async with uploaded(service, request, ephemeral=False) as job:
            queue.submit(job)
        return JSONResponse(queue.describe(job), 202, headers={"Location": f"/api/v1/jobs/{job.id}"})

    @router.head("/api/v1/jobs", include_in_schema=False)
    @router.get("/api/v1/jobs", summary="List all jobs", responses=errors())
    async def all_jobs() -> dict[str, Any]:
        """List all jobs, the oldest first, and the state of the queue."""
        return queue.snapshot()

    @router.head("/api/v1/jobs/{job_id}", include_in_schema=False)
    @router.get("/api/v1/jobs/{job_id}", summary="Look at a job", responses=errors(404))
    async def one_job(job_id: str) -> dict[str, Any]:
        """Look at a job: state, progress, sizes, report or error."""
        return queue.describe(find_job(service, job_id))

    @router.delete(
        "/api/v1/jobs/{job_id}",
        summary="Cancel or remove a job",
        responses={202: {"description": "Canceled."}, 204: {"description": "Removed."}, **errors(404)},
        status_code=202,
    )
    async def delete(job_id: str) -> Response:
        """Cancel a job that waits or runs; its picture is kept for another try. A finished one is removed."""
        job = find_job(service, job_id)
        if job.is_finished:
            queue.forget(job)
            return Response(status_code=204)
        queue.cancel(job)
        return JSONResponse(queue.describe(job), 202)

    @router.post(
        "/api/v1/jobs/{job_id}/retry",
        status_code=202,
        summary="Do a job again",
        responses=errors(400, 404, 409, 413, 422, 429, 503),
        openapi_extra=json_body(options_schema(), required=False),
    )
    async def retry(job_id: str, request: Request) -> JSONResponse:
        """Do a finished job again with the same picture; options in the body replace those of the job."""
        given = await read_json(request)
        job = find_job(service, job_id)
        if not isinstance(given, dict):
            raise RefusedError(422, "the body must be an object with options")
        if not job.is_finished or queue.is_stopping(job) or job_id in retrying:
            raise RefusedError(409, "the job is not finished yet")
        retrying.add(job_id)
        try:
            with service.upload_slot():
                await service.set_options(job, parse_options(given) if given else job.options)
                find_job(service, job_id)  # it may have been removed
                service.store.remove_results(job)
                job.reset()
                job.attempts = 0
                queue.submit(job)
        finally:
            retrying.discard(job_id)
        return JSONResponse(queue.describe(job), 202)

    @router.head("/api/v1/jobs/{job_id}/result", include_in_schema=False)
    @router.get(
        "/api/v1/jobs/{job_id}/result",
        summary="Download a result",
        responses={
            **pictures(200, "The result.", *MIME_TYPES.values()),
            **pictures(206, "A part of it.", *MIME_TYPES.values()),
            **errors(400, 404, 409, 416),
        },
        response_class=Response,
    )
    async def result(job_id: str) -> Response:
        """Download a result, as often as you like until it expires."""
        job = find_job(service, job_id)
        path = service.store.result(job)
        if path is None or job.state != "done":
            raise RefusedError(409, f"the job has no result: it is {job.state}")

        def delivered(complete: bool) -> None:
            if complete:
                queue.deliver(job)

        return ResultResponse(path, job, on_end=delivered)

    return router
