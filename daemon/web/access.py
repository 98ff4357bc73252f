"""Who may see the page: every request is checked here, and every response gets its headers here."""

import ipaddress
import json
import logging
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.web import hosts, sessions
from daemon.web.credentials import Credentials
from daemon.web.sessions import Session
from storage.enums import Monitoring
from storage.settings_web import WebSettings
from storage.text import printable

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response: no script and no style but those of our own files."""
NOT_STORED, ASK_AGAIN = "no-store", "no-cache"
"""How long browsers keep pages, and our own files: they ask whether a file has changed."""
ARRIVING = (
    '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>photomend</title>'
)
"""Loads the page again: a link of another site brings no cookie along, and a new one would end a session."""
API = "/api/v1/"
MONITORING = ("/health", "/metrics")
"""What programs read: by the setting `monitoring`, without a session."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers of reverse proxies: who comes through one is not known to be on this machine."""
_OPEN = ("/login", "/static/")
"""What is shown without the password."""

log = logging.getLogger(__name__)


class Access:
    """The outermost layer of the page."""

    def __init__(self, app: ASGIApp, settings: WebSettings, credentials: Credentials) -> None:
        self._app = app
        self._settings = settings
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with its session in `state`."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        reason = hosts.refusal(self._settings, scope["method"], headers, scope["scheme"])
        if reason is not None:
            log.warning(
                "%s %s from %s refused: Host %s, Origin %s", scope["method"],
                printable(scope["path"]), client(scope), printable(headers.get("host")),
                printable(headers.get("origin")),
            )  # fmt: skip
            return await _refused(scope, reason)(scope, receive, _with_headers(send, []))
        if _arrives(scope, headers):
            return await HTMLResponse(ARRIVING)(scope, receive, _with_headers(send, []))
        if path_of(scope) in MONITORING:
            refused = await run_in_threadpool(self._not_for_monitoring, scope, headers)
            return await (refused or self._app)(scope, receive, _with_headers(send, []))
        return await self._known(scope, headers, receive, send)

    async def _known(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        secret, has_password, script = await run_in_threadpool(self._read, headers)
        session = sessions.from_cookie(_cookie(headers), secret)
        if session is not None and has_password and not session.logged_in and not script:
            session = None if not _is_open(scope) else session
        cookies = []
        logged_in = script or not has_password or (session is not None and session.logged_in)
        if session is None:
            session = sessions.begin(logged_in=False)
            cookies = [cookie(self._settings, scope["scheme"], session, secret)]
        state = scope.setdefault("state", {})
        state |= {"session": session, "secret": secret, "script": script, "open": logged_in}
        state["has_password"] = has_password
        if not logged_in and not _is_open(scope):
            return await _to_login(scope, headers)(scope, receive, _with_headers(send, cookies))
        return await self._app(scope, receive, _with_headers(send, [] if script else cookies))

    def _not_for_monitoring(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why a program may not read the state; None if it may."""
        match self._settings.monitoring:
            case Monitoring.OFF:
                return JSONResponse({"error": "monitoring is off in [web] of the settings"}, 404)
            case Monitoring.PUBLIC:
                return None
            case Monitoring.PRIVATE:
                secret, has_password, script = self._read(headers)
                session = sessions.from_cookie(_cookie(headers), secret)
                logged_in = has_password and session is not None and session.logged_in
                may = script or logged_in or _is_here(scope, headers)
                return None if may else _without_token()

    def _read(self, headers: Headers) -> tuple[bytes, bool, bool]:
        """Return the key of sessions, whether there is a password, and whether a token is right."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        script = kind.lower() == "bearer" and self._credentials.is_token(token.strip())
        return self._credentials.secret, self._credentials.has_password, script


def path_of(scope: Scope) -> str:
    """Return the path of a request below the page's root."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def client(scope: Scope) -> str:
    """Return the address of who asks."""
    return str((scope.get("client") or ("unknown",))[0])


def cookie(settings: WebSettings, scheme: str, session: Session, secret: bytes) -> str:
    """Return the header that gives a browser its session."""
    parts = [
        f"{sessions.COOKIE}={sessions.to_cookie(session, secret)}",
        f"Path={settings.root_path or '/'}", f"Max-Age={sessions.LASTS_SECONDS}",
        "HttpOnly", "SameSite=Strict", *(["Secure"] if scheme == "https" else []),
    ]  # fmt: skip
    return "; ".join(parts)


def check_form_token(request: Request, token: str) -> str | None:
    """Return why a change is refused; None if it carries its token, or a script's."""
    state = request.state
    if state.script or sessions.is_form_token(token, state.session, state.secret):
        return None
    log.warning(
        "%s from %s refused: wrong token", printable(path_of(request.scope)), client(request.scope)
    )
    return "this form is too old; load the page again"


def wants_json(scope: Scope) -> bool:
    """Return whether a request is one of the interface for scripts."""
    return path_of(scope).startswith(API) or path_of(scope) in MONITORING


def _arrives(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser follows a link of another site to us."""
    foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    follows = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return foreign and follows and "cookie" not in headers and not wants_json(scope)


def _is_here(scope: Scope, headers: Headers) -> bool:
    """Return whether a program on this machine asks."""
    try:
        loopback = ipaddress.ip_address(client(scope)).is_loopback
    except ValueError:
        return False
    return loopback and not any(name in headers for name in _FORWARDED)


def _is_open(scope: Scope) -> bool:
    return path_of(scope).startswith(_OPEN)


def _refused(scope: Scope, reason: str) -> Response:
    if wants_json(scope):
        return JSONResponse({"error": reason}, 403)
    return PlainTextResponse(f"photomend: {reason}\n", 403)


def _to_login(scope: Scope, headers: Headers) -> Response:
    if wants_json(scope):
        return _without_token()
    login = f"{scope.get('root_path', '')}/login"
    if "hx-request" in headers:
        return Response(status_code=401, headers={"HX-Redirect": login})
    return RedirectResponse(login, 303)


def _without_token() -> Response:
    wanted = {"WWW-Authenticate": "Bearer"}
    return JSONResponse({"error": "a token is needed: photomend web token NAME"}, 401, wanted)


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(sessions.COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _with_headers(send: Send, cookies: list[str]) -> Send:
    """Return a `send` that adds our headers to the response."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            own = "etag" in headers
            headers.setdefault("Cache-Control", ASK_AGAIN if own else NOT_STORED)
            for line in cookies:
                headers.append("Set-Cookie", line)
        await send(message)

    return sending


def to_json(value: Any, status: int = 200) -> Response:
    """Return a value as the commands print it with --json: in ASCII, odd bytes of names escaped."""
    text = json.dumps(value, indent=2, default=str)
    return Response(text, status, media_type="application/json")
