"""Find jobs for the command line: by what is wanted, by photo, by result."""

import fnmatch
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import conditions as sql
from storage.database.status import reading
from storage.database.tables import Event, Job, history, now
from storage.database.tables import jobs as table
from storage.enums import Category, Decision, ErrorKind, Status

c = table.c


@dataclass(frozen=True)
class Filter:
    """Which jobs are wanted; None and empty collections mean all."""

    status: Collection[Status] = ()
    category: Category | None = None
    decision: Decision | None = None
    kind: ErrorKind | None = None
    gallery: str | None = None
    below: Path | None = None
    """This photo, or what lies in this folder, relative to the gallery."""
    pattern: str | None = None
    """A glob for the path relative to the gallery; * takes slashes, too."""
    younger_seconds: float | None = None
    """Recorded no longer ago than this."""
    older_seconds: float | None = None
    ids: Collection[int] = ()


def get(engine: sa.Engine, job_id: int) -> Job | None:
    """Return one job."""
    with reading(engine) as connection:
        row = connection.execute(select(table).where(c.id == job_id)).first()
        return None if row is None else Job.of(row)


def versions(engine: sa.Engine, gallery: str, source: Path) -> list[Job]:
    """Return the jobs of a photo, the newest first; `source` is relative to the gallery."""
    here = (*sql.within(gallery, source.parent), c.name == Path(source.name))
    query = select(table).where(*here).order_by(c.id.desc())
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(query)]


def makers(engine: sa.Engine, gallery: str, output: Path) -> list[Job]:
    """Return the jobs whose result is `output`, relative to the output root, newest first."""
    query = select(table).where(c.gallery == gallery, c.output == output).order_by(c.id.desc())
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(query)]


def events(engine: sa.Engine, job_id: int) -> list[Event]:
    """Return the history of a job."""
    query = select(history).where(history.c.job_id == job_id).order_by(history.c.id)
    with reading(engine) as connection:
        return [Event.of(row) for row in connection.execute(query)]


def jobs(engine: sa.Engine, wanted: Filter, limit: int | None = None) -> list[Job]:
    """Return the jobs that are wanted, newest first, at most `limit`."""
    found = ids(engine, wanted, limit)
    with reading(engine) as connection:
        return [
            Job.of(row)
            for some in sql.chunks(found)
            for row in connection.execute(select(table).where(c.id.in_(some)).order_by(c.id.desc()))
        ]


def ids(engine: sa.Engine, wanted: Filter, limit: int | None = None) -> list[int]:
    """Return the ids of the jobs that are wanted, newest first, at most `limit`."""
    query = select(c.id, c.folder, c.name).where(*_conditions(wanted)).order_by(c.id.desc())
    found: list[int] = []
    if wanted.pattern is None:
        query = query.limit(limit)
    with reading(engine) as connection:
        for job_id, folder, name in connection.execute(query):
            if limit is not None and len(found) == limit:
                break
            if wanted.pattern is None or fnmatch.fnmatchcase(str(folder / name), wanted.pattern):
                found.append(job_id)
    return found


def _conditions(wanted: Filter) -> Sequence[sa.ColumnElement[bool]]:
    """Return the conditions of SQL that a filter stands for; its pattern is not among them."""
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.status:
        conditions.append(c.status.in_(list(wanted.status)))
    if wanted.ids:
        conditions.append(c.id.in_(list(wanted.ids)))
    for column, value in (
        (c.category, wanted.category), (c.decision, wanted.decision),
        (c.error_kind, wanted.kind), (c.gallery, wanted.gallery),
    ):  # fmt: skip
        if value is not None:
            conditions.append(column == value)
    if wanted.younger_seconds is not None:
        conditions.append(c.created_at > now() - wanted.younger_seconds)
    if wanted.older_seconds is not None:
        conditions.append(c.created_at <= now() - wanted.older_seconds)
    if wanted.below is not None and wanted.below != Path():
        conditions.append(_below(wanted.below))
    return conditions


def _below(path: Path) -> sa.ColumnElement[bool]:
    """Hold for the photo `path` and for all in the folder `path`."""
    folder = sa.type_coerce(c.folder, sa.LargeBinary)
    prefix = os.fsencode(path)
    return sa.or_(
        folder == prefix,
        sa.and_(folder > prefix + b"/", folder < prefix + b"0"),  # 0 comes after the slash
        sa.and_(c.folder == path.parent, c.name == Path(path.name)),
    )
