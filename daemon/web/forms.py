"""Read what a browser or a script sends to change something, and refuse it without its token."""

import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from daemon.web import access

MOST_BYTES = 200_000
"""Longest body of a request: the ids of some thousand photos."""
MOST_FIELDS = 10_000
TOKEN_FIELD, TOKEN_HEADER = "token", "x-photomend-token"

Handler = Callable[[Request, "Form"], Response]
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Form:
    """The fields of a form, or of a JSON object."""

    def __init__(self, fields: dict[str, list[str]], whole: Any = None) -> None:
        self._fields = fields
        self.whole = whole
        """The JSON object as it was sent; None for a form."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field."""
        return self._fields.get(name, [default])[0]

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self._fields.get(name, [])

    def is_set(self, name: str) -> bool:
        """Return whether a box is ticked."""
        return self.get(name).lower() in ("1", "on", "true")


def changing(handler: Handler) -> Endpoint:
    """Return the endpoint of a change: it needs the token of its session, or that of a script."""

    async def endpoint(request: Request) -> Response:
        form = _read(request.headers.get("content-type", ""), await request.body())
        token = request.headers.get(TOKEN_HEADER) or form.get(TOKEN_FIELD)
        if (reason := access.check_form_token(request, token)) is not None:
            raise HTTPException(403, reason)
        return await run_in_threadpool(handler, request, form)

    return endpoint


def local(request: Request, place: str, default: str) -> str:
    """Return where a browser goes next: a path of this page, whatever the form asks for."""
    root = request.scope.get("root_path", "")
    parts = urlsplit(place)
    plain = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()
    if plain and not parts.netloc and not parts.scheme and place.startswith(f"{root}/"):
        return place
    return f"{root}{default}"


def _read(kind: str, body: bytes) -> Form:
    """Read a body.

    Raises:
        HTTPException: it is neither a form nor a JSON object.

    """
    try:
        text = body.decode()
        if kind.partition(";")[0].strip() == "application/json":
            whole = json.loads(text or "{}")
            return Form({name: _values(value) for name, value in whole.items()}, whole)
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except (ValueError, AttributeError, RecursionError) as error:
        raise HTTPException(400, "this is neither a form nor a JSON object") from error


def _values(value: object) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]
