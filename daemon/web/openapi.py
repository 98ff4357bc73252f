"""The description of the interface for scripts, as OpenAPI and as a page of our own."""

import re
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from daemon.web import access, api, rendering
from daemon.web.api import Call
from storage.database.records import Event, Job

_JSON = "application/json"
_SENT: dict[str, dict[str, Any]] = {"ids": {"type": "array", "items": {"type": "integer"}}}
_TRUTHS = ("even_if_worse", "from_scratch")


def document(request: Request) -> Response:
    """Return the description as OpenAPI 3.1."""
    return access.to_json(described(request.scope.get("root_path", "")))


def page(request: Request) -> Response:
    """Return the description as a page."""
    return rendering.page(request, "api.html", here="api", calls=api.CALLS)


def described(root: str) -> dict[str, Any]:
    """Return the description of all calls."""
    paths: dict[str, dict[str, Any]] = {}
    for call in api.CALLS:
        paths.setdefault(f"/{call.path}", {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "photomend", "version": version("photomend")},
        "servers": [{"url": f"{root}{access.API.rstrip('/')}"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Job": _record(Job), "Event": _record(Event)},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    inside = re.findall(r"{(\w+)}", call.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in inside
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in call.query.items()
    ]
    made: dict[str, Any] = {
        "operationId": call.answer.__name__, "summary": call.summary, "parameters": parameters,
        "responses": {"200": _answered("Done"), **_errors(call)},
    }  # fmt: skip
    if call.method == "POST":
        properties = {name: _sent(name, text) for name, text in call.body.items()}
        schema = {"type": "object", "properties": properties}
        made["requestBody"] = {"content": {_JSON: {"schema": schema}}}
    return made


def _errors(call: Call) -> dict[str, Any]:
    found = {"401": _answered("A token is needed"), "404": _answered("There is no such thing")}
    if call.method == "POST":
        found |= {"400": _answered("It makes no sense"), "403": _answered("A token is needed")}
    return found


def _answered(text: str) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {}}}


def _sent(name: str, text: str) -> dict[str, Any]:
    kind = _SENT.get(name) or {"type": "boolean" if name in _TRUTHS else "string"}
    return {**kind, "description": text}


def _record(kind: type) -> dict[str, Any]:
    """Return the schema of a row: its names; types are those of the commands' JSON."""
    names = [name for name in kind.__annotations__ if name not in ("folder", "name")]
    names += ["source"] if kind is Job else []
    return {"type": "object", "properties": {name: {} for name in names}}
