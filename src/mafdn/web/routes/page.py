"""The page: files of this package, read into memory at the start."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Request, Response

from mafdn.web.faults import RefusedError

FOLDER = Path(__file__).parents[1] / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
"""Media types by ending; files with other endings are not served."""


@dataclass(frozen=True)
class _File:
    """A file of the page."""

    content: bytes
    type: str
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        tag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'
        object.__setattr__(self, "tag", tag)


def routes(folder: Path = FOLDER) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    files = {
        path.relative_to(folder).as_posix(): _File(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }

    @router.head("/", include_in_schema=False)
    @router.get("/")
    async def index(request: Request) -> Response:
        return _answer(files, "index.html", request)

    @router.head("/static/{name:path}", include_in_schema=False)
    @router.get("/static/{name:path}")
    async def static(name: str, request: Request) -> Response:
        return _answer(files, name, request)

    return router


def _answer(files: dict[str, _File], name: str, request: Request) -> Response:
    """Answer with a file by its name, which is only looked up in memory."""
    file = files.get(name)
    if file is None:
        raise RefusedError(404, "there is no such page")
    headers = {"Cache-Control": "no-cache", "ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)
