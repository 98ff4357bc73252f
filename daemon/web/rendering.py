"""Render templates: everything that is shown is escaped, whatever bytes a name of a file holds."""

from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from daemon.console.output import span, when
from daemon.reports import pauses
from daemon.web import cards, sessions, words
from storage.text import counted, printable

FOLDER = Path(__file__).parent
"""Folder of the templates and of the files that browsers load."""


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page that a template makes of the values."""
    return HTMLResponse(text(request, name, **values), status)


def text(request: Request, name: str, **values: Any) -> str:
    """Return the HTML that a template makes of the values."""
    state = request.state
    known = {
        "root": request.scope.get("root_path", ""),
        "token": sessions.form_token(state.session, state.secret),
        "has_password": state.has_password,
        "logged_in": state.open,
        "is_part": "hx-request" in request.headers,
    }
    return environment().get_template(name).render(known | values)


@cache
def environment() -> jinja2.Environment:
    """Return the templates of the page."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"), autoescape=True, finalize=_finalized,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"span": span, "when": when, "day": _day, "number": _number, "counted": counted}
    made.globals |= {
        "address": cards.address, "words": words, "pauses": pauses, "version": version("photomend"),
    }  # fmt: skip
    return made


def _finalized(value: Any) -> Any:
    """Return what is shown of a value: bidi marks, control characters and odd bytes as escapes."""
    if isinstance(value, Markup):
        return value
    return "" if value is None else printable(value)


def _day(second: float | None) -> str:
    return "" if second is None else datetime.fromtimestamp(second).strftime("%d %B %Y, %H:%M")


def _number(value: float) -> str:
    return f"{value:,.0f}"
