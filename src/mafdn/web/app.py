"""The application: the routes of a service behind its checks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mafdn._version import __version__
from mafdn.errors import MafdnError
from mafdn.web.faults import InternalError, RefusedError
from mafdn.web.http.connections import Connections
from mafdn.web.http.security import Security
from mafdn.web.routes import automatic1111, docs, estimate, events, info, jobs, page, previews, results, upscale
from mafdn.web.service import Service
from mafdn.web.settings import ServerSettings

DESCRIPTION = (
    "Upscale pictures. Send one and wait for the result (/api/v1/upscale), or queue it (/api/v1/jobs), follow the "
    "events and take the result later. Errors are JSON: an object with the text `error`."
)


def create_app(settings: ServerSettings, *, page_folder: Path = page.FOLDER) -> FastAPI:
    """Create the application; its service, `app.state.service`, starts and ends with its lifespan.

    Args:
        settings: The settings of the server.
        page_folder: The files of the page.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="mafdn",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for part in (upscale, jobs, results, previews, estimate, events, info, automatic1111):
        app.include_router(part.routes(service))
    app.include_router(docs.routes(app))
    app.include_router(page.routes(page_folder))
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(MafdnError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Security, settings=settings, sessions=service.sessions)
    app.add_middleware(Connections, on_request=service.metrics.request)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    headers = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
    return JSONResponse({"error": error.message}, error.status, headers=headers)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 500 if isinstance(error, InternalError) else 422)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(map(str, found['loc'][1:]))}: {found['msg']}" for found in error.errors()]
    return JSONResponse({"error": "; ".join(parts)}, 422)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail).lower()}, error.status_code, headers=error.headers)


async def _gone(_: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the client has gone"}, 499)
