"""What a form of the page changes: jobs, pauses and failed photos that are tried again."""

import logging
from collections.abc import Callable, Iterable

from starlette.exceptions import HTTPException

from daemon import actions
from daemon.actions import Outcome
from daemon.console import session
from daemon.console.changes import notify, send
from daemon.web import cards
from daemon.web.forms import Form
from storage import preview_requests
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import ASKED_FOR, PREVIEWS, RETRIED, Category, ErrorKind, Status, Strength
from storage.settings import settings
from storage.text import printable

MOST_JOBS = 2000
"""Photos of one request; select fewer at a time in the page, or use the command line."""
WORDS = ("keep", "reject", "undo", "restore", "mend", "retry")
"""What may be done with a photo."""
PAUSE_SECONDS = {"": None, "1h": 3600.0, "8h": 8 * 3600.0}
"""The pauses that the page offers, and their seconds; None lasts until it is ended."""

log = logging.getLogger(__name__)


def act(word: str, form: Form) -> list[Job]:
    """Do what a form says with the photos that it names; return those that changed.

    Raises:
        HTTPException: the form makes no sense, or none changed for a reason that is known.

    """
    numbers = [cards.number(text) for text in form.all("ids")]
    if word not in WORDS or not numbers or None in numbers or len(numbers) > MOST_JOBS:
        raise HTTPException(400, f"name an action ({', '.join(WORDS)}) and up to {MOST_JOBS} ids")
    jobs = [job for number in numbers if (job := search.get(session.engine(), number or 0))]
    if word == "mend":
        changed = _mend(jobs, form)
    elif word == "retry":
        ids = search.retriable(session.engine(), [job.id for job in jobs])
        changed = session.jobs().retry(ids, from_scratch=form.is_set("from_scratch"))
    else:
        simple: dict[str, Callable[[Iterable[Job]], list[Outcome]]] = {
            "keep": actions.keep, "reject": actions.reject,
            "undo": actions.undo, "restore": actions.restore,
        }  # fmt: skip
        outcomes = simple[word](jobs)
        reasons = [outcome.reason for outcome in outcomes if outcome.reason is not None]
        for reason in reasons:
            log.warning("%s in the page: %s", word, printable(reason))
        changed = [outcome.job for outcome in outcomes if outcome.job and outcome.reason is None]
        if reasons and not changed:
            raise HTTPException(409, reasons[0])
    for job in changed:
        preview_requests.forget_reason(settings().state_dir, job.id)
    notify(changed)
    log.info("%s of %d photos in the page; %d changed", word, len(jobs), len(changed))
    return changed


def draw(text: str) -> Job:
    """Ask a worker to draw the pictures of a job again; return the job.

    Raises:
        HTTPException: there is no such job, or its pictures come by themselves, or too many wait.

    """
    number = cards.number(text)
    job = None if number is None else search.get(session.engine(), number)
    if job is None:
        raise HTTPException(404, "there is no such photo")
    if not cards.can_be_drawn(job):
        raise HTTPException(400, "its pictures are drawn when a worker is done with it")
    root = settings().state_dir
    if len(preview_requests.waiting(root)) >= preview_requests.MOST_WAITING:
        raise HTTPException(429, "the pictures of many photos are being drawn; try again later")
    try:
        preview_requests.ask(root, job.id)
    except OSError as error:
        raise HTTPException(503, f"the state folder cannot be written to: {error}") from error
    send([(PREVIEWS, job.id)])
    return job


def retry_kind(form: Form) -> list[Job]:
    """Try all photos again that failed with one kind of error, or wait after it."""
    kind = next((kind for kind in ErrorKind if kind.value == form.get("kind")), None)
    if kind is None:
        raise HTTPException(400, "there is no such kind of error")
    wanted = Filter(status=(Status.FAILED, Status.QUEUED), kind=kind)
    ids = search.retriable(session.engine(), search.ids(session.engine(), wanted))
    retried = session.jobs().retry(ids, rank=ASKED_FOR if len(ids) == 1 else RETRIED)
    notify(retried)
    return retried


def pause(form: Form) -> None:
    """Start no further photos: of a gallery, or of all."""
    if (length := form.get("for")) not in PAUSE_SECONDS:
        raise HTTPException(400, f"for must be one of {', '.join(filter(None, PAUSE_SECONDS))}")
    session.jobs().pause(*_scope(form), PAUSE_SECONDS[length])


def resume(form: Form) -> None:
    """End a pause, or all of them."""
    session.jobs().resume(*_scope(form))


def _scope(form: Form) -> tuple[str, str]:
    scope, name = form.get("scope") or "all", form.get("name")
    if scope not in ("all", "category", "gallery") or (scope == "all") == bool(name):
        raise HTTPException(400, "scope must be all, or category or gallery with its name")
    if not name.isprintable():
        raise HTTPException(400, "there is no such name")
    return scope, name


def _mend(jobs: list[Job], form: Form) -> list[Job]:
    try:
        category = Category(form.get("category")) if form.get("category") else None
        strength = Strength(form.get("strength")) if form.get("strength") else None
    except ValueError as error:
        raise HTTPException(400, "there is no such category or strength") from error
    worse = form.is_set("even_if_worse")
    return actions.mend(jobs, category=category, strength=strength, even_if_worse=worse)
