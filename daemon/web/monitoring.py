"""`/health` and `/metrics`: for containers and Prometheus. Nothing here touches a gallery or an output."""

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from daemon.console import session
from daemon.reports import health as reports
from daemon.reports.health import OWN, Concern, Problem
from daemon.web import metrics as families
from daemon.web.access import to_json
from storage.errors import DatabaseGone
from storage.text import printable

UNHEALTHY, HEALTHY = 503, 200


def health(request: Request) -> Response:
    """Return whether photomend itself works; what else needs a person is named, too.

    A share that is away makes nobody unhealthy: a restart would not bring it back.
    """
    try:
        state = request.app.state.reader.read().state
        found = reports.find(session.engine(), state)
    except (SQLAlchemyError, DatabaseGone):
        session.engine().dispose()  # the next request opens the one that is there then
        reason = "the database cannot be used now; see `photomend doctor`"
        return _health([Problem(Concern.PROCESS, reason)])
    return _health(found)


def _health(found: list[Problem]) -> Response:
    own = [
        printable(problem.text) for problem in found if problem.concern in OWN or _is_here(problem)
    ]
    others = [printable(problem.text) for problem in found]
    body = {
        "healthy": not own,
        "reasons": own,
        "also": [text for text in others if text not in own],
    }
    return to_json(body, UNHEALTHY if own else HEALTHY)


def _is_here(problem: Problem) -> bool:
    """Return whether the disk of the state folder is full: without it nothing works."""
    return problem.concern is Concern.FULL and not problem.subject


def metrics(request: Request) -> Response:
    """Return all metrics as Prometheus reads them."""
    overview = request.app.state.reader.read()
    problems = reports.find(session.engine(), overview.state)
    return Response(families.text(overview, problems), media_type=families.CONTENT_TYPE)
