"""The page as an ASGI application: its addresses, its errors and who may see it."""

import logging
from collections.abc import Callable

from sqlalchemy.exc import DatabaseError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from daemon.console import session
from daemon.web import access, api, forms, login, openapi, pages, rendering
from daemon.web.access import Access
from daemon.web.attempts import Attempts
from daemon.web.credentials import Credentials
from daemon.web.overview import Reader
from storage.errors import DatabaseGone, PhotomendError
from storage.settings import Settings
from storage.text import printable
from storage.urls import without_passwords

log = logging.getLogger(__name__)

GET, POST = ["GET"], ["POST"]


def build(known: Settings, ending: Callable[[], bool] = lambda: False) -> ASGIApp:
    """Return the page of these settings; it uses the database of this process.

    Streams end when `ending` returns True.
    """
    credentials = Credentials(known.state_dir)
    app = Starlette(
        routes=routes(), max_body_size=forms.MOST_BYTES,
        exception_handlers={
            HTTPException: _http_error, PhotomendError: _known_error,
            DatabaseError: _database_error,
        },
    )  # fmt: skip
    app.state.credentials = credentials
    app.state.attempts = Attempts()
    app.state.reader = Reader(session.engine())
    app.state.live = pages.Live()
    app.state.ending = ending
    return Access(app, known.web, credentials)


def routes() -> list[Route | Mount]:
    """Return all addresses; what changes something is a POST and passes `forms.changing`."""
    return [
        Route("/", pages.now, methods=GET),
        Route("/live", pages.live, methods=GET),
        Route("/review", pages.review, methods=GET),
        Route("/review/{number}", pages.viewer, methods=GET),
        Route("/photo/{number}", pages.photo, methods=GET),
        Route("/photo/{number}/pictures", pages.pictures, methods=GET),
        Route("/photo/{number}/pictures", forms.changing(pages.draw), methods=POST),
        Route("/problems", pages.problems, methods=GET),
        Route("/settings", pages.settings_page, methods=GET),
        Route("/pictures/{number}/{name}.webp", pages.picture, methods=GET),
        Route("/login", login.show, methods=GET),
        Route("/login", forms.changing(login.enter), methods=POST),
        Route("/logout", forms.changing(login.leave), methods=POST),
        Route("/act", forms.changing(pages.act), methods=POST),
        Route("/problems/retry", forms.changing(pages.retry_kind), methods=POST),
        Route("/pause", forms.changing(pages.pause), methods=POST),
        Route("/resume", forms.changing(pages.resume), methods=POST),
        Route("/api", openapi.page, methods=GET),
        Route("/api/v1/openapi.json", openapi.document, methods=GET),
        *(Route(access.API + c.path, api.endpoint(c), methods=[c.method]) for c in api.CALLS),
        Mount("/static", StaticFiles(directory=rendering.FOLDER / "static")),
    ]


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _message(request, error.status_code, error.detail, error.headers)


def _known_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DatabaseGone):
        session.engine().dispose()  # the next request opens the one that is there then
        return _message(request, 503, str(error))
    return _message(request, 400, str(error))


def _database_error(request: Request, error: Exception) -> Response:
    log.error("the database cannot be used: %s", error)
    return _message(request, 503, "the database cannot be used now; see `photomend doctor`")


def _message(request: Request, code: int, text: str, headers: object = None) -> Response:
    """Return an error as a page, as JSON for a script, or as a line for a part of a page."""
    text = printable(without_passwords(text))
    if access.wants_json(request.scope):
        return access.to_json({"error": text}, code)
    name = "part_message.html" if "hx-request" in request.headers else "message.html"
    answer = rendering.page(request, name, code, here="", code=code, message=text)
    answer.headers["HX-Reswap"] = "none"  # what was to be replaced stays
    for name, value in headers.items() if isinstance(headers, dict) else ():
        answer.headers[name] = value
    return answer
