"""`GET /api/v1/events`: what happens, as server-sent events."""

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from mafdn.web.faults import ClosingError, RefusedError
from mafdn.web.routes.schemas import errors, texts
from mafdn.web.service import Service

MOST_CLIENTS = 64
"""Clients that may listen at the same time."""


def routes(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["jobs"])

    @router.get(
        "/api/v1/events",
        summary="Follow what happens",
        responses={**texts("Events.", "text/event-stream"), **errors(429, 503)},
        response_class=Response,
    )
    async def events(request: Request, last_event_id: str | None = None) -> Response:
        """Follow all jobs: `snapshot` first, then `job`, `progress`, `removed` and `queue` as they happen.

        A client that comes back with `Last-Event-ID` gets what it missed.
        """
        stream = service.queue.events
        if service.queue.closing:
            raise ClosingError
        if stream.clients >= MOST_CLIENTS:
            raise RefusedError(429, "too many clients listen to events", retry_after=10)
        last = request.headers.get("last-event-id", last_event_id)
        return StreamingResponse(
            stream.stream(last), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return router
