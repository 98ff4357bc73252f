"""WHERE clauses and column values for the changes of jobs."""

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage.database.records import Job
from storage.database.tables import history, jobs, now, now_in, pauses
from storage.enums import ASKED_FOR, CLASSIFY, LATER, ErrorKind, Status

LONGEST_PAUSE_SECONDS = 3600.0
"""Longest time until a job is tried again. One that is due later got its time from a wrong clock."""
MAX_HISTORY_LINES = 100
"""Number of lines, the newest, that the history of a job which waits again and again keeps."""
CLOCK_SECONDS = 60.0
"""A pause that began this far in the future began by a wrong clock, and is over."""

RECORDED = ("gallery", "folder", "status", "decision", "reason", "rank")
"""Columns that `recording` sets to the same value for all photos."""

c = jobs.c
here = c.gone_at.is_(None)


def within(gallery: str, folder: Path) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition for the jobs of one folder."""
    return (c.gallery == gallery, c.folder == folder)


def has_status(*statuses: Status) -> sa.ColumnElement[bool]:
    """Return a condition for rows that another one finds: no database looks in the index on status."""
    return sa.func.coalesce(c.status, literal(Status.CANCELLED)).in_(statuses)


def unfinished() -> sa.ColumnElement[bool]:
    """Return the condition for jobs, found by another one, that wait or run."""
    return has_status(Status.QUEUED, Status.RUNNING)


def passed(moment: sa.ColumnElement[float], longest: float) -> sa.ColumnElement[bool]:
    """Return the condition that a time has passed, or is further ahead than `longest` seconds."""
    return sa.or_(moment <= now(), moment > now() + longest)


def ahead(moment: sa.ColumnElement[float], longest: float) -> sa.ColumnElement[bool]:
    """Return the condition that there is a time and it has not passed, as `passed` defines it."""
    return sa.and_(moment > now(), moment <= now() + longest)


def left(moment: float | None, clock: float, longest: float) -> float:
    """Return the seconds until a time: 0 if it has passed, or is further ahead than `longest`."""
    seconds = (moment or clock) - clock
    return seconds if 0 < seconds <= longest else 0.0


def at_most(seconds: sa.ColumnElement[float], longest: float) -> sa.ColumnElement[float]:
    """Return a number, or `longest` if that is smaller."""
    return sa.case((seconds > longest, longest), else_=seconds)


def pause_lasts() -> sa.ColumnElement[bool]:
    """Return the condition that a pause lasts; one that has an end and begins later is over."""
    began = pauses.c.since <= now() + CLOCK_SECONDS
    return sa.or_(pauses.c.until.is_(None), sa.and_(pauses.c.until > now(), began))


@lru_cache(maxsize=8)
def recording(dialect: str, photos: int) -> str:
    """Build the INSERT of the first rows of `photos` photos for the driver of `dialect`.

    Its values are those of RECORDED, the same for all, then a name and a fingerprint of each photo.
    A first scan records a whole library. SQLAlchemy would take longer to prepare the rows than the
    database takes to write them, and a statement for each row three times as long.
    """
    mark = {"sqlite": "?", "postgresql": "%s"}[dialect]
    values = {"name": "column1", "fingerprint": "column2"}  # the names that both give them
    values |= dict.fromkeys(RECORDED, mark)
    values |= dict.fromkeys(("attempts", "claims", "seconds"), "0")
    values |= dict.fromkeys(("due_at", "created_at", "updated_at"), now_in(dialect))
    values["queue"] = f"'{CLASSIFY}'"
    rows = ", ".join([f"({mark}, {mark})"] * photos)
    return (
        f"INSERT INTO jobs ({', '.join(values)}) SELECT {', '.join(values.values())} "
        f"FROM (VALUES {rows}) AS photos WHERE true ON CONFLICT DO NOTHING"
    )


NO_OUTPUT: Mapping[str, None] = {"output": None, "sha256": None, "oversized": None}
"""The change that forgets a job's output."""


def pause_of(scope: str, name: str) -> sa.Delete:
    """Build the DELETE of a pause."""
    return delete(pauses).where(pauses.c.scope == scope, pauses.c.name == name)


def afresh(*, keep_category: bool = False) -> dict[str, Any]:
    """Return the change that queues a job as if nothing had been tried.

    Its output stays recorded, so that it can be replaced. `keep_category` applies only if the
    classifier sent the photo to a chain. It does not if the classifier was unsure, or if the job
    reused another job's result.
    """
    values = {
        "status": Status.QUEUED, "attempts": 0, "due_at": now(), "rank": ASKED_FOR,
        "decision": None, "reason": None, "receipt": None, "error": None, "error_kind": None,
        "finished_at": None, "worker": None, "child": None, "review": None, "reviewed_at": None,
    }  # fmt: skip
    if not keep_category:
        return values | {"category": None, "queue": CLASSIFY, "scores": None}
    return values | {"category": sa.case((c.queue == CLASSIFY, None), else_=c.category)}


def waiting(
    kind: ErrorKind | None = None, reason: str | None = None, seconds: float = 0.0
) -> dict[str, Any]:
    """Return the change that queues a job, due in `seconds`, without counting an attempt.

    Without a pause it keeps its place among the jobs that are due.
    """
    pause = {"due_at": now() + min(seconds, LONGEST_PAUSE_SECONDS)} if seconds else {}
    return pause | {
        "status": Status.QUEUED,
        "error_kind": kind,
        "error": reason,
        "worker": None,
        "child": None,
    }


def attempt(kind: ErrorKind, error: str, *, most: int, pause_seconds: float) -> dict[str, Any]:
    """Return the change that counts an attempt: a longer pause each time, then failure.

    Until then the job waits behind all others, which may have nothing that harms a worker.
    """
    last, pause = c.attempts + 1 >= most, pause_seconds * (c.attempts + 1)
    return {
        "status": sa.case((last, literal(Status.FAILED)), else_=literal(Status.QUEUED)),
        "due_at": now() + at_most(pause, LONGEST_PAUSE_SECONDS),
        "finished_at": sa.case((last, now()), else_=None),
        "attempts": c.attempts + 1,
        "rank": in_turn() + LATER,
        "error_kind": kind,
        "error": error,
    }


def in_turn() -> sa.ColumnElement[int]:
    """Return the rank of a job as it was before its attempts failed."""
    return sa.case((c.rank >= LATER, c.rank - LATER), (c.rank < 0, ASKED_FOR), else_=c.rank)


def spent() -> sa.ColumnElement[float]:
    """Return the seconds of all claims, including the one that ends now."""
    return c.seconds + now() - sa.func.coalesce(c.claimed_at, now())


def literal(status: Status) -> sa.ColumnElement[Status]:
    """Return a status as a value of SQL."""
    return sa.literal(status, c.status.type)


def change(
    connection: sa.Connection, where: Sequence[Any], event: str | None, **values: Any
) -> list[Job]:
    """Change jobs, add a line to the history of each and return them as they are now."""
    step = update(jobs).where(*where).values(values).returning(jobs)
    changed = [Job.of(row) for row in connection.execute(step)]
    if changed and event is not None:
        lines = [{"job_id": j.id, "claim": j.claims, "event": event} for j in changed]
        connection.execute(sa.insert(history), lines)
    return changed


def shorten_history(connection: sa.Connection, claim: Job, *, without_claim: bool) -> None:
    """Remove the oldest lines of a job's history, and those of its claim, which say nothing new."""
    mine = history.c.job_id == claim.id
    newest = select(history.c.id).where(mine).order_by(history.c.id.desc())
    last = newest.offset(MAX_HISTORY_LINES).limit(1).scalar_subquery()
    if without_claim:
        connection.execute(delete(history).where(mine, history.c.claim == claim.claims))
    connection.execute(delete(history).where(mine, history.c.id <= last))


def same_claim(claim: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that the job still has this claim."""
    return (c.id == claim.id, c.worker == claim.worker, c.claims == claim.claims)


def output_key(output: Path) -> bytes:
    """Return the key of an output name: the same for names that some filesystem does not tell apart."""
    return os.fsencode(unicodedata.normalize("NFC", os.fsdecode(output)).casefold())


def chunks(items: list[Any], size: int = 5000) -> Iterator[list[Any]]:
    """Return the items in pieces that fit into one statement."""
    return (items[at : at + size] for at in range(0, len(items), size))
