"""`/sdapi/v1`: upscaling as Automatic1111's web interface offers it, so that its clients work with this server."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mafdn.errors import MafdnError
from mafdn.upscaling.networks import DEFAULT_SCALE
from mafdn.web.extras import (
    LANCZOS,
    NONE,
    BatchAnswer,
    BatchRequest,
    OptionsAnswer,
    ProgressAnswer,
    ProgressState,
    SingleAnswer,
    SingleRequest,
    UpscalerItem,
    batch_schema,
    covering_size,
    html_info,
    is_cropped,
    request_options,
)
from mafdn.web.faults import InternalError, RefusedError
from mafdn.web.http.embedded import EmbeddedFiles, check_json
from mafdn.web.routes.common import wait_until_done
from mafdn.web.routes.schemas import UPLOAD, errors, json_body
from mafdn.web.service import Service
from mafdn.web.work.jobs import Job

EMPTY_LISTS = ("sd-models", "samplers", "face-restorers", "realesrgan-models")
"""What clients ask for when they connect, and there is none of here."""
SPARE = 8
"""Long texts of a request that are no pictures."""
PIECE = 3 * 2**18
"""Bytes that are read at a time; a multiple of three has no padding in base64."""

Model = TypeVar("Model", bound=BaseModel)


class _Route(APIRoute):
    """A route whose errors have the fields of Automatic1111, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RefusedError as error:
                wait = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
                return _failure(error.status, error.message, wait)
            except MafdnError as error:
                return _failure(500 if isinstance(error, InternalError) else 422, str(error), {})

        return answer


def routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["Automatic1111"], prefix="/sdapi/v1", route_class=_Route)
    networks, default = service.settings.networks, service.settings.default_network

    @router.post(
        "/extra-single-image",
        summary="Upscale a picture",
        response_model=SingleAnswer,
        responses=errors(*UPLOAD, 500),
        openapi_extra=json_body(SingleRequest.model_json_schema(), required=True),
    )
    async def single(request: Request) -> Response:
        """Upscale a picture, given and returned as base64. Sizes are exact, not multiples of 8.

        Of an animation the first frame is upscaled, and of a file with pages the first page.
        """
        async with _finished(service, request, SingleRequest, most=1, pictures=_single) as (parsed, jobs):
            return _PicturesAnswer(service, jobs, html_info(parsed, networks, default), single=True)

    @router.post(
        "/extra-batch-images",
        summary="Upscale several pictures",
        response_model=BatchAnswer,
        responses=errors(*UPLOAD, 500),
        openapi_extra=json_body(batch_schema(), required=True),
    )
    async def batch(request: Request) -> Response:
        """Upscale several pictures; if one fails, the request does."""
        most = service.settings.queue
        async with _finished(service, request, BatchRequest, most=most, pictures=_several) as (parsed, jobs):
            return _PicturesAnswer(service, jobs, html_info(parsed, networks, default), single=False)

    @router.get("/upscalers", summary="List the upscalers", responses=errors())
    async def upscalers() -> list[UpscalerItem]:
        """List the upscalers: `None`, `Lanczos` and the networks of the server."""
        scales = {name: service.default_scale(name) or DEFAULT_SCALE for name in networks}
        return [
            UpscalerItem(name=NONE, scale=DEFAULT_SCALE),
            UpscalerItem(name=LANCZOS, scale=DEFAULT_SCALE),
            *(UpscalerItem(name=name, model_name=f"MAFDN {name}", scale=scale) for name, scale in scales.items()),
        ]

    @router.get("/options", summary="Show settings", responses=errors())
    async def options() -> OptionsAnswer:
        """Show the settings that clients look at when they connect."""
        return OptionsAnswer(sd_model_checkpoint=default, upscaler_for_img2img=default)

    @router.get("/progress", summary="Show the progress", responses=errors())
    async def progress() -> ProgressAnswer:
        """Show the progress of all pictures that wait and run."""
        running, queued = service.queue.running, service.queue.queued
        state = ProgressState(job="extras" if running else "", job_count=len(running) + queued)
        return ProgressAnswer(
            progress=round(sum(job.progress for job in running) / max(1, state.job_count), 4),
            eta_relative=service.queue.seconds() or 0.0,
            state=state,
        )

    @router.get("/scripts", summary="List scripts", responses=errors())
    async def scripts() -> dict[str, list[str]]:
        """List scripts, of which there are none."""
        return {"txt2img": [], "img2img": []}

    async def nothing() -> list[dict[str, Any]]:
        """List what this server has none of: it only upscales."""
        return []

    for name in EMPTY_LISTS:
        router.add_api_route(f"/{name}", nothing, name=name, summary=f"List {name}", responses=errors())
    return router


def _single(parsed: SingleRequest) -> list[tuple[str, str | None]]:
    return [(parsed.image, None)]


def _several(parsed: BatchRequest) -> list[tuple[str, str | None]]:
    return [(file.data, file.name) for file in parsed.imageList]


@contextlib.asynccontextmanager
async def _finished(
    service: Service,
    request: Request,
    model: type[Model],
    *,
    most: int,
    pictures: Callable[[Any], list[tuple[str, str | None]]],
) -> AsyncGenerator[tuple[Any, list[Job]]]:
    """Receive a request and upscale its pictures; if anything fails within this context, they are removed.

    Raises:
        MafdnError: If a picture or an option is refused.
        RefusedError: If there is no room, or the request is refused.
    """
    jobs: list[Job] = []
    try:
        parsed = await _receive(service, request, model, most=most, pictures=pictures, jobs=jobs)
        for job in jobs:
            service.queue.submit(job)
        for job in jobs:
            await wait_until_done(service, request, job)
        if is_cropped(parsed):
            for job in jobs:
                await service.crop(job, parsed.upscaling_resize_w, parsed.upscaling_resize_h)
        yield parsed, jobs
    except BaseException:
        for job in jobs:
            service.queue.forget(job)
        raise


async def _receive(
    service: Service,
    request: Request,
    model: type[Model],
    *,
    most: int,
    pictures: Callable[[Any], list[tuple[str, str | None]]],
    jobs: list[Job],
) -> Any:
    """Receive a request, and make a job of each of its pictures; these are in `jobs` even if it is refused."""
    settings, store = service.settings, service.store
    check_json(request)
    with service.upload_slot():
        reserved = 0

        def grow(count: int) -> None:
            nonlocal reserved
            service.reserve(count)
            reserved += count

        files = EmbeddedFiles(
            new_folder=store.new_folder, most=settings.upload_bytes, most_files=most + SPARE, grow=grow
        )
        try:
            parsed: Any = _parsed(model, await files.receive(request))
            options = request_options(parsed, settings.networks, settings.default_network)
            wanted = pictures(parsed)
            service.check_room(len(wanted))
            for text, name in wanted:
                upload = await files.take(text, name)
                by_picture = "scale" not in options  # the size follows from that of the picture
                upload.options = {**options, **({"scale": "1"} if by_picture else {})}
                job = await service.make_job(upload, ephemeral=True)
                jobs.append(job)
                if by_picture:
                    assert job.size is not None
                    await service.set_options(job, {**options, **covering_size(parsed, job.size)})
        finally:
            store.release(reserved)
            kept = {job.id for job in jobs}
            for folder in files.folders:
                if folder.name not in kept:
                    await asyncio.to_thread(store.discard, folder)
    return parsed


def _parsed(model: type[Model], body: Any) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RefusedError(422, "; ".join(found)) from None


class _PicturesAnswer(StreamingResponse):
    """Results as base64 in JSON, read while they are sent; the jobs are removed then, or when the client has gone."""

    def __init__(self, service: Service, jobs: Sequence[Job], info: str, *, single: bool) -> None:
        paths = [path for job in jobs if (path := service.store.result(job)) is not None]
        head = f'{{"html_info": {json.dumps(info)}, ' + ('"image": ' if single else '"images": [')
        tail = "}" if single else "]}"
        size = sum(2 + -(-path.stat().st_size // 3) * 4 for path in paths) + 2 * max(0, len(paths) - 1)
        super().__init__(
            _content(head.encode(), paths, tail.encode()),
            media_type="application/json",
            headers={"Content-Length": str(len(head.encode()) + size + len(tail))},
        )
        self._service, self._jobs = service, jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for job in self._jobs:
                self._service.queue.forget(job)


def _content(head: bytes, paths: Sequence[Path], tail: bytes) -> Generator[bytes]:
    yield head
    for number, path in enumerate(paths):
        yield b', "' if number else b'"'
        with path.open("rb") as file:
            while data := file.read(PIECE):
                yield base64.b64encode(data)
        yield b'"'
    yield tail


def _failure(status: int, text: str, headers: dict[str, str]) -> Response:
    """Answer with an error in the fields of this server and of Automatic1111."""
    return JSONResponse({"error": text, "detail": text, "body": "", "errors": text}, status, headers=headers)
