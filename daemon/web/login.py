"""The password of the page: asked once, then a session is kept; guesses are limited and logged."""

import logging
import math

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from daemon.console.output import span
from daemon.web import access, rendering, sessions
from daemon.web.attempts import Attempts
from daemon.web.credentials import Credentials
from daemon.web.forms import Form
from storage.settings import settings

MOST_LETTERS = 1000
"""Longest password that is looked at."""

log = logging.getLogger(__name__)


def show(request: Request) -> Response:
    """Return the form that asks for the password."""
    return rendering.page(request, "login.html", here="login", problem="")


def enter(request: Request, form: Form) -> Response:
    """Begin a session if the password is right."""
    attempts: Attempts = request.app.state.attempts
    credentials: Credentials = request.app.state.credentials
    who = access.client(request.scope)
    if (seconds := attempts.wait_seconds(who)) > 0:
        log.warning("a password from %s was not looked at: too many were wrong", who)
        problem = f"Too many wrong passwords. Try again in {span(seconds)}."
        answer = rendering.page(request, "login.html", 429, here="login", problem=problem)
        answer.headers["Retry-After"] = str(math.ceil(seconds))
        return answer
    password = form.get("password")
    if len(password) > MOST_LETTERS or not credentials.matches(password):
        attempts.fail(who)
        log.warning("a wrong password from %s", who)
        return rendering.page(
            request, "login.html", 403, here="login", problem="That is not the password."
        )
    attempts.succeed(who)
    log.info("%s logged in", who)
    return _with(request, sessions.begin(logged_in=True))


def leave(request: Request, _form: Form) -> Response:
    """End the session of this browser."""
    return _with(request, sessions.begin(logged_in=False))


def _with(request: Request, session: sessions.Session) -> Response:
    root = request.scope.get("root_path", "")
    answer = RedirectResponse(f"{root}/", 303)
    line = access.cookie(settings().web, request.url.scheme, session, request.state.secret)
    answer.headers.append("Set-Cookie", line)
    return answer
