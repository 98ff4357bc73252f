"""Photos that the settings leave alone: the backlog, what is ignored since it was recorded, and rules."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select, update

from storage import fingerprints, rules
from storage.database import conditions
from storage.database.engine import reading
from storage.database.galleries import BACKLOG_REASON, IGNORED
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import BACKLOG, OLD, Decision, Status

c = table.c
_IGNORED = (
    c.status == Status.DONE, c.decision == Decision.LEFT_ALONE,
    c.reason.startswith(IGNORED, autoescape=True),
)  # fmt: skip
_IN_THE_BACKLOG = (
    c.status == Status.DONE, c.decision == Decision.LEFT_ALONE,
    c.reason == BACKLOG_REASON, conditions.here,
)  # fmt: skip


def left(engine: sa.Engine, gallery: str) -> list[str]:
    """Return the fingerprints of the backlog that was left alone."""
    query = select(c.fingerprint).where(c.gallery == gallery, *_IN_THE_BACKLOG)
    with reading(engine) as connection:
        return list(connection.scalars(query))


def leave(engine: sa.Engine, gallery: str, folder: Path, photos: Mapping[str, str]) -> int:
    """Leave photos alone that are ignored now, name and rule; return how many were queued."""
    with engine.begin() as connection:
        return sum(
            _leave(connection, gallery, folder, rule, c.name == Path(name))
            for name, rule in photos.items()
        )


def leave_folder(engine: sa.Engine, gallery: str, folder: Path, rule: str) -> int:
    """Leave all photos of a folder alone that is ignored now; return how many were queued."""
    with engine.begin() as connection:
        return _leave(connection, gallery, folder, rule)


def _leave(
    connection: sa.Connection, gallery: str, folder: Path, rule: str,
    *which: sa.ColumnElement[bool],
) -> int:  # fmt: skip
    here, reason = [*conditions.within(gallery, folder), *which], IGNORED + rule
    old = (c.status == Status.DONE, c.reason == BACKLOG_REASON)
    connection.execute(update(table).where(*here, *old).values(reason=reason))
    queued = [*here, c.status == Status.QUEUED]
    return len(conditions.change(connection, queued, reason, **_left_alone(reason)))


def ignored(engine: sa.Engine, gallery: str) -> dict[Path, list[str]]:
    """Return the names of the photos that are left alone because they were ignored, by folder."""
    query = select(c.folder, c.name).where(c.gallery == gallery, *_IGNORED)
    found: dict[Path, list[str]] = {}
    with reading(engine) as connection:
        for folder, name in connection.execute(query):
            found.setdefault(folder, []).append(str(name))
    return found


def show(engine: sa.Engine, gallery: str, folder: Path, names: Collection[str]) -> None:
    """Record that photos that were ignored are backlog now."""
    here = (*conditions.within(gallery, folder), *_IGNORED)
    with engine.begin() as connection:
        for some in conditions.chunks(list(map(Path, names))):
            step = update(table).where(*here, c.name.in_(some))
            connection.execute(step.values(reason=BACKLOG_REASON))


def widen(engine: sa.Engine, gallery: str, since: float, folder: Path | None = None) -> int:
    """Queue the backlog that was left alone, of `folder` or of all folders; return its number.

    Only photos that were modified at `since` or later are queued.
    """
    place = (c.gallery == gallery,) if folder is None else conditions.within(gallery, folder)
    here = (*place, *_IN_THE_BACKLOG)
    return _change_backlog(
        engine, here, lambda at: at >= since, conditions.afresh() | {"rank": BACKLOG}
    )


def narrow(engine: sa.Engine, gallery: str, since: float) -> int:
    """Leave the queued backlog alone that was modified before `since`; return its number."""
    here = (c.gallery == gallery, c.status == Status.QUEUED, c.rank.in_(OLD))
    return _change_backlog(engine, here, lambda at: at < since, _left_alone(BACKLOG_REASON))


def ruled(engine: sa.Engine, gallery: str) -> list[Job]:
    """Return the jobs of photos that are there and that a rule leaves alone."""
    query = select(table).where(
        c.gallery == gallery, c.status == Status.DONE, c.decision == Decision.LEFT_ALONE,
        c.reason.startswith(rules.PREFIX, autoescape=True), conditions.here,
    )  # fmt: skip
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(query)]


def queue_ruled(engine: sa.Engine, job_ids: Collection[int]) -> None:
    """Queue photos that a rule left alone and that the rules allow now, behind new ones."""
    values = conditions.afresh() | {"rank": BACKLOG}
    with engine.begin() as connection:
        for some in conditions.chunks(list(job_ids)):
            here = [c.id.in_(some), c.status == Status.DONE]
            conditions.change(connection, here, "the rules allow it now", **values)


def _change_backlog(
    engine: sa.Engine, here: tuple[sa.ColumnElement[bool], ...],
    applies: Callable[[float], bool], values: Mapping[str, Any],
) -> int:  # fmt: skip
    """Change the jobs whose photos were modified at a time that `applies`; return their number."""
    with engine.begin() as connection:
        rows = connection.execute(select(c.id, c.fingerprint).where(*here))
        ids = [row.id for row in rows if applies(fingerprints.modified_at(row.fingerprint))]
        for some in conditions.chunks(ids):
            connection.execute(update(table).where(*here, c.id.in_(some)).values(dict(values)))
    return len(ids)


def _left_alone(reason: str) -> dict[str, Any]:
    return {
        "status": Status.DONE, "decision": Decision.LEFT_ALONE, "reason": reason,
        "error": None, "error_kind": None,
    }  # fmt: skip
