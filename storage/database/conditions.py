"""The SQL that changes of jobs are made of: what may be claimed, and what each change writes."""

import os
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage.database.tables import Job, galleries, jobs, now, now_in, pauses
from storage.enums import ASKED_FOR, CLASSIFY, ErrorKind, Status

PATIENCE_SECONDS = 600.0
"""A job that has waited this long goes before those whose chain is loaded."""
CLAIMERS = 16
"""So many of the most urgent jobs of each queue are looked at by a claim: on PostgreSQL, where
claimers skip each other's rows, as many may claim from one queue at the same instant."""

c = jobs.c
here = c.gone_at.is_(None)


def within(gallery: str, folder: Path) -> tuple[sa.ColumnElement[bool], ...]:
    """Hold for the jobs of one folder."""
    return (c.gallery == gallery, c.folder == folder)


def unfinished() -> sa.ColumnElement[bool]:
    """Hold for jobs that wait or run."""
    return c.status.in_([Status.QUEUED, Status.RUNNING])


@cache
def claiming(queues: tuple[str, ...]) -> sa.Update:
    """Build the UPDATE of a claim, once: it costs more to build than to run."""
    patient = c.due_at < now() - PATIENCE_SECONDS
    stays = sa.case((sa.or_(c.queue == sa.bindparam("a_preferred"), patient), 0), else_=1)
    nearest = [due(queue).order_by(c.rank, c.id).limit(CLAIMERS) for queue in queues]
    candidates = sa.union_all(*(select(q.subquery().c.id) for q in nearest)).subquery()
    # Not in a form that would make SQLite walk over all that is queued instead of these few.
    still = sa.func.coalesce(c.status, literal(Status.CANCELLED)) == Status.QUEUED
    urgent = (
        select(c.id)
        .where(c.id.in_(select(candidates.c.id)), still)
        .order_by(stays, c.rank, c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # on PostgreSQL: not all for the same one
    )
    megapixels = sa.func.coalesce(c.pixels, 0) / 1e6
    number = sa.Double
    values = {
        "status": Status.RUNNING, "claims": c.claims + 1, "claimed_at": now(),
        "worker": sa.bindparam("a_worker"), "child": sa.bindparam("a_child"),
        "deadline_seconds": sa.bindparam("a_seconds", type_=number)
        + sa.bindparam("a_seconds_per_megapixel", type_=number) * megapixels,
    }  # fmt: skip
    here = (c.id == urgent.scalar_subquery(), c.status == Status.QUEUED)
    return update(jobs).where(*here).values(values).returning(jobs)


def due(queue: str) -> sa.Select[tuple[int]]:
    """Select the jobs of a queue that may be claimed now: due, not paused, gallery online."""
    lasts = sa.or_(pauses.c.until.is_(None), pauses.c.until > now())
    paused = select(pauses.c.name).where(lasts)
    everything = paused.where(
        sa.or_(
            pauses.c.scope == "all",
            sa.and_(pauses.c.scope == "category", pauses.c.name == queue),
        )
    )
    offline = select(galleries.c.name).where(galleries.c.online.is_(False))
    return select(c.id).where(
        c.status == Status.QUEUED, c.queue == queue, c.due_at <= now(),
        ~everything.exists(),
        c.gallery.not_in(paused.where(pauses.c.scope == "gallery")),
        c.gallery.not_in(offline),
    )  # fmt: skip


@cache
def recording(dialect: str) -> str:
    """Write the INSERT of a photo's first row for the driver of `dialect`.

    A first walk records a whole library, and SQLAlchemy would take longer to prepare its rows than
    the database takes to write them.
    """
    mark = {"sqlite": ":{}", "postgresql": "%({})s"}[dialect]
    given = (
        "gallery", "folder", "name", "fingerprint", "status", "decision", "reason", "rank",
    )  # fmt: skip
    values = {column: mark.format(column) for column in given}
    values |= dict.fromkeys(("attempts", "claims", "seconds"), "0")
    values |= dict.fromkeys(("due_at", "created_at", "updated_at"), now_in(dialect))
    values["queue"] = f"'{CLASSIFY}'"
    return (
        f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join(values.values())}) "
        "ON CONFLICT DO NOTHING"
    )


def pause_of(scope: str, name: str) -> sa.Delete:
    """Build the end of a pause."""
    return delete(pauses).where(pauses.c.scope == scope, pauses.c.name == name)


def afresh(*, keep_category: bool = False) -> dict[str, Any]:
    """Return the change that makes a job wait as if nothing had been tried.

    Its output stays recorded, so that it may be replaced. A category is kept only if the classifier
    sent the photo to its chain: not if it was unsure, or if the job reused another's result.
    """
    values = {
        "status": Status.QUEUED, "attempts": 0, "due_at": now(), "rank": ASKED_FOR,
        "decision": None, "reason": None, "receipt": None, "error": None, "error_kind": None,
        "finished_at": None, "worker": None, "child": None,
    }  # fmt: skip
    if not keep_category:
        return values | {"category": None, "queue": CLASSIFY, "scores": None}
    return values | {"category": sa.case((c.queue == CLASSIFY, None), else_=c.category)}


def waiting(
    kind: ErrorKind | None = None, reason: str | None = None, seconds: float = 0.0
) -> dict[str, Any]:
    """Return the change that makes a job wait, for `seconds`, with no attempt counted."""
    return {
        "status": Status.QUEUED, "due_at": now() + seconds, "error_kind": kind, "error": reason,
        "worker": None, "child": None,
    }  # fmt: skip


def spent() -> sa.ColumnElement[float]:
    """Return the seconds of all claims, with the one that ends now."""
    return c.seconds + now() - sa.func.coalesce(c.claimed_at, now())


def literal(status: Status) -> sa.ColumnElement[Status]:
    """Return a status as a value of SQL."""
    return sa.literal(status, c.status.type)


def same_claim(claim: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """Hold while nobody else has claimed the job: the fence."""
    return (c.id == claim.id, c.worker == claim.worker, c.claims == claim.claims)


def output_key(output: Path) -> bytes:
    """Return what two output names share if some share would take them for one."""
    return os.fsencode(unicodedata.normalize("NFC", os.fsdecode(output)).casefold())


def chunks(items: list[Any], size: int = 5000) -> Iterator[list[Any]]:
    """Yield the items in pieces that one statement may name."""
    return (items[at : at + size] for at in range(0, len(items), size))
