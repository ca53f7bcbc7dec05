"""What the server is and how it is: information, health, figures, and sessions."""

from typing import Any

from fastapi import APIRouter, Request, Response

from mafdn._version import __version__
from mafdn.pictures.codecs.base import DEFAULT_QUALITY
from mafdn.pictures.codecs.foreign.unsupported import FILM_SUFFIXES
from mafdn.pictures.formats import SUFFIXES, WRITABLE
from mafdn.upscaling.networks import DEFAULT_SCALE
from mafdn.web.faults import RefusedError
from mafdn.web.metrics import CONTENT_TYPE
from mafdn.web.routes.schemas import errors, texts
from mafdn.web.service import Service
from mafdn.web.work.jobs import MIME_TYPES
from mafdn.weights.resolve import resolve
from mafdn.weights.shipped import shipped_scales

DESCRIPTIONS = {
    "auto": "the shipped network that suits the picture and the size",
    "mafdn": "the same as classic",
    "classic": "for clean pictures",
    "photo": "for photographs with noise and traces of compression",
}


def routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["server"])

    @router.head("/api/v1/info", include_in_schema=False)
    @router.get("/api/v1/info", summary="Describe the server", responses=errors())
    async def info() -> dict[str, Any]:
        """Describe the server: version, networks, formats, limits, engine, queue."""
        settings, limits = service.settings, service.settings.limits
        return {
            "version": __version__,
            "networks": [_network(service, name) for name in settings.networks],
            "default_network": settings.default_network,
            "formats": [
                {
                    "name": name,
                    "title": kind.name,
                    "quality": kind.lossy,
                    "lossless": kind.lossy and kind.lossless,
                    "suffixes": kind.suffixes,
                    "type": MIME_TYPES[kind.name],
                }
                for name, kind in WRITABLE.items()
            ],
            "read_suffixes": sorted(SUFFIXES),
            "film_suffixes": sorted(FILM_SUFFIXES),
            "options": {
                "quality": DEFAULT_QUALITY,
                "strength": 1.0,
                "scale": service.default_scale(settings.default_network) or DEFAULT_SCALE,
            },
            "limits": {
                "pixels": limits.pixels,
                "file_mb": limits.file_mb,
                "seconds": limits.seconds,
                "queue": settings.queue,
                "keep_seconds": settings.keep_seconds,
                "keep_delivered_seconds": settings.keep_delivered_seconds,
            },
            "engine": service.queue.engine,
            "precision": settings.engine.precision,
            "device": settings.engine.device,
            "token": service.sessions.required,
            "workers": settings.processes,
            "queue": service.queue.summary(),
        }

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="Say whether the server works", responses=errors(503))
    async def health() -> dict[str, str]:
        """Say whether the server works, so that it need not be restarted: `ok`, or `starting` before it is ready."""
        service.check_open()
        return {"status": "ok" if service.queue.is_ready else "starting"}

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", summary="Say whether the server is ready", responses=errors(503))
    async def ready() -> dict[str, str]:
        """Say whether the network is open, so that pictures are upscaled at once; they are queued before."""
        service.check_open()
        if not service.queue.is_ready:
            raise RefusedError(503, "the network is being opened; try again later", retry_after=2)
        return {"status": "ok"}

    @router.head("/metrics", include_in_schema=False)
    @router.get(
        "/metrics",
        summary="Show figures for Prometheus",
        responses={**texts("Figures.", "text/plain"), **errors()},
        response_class=Response,
    )
    async def metrics() -> Response:
        """Show figures in the format of Prometheus."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @router.post("/api/v1/session", status_code=204, summary="Exchange the token for a cookie", responses=errors())
    async def log_in(request: Request) -> Response:
        """Exchange the token (`Authorization: Bearer`) for a cookie, with which browsers show pictures and events."""
        cookie = service.sessions.new_cookie(secure=_is_secure(request))
        return Response(status_code=204, headers={"Set-Cookie": cookie})

    @router.delete("/api/v1/session", status_code=204, summary="Forget the cookie", responses=errors())
    async def log_out(request: Request) -> Response:
        """Forget the cookie."""
        return Response(status_code=204, headers={"Set-Cookie": service.sessions.no_cookie(secure=_is_secure(request))})

    return router


def _network(service: Service, name: str) -> dict[str, Any]:
    source = resolve(service.settings.networks[name])
    if source.kind != "shipped":
        scales = [service.queue.default_scale] if service.queue.default_scale else []
        return {"name": name, "description": "the network that the server was started with", "scales": scales}
    scales = list(shipped_scales(source.variant)) if source.scale is None else [source.scale]
    return {
        "name": name,
        "description": DESCRIPTIONS.get(name, f"the {source.variant} network of this factor"),
        "scales": scales,
    }


def _is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, perhaps to a proxy."""
    return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
