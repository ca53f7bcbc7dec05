"""`/docs`: the interface as a page of plain HTML, made of the OpenAPI file; no script, nothing from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Response

TITLE = "mafdn: interface for programs"


def routes(app: FastAPI) -> APIRouter:
    """Return the route."""
    router = APIRouter(include_in_schema=False)

    @router.head("/docs", include_in_schema=False)
    @router.get("/docs")
    async def docs() -> Response:
        return Response(_page(app.openapi()), media_type="text/html; charset=utf-8")

    return router


def _page(schema: dict[str, Any]) -> str:
    operations = [
        _operation(path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{TITLE}</title>'
        f"<h1>{TITLE}</h1><p>Version {escape(schema['info']['version'])}. "
        '<a href="openapi.json">openapi.json</a> describes the same for programs.</p>' + "".join(operations)
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = [_row(p["name"], p["schema"], p.get("description", ""), p["in"]) for p in operation.get("parameters", [])]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        properties = content["schema"].get("properties", {})
        rows += [_row(name, value, value.get("description", ""), kind) for name, value in properties.items()]
    table = f"<table><tr><th>name<th>in<th>type<th>meaning</tr>{''.join(rows)}</table>" if rows else ""
    answers = "".join(
        f"<li><code>{escape(status)}</code> {escape(answer.get('description', ''))}"
        for status, answer in operation["responses"].items()
    )
    text = escape(operation.get("description", "")).replace("\n\n", "<p>")
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{text}{table}<ul>{answers}</ul>"


def _row(name: str, schema: dict[str, Any], text: str, where: str) -> str:
    kind = schema.get("type") or " or ".join(option.get("type", "") for option in schema.get("anyOf", []))
    allowed = ", ".join(map(str, schema["enum"])) if "enum" in schema else kind
    cells = (f"<code>{escape(name)}</code>", escape(where), escape(allowed), escape(text))
    return f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>"
