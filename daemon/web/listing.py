"""The lists of the review screen: which photos, in pages that the database cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode

import sqlalchemy as sa

from daemon.web import cards
from storage.database import days, search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Category, Decision, Review, Status

PAGE = 24
"""Photos of a page; the next one is loaded when its end comes into view."""


class Show(StrEnum):
    """The lists, by what was decided and what the owner said."""

    NEW = "new"
    """Mended, and nothing was said."""
    WAITING = "waiting"
    """The result waits for the owner, and is not published."""
    UNSURE = "unsure"
    KEPT = "kept"
    REJECTED = "rejected"
    ORIGINAL = "original"
    CLEAN = "clean"
    LEFT = "left"
    FAILED = "failed"
    ALL = "all"


TITLES = {
    Show.NEW: "New",
    Show.WAITING: "Not published yet",
    Show.UNSURE: "Unsure",
    Show.KEPT: "Kept",
    Show.REJECTED: "Rejected",
    Show.ORIGINAL: "Original kept",
    Show.CLEAN: "Good as they are",
    Show.LEFT: "Left alone",
    Show.FAILED: "Failed",
    Show.ALL: "All",
}
_FILTERS: dict[Show, dict[str, object]] = {
    Show.NEW: {"decision": Decision.RESTORED, "review": (None, Review.WAITING)},
    Show.WAITING: {"review": (Review.WAITING,)},
    Show.UNSURE: {"decision": Decision.UNSURE},
    Show.KEPT: {"review": (Review.KEPT,)},
    Show.REJECTED: {"review": (Review.REJECTED,)},
    Show.ORIGINAL: {"decision": Decision.KEPT_ORIGINAL},
    Show.CLEAN: {"decision": Decision.CLEAN},
    Show.LEFT: {"decision": Decision.LEFT_ALONE},
    Show.FAILED: {"status": (Status.FAILED,)},
    Show.ALL: {},
}


@dataclass(frozen=True)
class Wanted:
    """What a browser asked to see; what it cannot mean is left out."""

    show: Show = Show.NEW
    gallery: str = ""
    category: Category | None = None
    since: date | None = None
    until: date | None = None
    under: int | None = None
    """Only photos with a smaller number: the next page."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """Return what the query of an address means."""
        shows = [show for show in Show if show == query.get("show")]
        categories = [category for category in Category if category == query.get("category")]
        return cls(
            show=shows[0] if shows else Show.NEW, gallery=_name(query.get("gallery", "")),
            category=categories[0] if categories else None, since=_day(query.get("since")),
            until=_day(query.get("until")), under=cards.number(query.get("under")),
        )  # fmt: skip

    def misread(self, query: Mapping[str, str]) -> list[str]:
        """Return the names in a query whose values mean nothing here; an empty value asks for nothing."""
        return [
            name for name in ("show", "gallery", "category", "since", "until", "under")
            if (text := query.get(name)) and str(getattr(self, name)) != text
        ]  # fmt: skip

    def query(self, **changes: object) -> str:
        """Return the query of the address of this list, or of one with changes."""
        values = {
            "show": self.show, "gallery": self.gallery, "category": self.category,
            "since": self.since, "until": self.until,
        } | changes  # fmt: skip
        filled = {name: str(value) for name, value in values.items() if value}
        return urlencode(filled, errors="surrogateescape")


def page(engine: sa.Engine, wanted: Wanted, limit: int = PAGE) -> tuple[list[Job], int | None]:
    """Return a page of jobs, the newest first, and where the next page begins, if there is one."""
    above, under = None, wanted.under
    if wanted.since is not None:
        above = days.first_since(engine, _start(wanted.since)) - 1
        if above < 0:
            return [], None
    if wanted.until is not None:
        end = days.first_since(engine, _start(wanted.until + timedelta(days=1)))
        under = min(filter(None, (under, end)), default=None)
    fitting = Filter(
        gallery=wanted.gallery or None, category=wanted.category, above=above, under=under,
        **_FILTERS[wanted.show],  # type: ignore[arg-type] # each has the type of its field
    )  # fmt: skip
    found = search.jobs(engine, fitting, limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def _start(day: date) -> float:
    return datetime(day.year, day.month, day.day).timestamp()


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None


def _name(text: str) -> str:
    """Return the name of a gallery; "" for what no database would take."""
    return text if text.isprintable() else ""
