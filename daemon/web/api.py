"""The interface for scripts below /api/v1/: what the commands print with --json, and what they change."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from daemon.console import session
from daemon.reports import in_effect
from daemon.reports import status as status_report
from daemon.web import cards, changes, forms, library_apps, listing, words
from daemon.web.access import to_json
from daemon.web.forms import Form
from daemon.web.listing import Wanted
from storage.database import search
from storage.database.status import Trouble
from storage.enums import Category
from storage.settings import settings
from storage.text import printable

MOST = 200
"""Most photos of one page."""


@dataclass(frozen=True)
class Call:
    """One call of the interface, as its description names it."""

    path: str
    method: str
    summary: str
    answer: Callable[..., Response]
    query: dict[str, str] = field(default_factory=dict)
    """What the query may hold, each with a sentence."""
    body: dict[str, str] = field(default_factory=dict)
    """What the JSON object of a change may hold, each with a sentence."""


def status(request: Request) -> Response:
    """Return what `photomend status --json` prints, and what was done today."""
    overview = request.app.state.reader.read()
    return to_json(
        status_report.to_json(overview.state, overview.left)
        | {"today": overview.today, "left": asdict(overview.left)}
    )


def jobs(request: Request) -> Response:
    """Return a page of jobs, and where the next one begins.

    Raises:
        HTTPException: the query holds what is unknown. A script may change all that it lists.

    """
    query = dict(request.query_params)
    wanted = Wanted.of({"show": "all"} | query)
    limit = cards.number(query.get("limit", str(listing.PAGE)))
    if unknown := query.keys() - _LIST:
        raise HTTPException(
            400, f"there is no filter {printable(min(unknown))}: {', '.join(_LIST)}"
        )
    if wrong := wanted.misread(query) or ([] if limit else ["limit"]):
        text = printable(query[wrong[0]])
        raise HTTPException(400, f"{wrong[0]} cannot be {text}: {_LIST[wrong[0]]}")
    assert limit is not None
    found, following = listing.page(session.engine(), wanted, max(1, min(limit, MOST)))
    return to_json({"jobs": [_shown(request, job) for job in found], "under": following})


def job(request: Request) -> Response:
    """Return a job with its history."""
    number = cards.number(request.path_params["number"])
    found = None if number is None else search.get(session.engine(), number)
    if found is None:
        raise HTTPException(404, "there is no such job")
    events = search.events(session.engine(), found.id)
    return to_json(_shown(request, found) | {"history": [asdict(event) for event in events]})


def draw(request: Request, _form: Form) -> Response:
    """Ask a worker to draw the pictures of a job again."""
    return to_json(_shown(request, changes.draw(request.path_params["number"])), 202)


def problems(request: Request) -> Response:
    """Return the kinds of errors, each with what helps."""
    state = request.app.state.reader.read().state

    def shown(trouble: Trouble) -> dict[str, Any]:
        example = state.examples[trouble.latest].to_json()
        return asdict(trouble) | asdict(words.ADVICE[trouble.kind]) | {"example": example}

    return to_json([shown(trouble) for trouble in state.counts.troubles])


def settings_in_effect(_request: Request) -> Response:
    """Return the settings in effect, with where each comes from."""
    return to_json(in_effect.to_json())


def act(request: Request, form: Form) -> Response:
    """Do something with jobs; return those that changed."""
    changed = changes.act(request.path_params["word"], form)
    request.app.state.reader.forget()
    return to_json([_shown(request, job) for job in changed])


def retry_kind(request: Request, form: Form) -> Response:
    """Try all jobs with one kind of error again; return their number."""
    retried = changes.retry_kind(form)
    request.app.state.reader.forget()
    return to_json({"retried": len(retried)})


def pause(request: Request, form: Form) -> Response:
    """Start no further jobs."""
    changes.pause(form)
    request.app.state.reader.forget()
    return to_json({"paused": True})


def resume(request: Request, form: Form) -> Response:
    """End a pause, or all of them."""
    changes.resume(form)
    request.app.state.reader.forget()
    return to_json({"paused": False})


def _shown(request: Request, found: Any) -> dict[str, Any]:
    return cards.to_json(cards.of(settings().state_dir, found), request.scope.get("root_path", ""))


_SCOPE = {
    "scope": "all (the default), category or gallery.",
    "name": "The category's or the gallery's name.",
}
_LIST = {
    "show": f"A list: {', '.join(listing.Show)}. Default: all.",
    "gallery": "Only jobs of this gallery.",
    "category": f"Only jobs of this category: {', '.join(Category)}.",
    "since": "Only jobs that were recorded on this day (2026-05-01) or later.",
    "until": "Only jobs that were recorded on this day (2026-05-01) or before.",
    "under": "Only jobs with a smaller id: `under` of the page before.",
    "limit": f"Jobs of a page, at most {MOST}.",
}
CALLS = (
    Call("status", "GET", "What photomend does now.", status),
    Call(
        "jobs", "GET", "Jobs, the newest first, in pages.", jobs,
        query=_LIST,
    ),
    Call("jobs/{number}", "GET", "A job with its history.", job),
    Call(
        "jobs/{number}/previews", "POST",
        "Ask a worker to draw the pictures of a job again. `drawing` of the job tells when they are there.",
        draw,
    ),
    Call("problems", "GET", "Kinds of errors, each with its number of jobs and what helps.", problems),
    Call("settings", "GET", "The settings in effect; secrets are hidden.", settings_in_effect),
    Call(
        "jobs/{word}", "POST", f"Do something with jobs: {', '.join(changes.WORDS)}.", act,
        body={
            "ids": "A list of jobs' ids.",
            "category": "With mend: mend it as this category.",
            "strength": "With mend: gentle, normal or strong.",
            "even_if_worse": "With mend: true keeps a result that the guard refuses, unpublished.",
            "from_scratch": "With retry: true classifies again.",
        },
    ),
    Call(
        "problems/retry", "POST", "Try all jobs with one kind of error again.", retry_kind,
        body={"kind": "The kind, as `problems` names it."},
    ),
    Call(
        "pause", "POST", "Start no further jobs.", pause,
        body=_SCOPE | {"for": "1h or 8h; until resumed if it is missing."},
    ),
    Call(
        "immich/asset", "POST", "immich has a new photo: its folder is scanned.", library_apps.asset,
        body={"originalPath": "Its path in immich; it may stand in `asset`, also within `data`."},
    ),
    Call(
        "resume", "POST",
        "End a pause; all of them if no scope is named. With the scope schedule or battery, photos "
        "start in spite of it.", resume, body=_SCOPE,
    ),
)  # fmt: skip


def endpoint(call: Call) -> Any:
    """Return what answers a call."""
    return call.answer if call.method == "GET" else forms.changing(call.answer)
