"""How requests and answers are documented in the OpenAPI file."""

from typing import Any

from pydantic import BaseModel

from mafdn.web.options import options_schema


class ErrorAnswer(BaseModel):
    """What went wrong, in one line."""

    error: str


ERRORS = {
    400: "The request is malformed.",
    401: "The server asks for its token.",
    403: "The request comes from another site, or the host is unknown.",
    404: "There is no such job.",
    408: "The upload is too slow.",
    409: "The job is not in the state for this.",
    413: "The picture or the request is too large.",
    415: "The content type is not understood.",
    416: "The range is not in the file.",
    422: "An option is invalid, or the picture cannot be upscaled.",
    429: "The queue or the disk space is full; Retry-After says when to try again.",
    500: "Something unexpected happened; the log of the server says more.",
    503: "The server is closing, not ready, or has no engine; Retry-After says when to try again.",
    507: "The upload cannot be stored.",
}
ALWAYS = (401, 403)
"""Errors that every route may answer with."""
UPLOAD = (400, 408, 413, 415, 422, 429, 503, 507)
"""Errors of uploads."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of errors, with those of every route."""
    return {status: {"model": ErrorAnswer, "description": ERRORS[status]} for status in sorted({*ALWAYS, *statuses})}


def pictures(status: int, text: str, *types: str) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of an answer that is a file."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}
    return {status: {"description": text, "content": content}}


def texts(text: str, kind: str) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of an answer that is a text."""
    return {200: {"description": text, "content": {kind: {"schema": {"type": "string"}}}}}


def upload_body() -> dict[str, Any]:
    """Return the documentation of an upload: a form, or the bytes of the picture with options in the query."""
    schema = options_schema()
    raw = {"schema": {"type": "string", "format": "binary"}}
    form = {**schema, "properties": {"file": raw["schema"], **schema["properties"]}, "required": ["file"]}
    name = {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "File name of a raw body."}
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, "application/octet-stream": raw, "image/*": raw},
        },
        "parameters": [name, *_query_options(schema)],
    }


def json_body(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """Return the documentation of a body of JSON."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def _query_options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Options in the query, which add to those of a form."""
    return [
        {"name": name, "in": "query", "description": value["description"], "schema": _without_description(value)}
        for name, value in schema["properties"].items()
    ]


def _without_description(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "description"}
