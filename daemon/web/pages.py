"""The screens: now, review, photo, problems, settings; and the pictures that they show."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from daemon.console import session
from daemon.reports import in_effect
from daemon.web import cards, changes, forms, listing, rendering
from daemon.web.cards import Card
from daemon.web.forms import Form
from daemon.web.listing import Wanted
from daemon.web.overview import Reader
from storage.beneath import Beneath
from storage.database import search, status
from storage.enums import Category, ErrorKind, Outcome, Status
from storage.settings import settings

LIVE_SECONDS = 3.0
"""Seconds between two looks at the database for a browser that shows the first screen."""
STEP_SECONDS = 0.25
"""Seconds after which a stream notices that this process is stopped."""
MOST_LIVE = 20
"""Browsers that are kept up to date; others load the page again."""
PARTS = ("progress", "galleries", "troubles", "pauses")
"""Parts of the first screen that are replaced when they change."""
NEVER_CHANGES = "private, max-age=300"


@dataclass
class Live:
    """How many browsers are kept up to date."""

    count: int = 0


def now(request: Request) -> Response:
    """Return the first screen."""
    return rendering.page(request, "now.html", here="now", now=_reader(request).read())


async def live(request: Request) -> Response:
    """Return a stream of server-sent events: the parts of the first screen that changed."""
    watching: Live = request.app.state.live
    if watching.count >= MOST_LIVE:
        raise HTTPException(503, "too many browsers look at this page")
    return StreamingResponse(_events(request, watching), media_type="text/event-stream")


async def _events(request: Request, watching: Live) -> AsyncIterator[str]:
    shown: dict[str, str] = {}
    watching.count += 1
    try:
        while not request.app.state.ending():
            parts = await run_in_threadpool(_parts, request)
            for name, html in parts.items():
                if shown.get(name) != html:
                    yield (
                        f"event: {name}\n"
                        + "".join(f"data: {x}\n" for x in html.split("\n"))
                        + "\n"
                    )
            if parts == shown:
                yield ": nothing changed\n\n"
            shown = parts
            await _pause(request)
    finally:
        watching.count -= 1


async def _pause(request: Request) -> None:
    """Wait until the next look, or until this process is stopped."""
    for _ in range(round(LIVE_SECONDS / STEP_SECONDS)):
        if not request.app.state.ending():
            await anyio.sleep(STEP_SECONDS)


def _parts(request: Request) -> dict[str, str]:
    overview = _reader(request).read()
    return {
        name: rendering.text(request, f"now_{name}.html", now=overview).strip() for name in PARTS
    }


def review(request: Request) -> Response:
    """Return the grid of photos, or the next page of it."""
    wanted = Wanted.of(request.query_params)
    jobs, following = listing.page(session.engine(), wanted)
    found = [cards.of(settings().state_dir, job) for job in jobs]
    is_part = wanted.under is not None and "hx-request" in request.headers
    return rendering.page(
        request, "cards.html" if is_part else "review.html", here="review", cards=found,
        wanted=wanted, following=following, shows=listing.TITLES, categories=list(Category),
        galleries=sorted(g.name for g in status.galleries_known(session.engine())),
    )  # fmt: skip


def viewer(request: Request) -> Response:
    """Return one photo as the review shows it, opened."""
    return rendering.page(request, "viewer.html", card=_card(request), in_review=True)


def photo(request: Request) -> Response:
    """Return the screen of one photo: its story and its figures."""
    card = _card(request)
    versions = search.versions(session.engine(), card.job.gallery, card.job.source)
    return rendering.page(
        request, "photo.html", here="review", card=card, versions=versions, in_review=False,
        events=search.events(session.engine(), card.job.id), figures=_figures(card.job.scores),
        receipt=_figures(card.job.receipt), trash_days=settings().trash_days,
    )  # fmt: skip


def pictures(request: Request) -> Response:
    """Return the pictures of a photo; nothing while a worker still draws them."""
    card = _card(request)
    return Response(status_code=204) if card.is_pending else _pictures(request, card)


def draw(request: Request, _form: Form) -> Response:
    """Ask a worker to draw the pictures of a photo again, and show that."""
    job = changes.draw(request.path_params["number"])
    if "hx-request" in request.headers:
        return _pictures(request, cards.of(settings().state_dir, job))
    return RedirectResponse(f"{request.scope.get('root_path', '')}/photo/{job.id}", 303)


def _pictures(request: Request, card: Card) -> Response:
    in_review = "review" in request.query_params
    return rendering.page(request, "pictures.html", card=card, in_review=in_review)


def problems(request: Request) -> Response:
    """Return the photos that failed or wait, grouped by the kind of their error."""
    overview = _reader(request).read()
    found = overview.state.counts.troubles
    groups = {kind: [t for t in found if t.kind is kind] for kind in ErrorKind}
    shown = [(kind, troubles) for kind, troubles in groups.items() if troubles]
    shown.sort(
        key=lambda group: (group[0].outcome is Outcome.WAIT, -sum(t.count for t in group[1]))
    )
    return rendering.page(
        request, "problems.html", here="problems", now=overview, groups=shown,
        retried=cards.number(request.query_params.get("retried")), failed=Status.FAILED,
    )  # fmt: skip


def settings_page(request: Request) -> Response:
    """Return the settings in effect."""
    return rendering.page(request, "settings.html", here="settings", tables=in_effect.tables())


def picture(request: Request) -> Response:
    """Return a preview; the only file that this process opens for a browser beside its own."""
    number, name = cards.number(request.path_params["number"]), request.path_params["name"]
    if number is None or name not in cards.PICTURES:
        raise HTTPException(404, "there is no such picture")
    root = settings().state_dir
    file = cards.file(root, number, name)
    if file is None:
        raise HTTPException(404, "there is no such picture")
    try:
        with Beneath(root, file.relative_to(root)).open() as opened:
            content = opened.read()
    except OSError as error:
        raise HTTPException(404, "there is no such picture") from error
    return Response(content, media_type="image/webp", headers={"Cache-Control": NEVER_CHANGES})


def act(request: Request, form: Form) -> Response:
    """Do what a form says with photos; return their cards, or go back to where the form was."""
    changed = {job.id: job for job in changes.act(form.get("do"), form)}
    _reader(request).forget()
    if "hx-request" not in request.headers:
        return RedirectResponse(forms.local(request, form.get("next"), "/review"), 303)
    numbers = [number for text in form.all("ids") if (number := cards.number(text))]
    jobs = [changed.get(n) or search.get(session.engine(), n) for n in numbers]
    found = [cards.of(settings().state_dir, job) for job in jobs if job is not None]
    opened = found[0] if form.get("opened") and found else None
    return rendering.page(
        request, "changed.html", cards=found, opened=opened, changed=len(changed), do=form.get("do"),
        in_review=True,
    )  # fmt: skip


def retry_kind(request: Request, form: Form) -> Response:
    """Try all photos with one kind of error again."""
    retried = changes.retry_kind(form)
    _reader(request).forget()
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/problems?retried={len(retried)}", 303)


def pause(request: Request, form: Form) -> Response:
    """Pause, and show the first screen."""
    changes.pause(form)
    return _to_now(request)


def resume(request: Request, form: Form) -> Response:
    """End a pause, and show the first screen."""
    changes.resume(form)
    return _to_now(request)


def _to_now(request: Request) -> Response:
    _reader(request).forget()
    return RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)


def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


def _card(request: Request) -> Card:
    number = cards.number(request.path_params["number"])
    job = None if number is None else search.get(session.engine(), number)
    if job is None:
        raise HTTPException(404, "there is no such photo")
    return cards.of(settings().state_dir, job)


def _figures(stored: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the figures of a row, each with its name, in one list."""
    found: list[tuple[str, str]] = []
    for name, value in (stored or {}).items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                inner = ", ".join(f"{key} {_figure(number)}" for key, number in item.items())
                found.append((str(name), inner))
            else:
                found.append((str(name), _figure(item)))
    return found


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
