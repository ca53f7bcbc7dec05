"""`POST /api/v1/estimate`: how long pictures would take."""

from typing import Any, cast

from fastapi import APIRouter, Request

from mafdn._support.validate import as_whole
from mafdn.upscaling.folder.job import work_of
from mafdn.upscaling.networks import DEFAULT_SCALE
from mafdn.upscaling.size import LARGEST, Size, result_size
from mafdn.web.faults import RefusedError
from mafdn.web.options import build_options, choose_network, options_schema, parse_options
from mafdn.web.routes.common import read_json
from mafdn.web.routes.schemas import errors, json_body
from mafdn.web.service import Service

MOST_PICTURES = 10_000
"""Pictures of a request."""
SIDE = {"type": "integer", "minimum": 1, "maximum": LARGEST}
PICTURE = {"type": "object", "properties": {"width": SIDE, "height": SIDE}, "required": ["width", "height"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "pictures": {"type": "array", "items": PICTURE, "maxItems": MOST_PICTURES},
        "options": options_schema(),
    },
    "required": ["pictures"],
}


def routes(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["jobs"])

    @router.post(
        "/api/v1/estimate",
        summary="Estimate the time",
        responses=errors(400, 413, 422),
        openapi_extra=json_body(SCHEMA, required=True),
    )
    async def estimate(request: Request) -> dict[str, Any]:
        """Estimate the time of pictures of these sizes, and when the queue would come to them."""
        body = await read_json(request)
        parts = cast(dict[str, Any], body) if isinstance(body, dict) else {}
        pictures, given = parts.get("pictures"), parts.get("options") or {}
        if not isinstance(pictures, list) or not isinstance(given, dict):
            raise RefusedError(422, "the body must be an object with a list of pictures, and options if any")
        pictures, given = cast(list[Any], pictures), cast(dict[str, Any], given)
        if len(pictures) > MOST_PICTURES:
            raise RefusedError(422, f"at most {MOST_PICTURES:,} pictures are estimated together")
        parsed, settings = parse_options(given), service.settings
        network = choose_network(parsed, settings.networks, settings.default_network)
        options = build_options(parsed, settings.limits)
        size = options.requested_size or Size(scale=service.default_scale(network) or DEFAULT_SCALE)
        speed, processes = service.queue.speed, max(1, len(service.queue.processes))
        found: list[dict[str, Any]] = []
        works: list[float] = []
        for picture in pictures:
            old = _size_of(picture)
            new = result_size(size, *old)
            works.append(work_of(old, new) * options.ensemble)
            seconds = speed.seconds(works[-1:])
            found.append({"new_size": new, "seconds": None if seconds is None else round(seconds, 3)})
        total = speed.seconds(works)
        return {
            "seconds": None if total is None else round(total / processes, 3),
            "queue_seconds": service.queue.seconds(),
            "pictures": found,
            "basis": speed.basis,
        }

    return router


def _size_of(picture: Any) -> tuple[int, int]:
    if not isinstance(picture, dict):
        raise RefusedError(422, "a picture must be an object with width and height")
    sides = cast(dict[str, Any], picture)
    width, height = (as_whole(side, sides.get(side), least=1, most=LARGEST) for side in ("width", "height"))
    return width, height
