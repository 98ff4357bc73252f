"""Find jobs: by filter, photo, result, content or worker."""

import fnmatch
import itertools
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import claimable, conditions, pauses
from storage.database.engine import reading
from storage.database.galleries import BACKLOG_REASON, IGNORED
from storage.database.records import Event, Job
from storage.database.tables import history, now
from storage.database.tables import jobs as table
from storage.enums import Category, Decision, ErrorKind, Review, Status

c = table.c
_other = table.alias()
_SAME_PHOTO = (_other.c.gallery == c.gallery, _other.c.folder == c.folder, _other.c.name == c.name)


@dataclass(frozen=True)
class Filter:
    """A choice of jobs; None and empty collections mean all."""

    status: Collection[Status] = ()
    category: Category | None = None
    decision: Decision | None = None
    kind: ErrorKind | None = None
    gallery: str | None = None
    oversized: bool | None = None
    """Whether the output is larger than the rule allows."""
    below: Path | None = None
    """A photo, or a folder with all photos below it, relative to the gallery."""
    pattern: str | None = None
    """A glob for the path relative to the gallery; * also matches slashes."""
    younger_seconds: float | None = None
    """Maximum age of the job's row."""
    older_seconds: float | None = None
    above: int | None = None
    """Only jobs with a larger id."""
    under: int | None = None
    """Only jobs with a smaller id: the next page."""
    review: Collection[Review | None] = ()
    """What the owner said; None is nothing."""


@dataclass(frozen=True)
class Kind:
    """Photos that ended alike, and their number."""

    status: Status
    decision: Decision | None
    reason: str | None
    error_kind: ErrorKind | None
    count: int


def get(engine: sa.Engine, job_id: int) -> Job | None:
    """Return one job; None if there is none with this id."""
    with reading(engine) as connection:
        row = connection.execute(select(table).where(c.id == job_id)).first()
        return None if row is None else Job.of(row)


def versions(engine: sa.Engine, gallery: str, source: Path) -> list[Job]:
    """Return the jobs of a photo, the newest first; `source` is relative to the gallery."""
    here = (*conditions.within(gallery, source.parent), c.name == Path(source.name))
    query = select(table).where(*here).order_by(c.id.desc())
    return _all(engine, query)


def newest(engine: sa.Engine, job_ids: Iterable[int]) -> list[int]:
    """Return for each of these jobs the newest one of the same photo, each once."""
    found: dict[int, None] = {}
    with reading(engine) as connection:
        for some in conditions.chunks(list(job_ids)):
            latest = sa.func.max(_other.c.id).label("latest")
            versions = select(latest).where(c.id.in_(some), *_SAME_PHOTO).group_by(c.id)
            found |= dict.fromkeys(connection.scalars(versions.order_by(latest)))
    return list(found)


def retriable(engine: sa.Engine, job_ids: Iterable[int]) -> list[int]:
    """Return those jobs that are the newest of a photo which is there and was not left as backlog."""
    newer = select(_other.c.id).where(*_SAME_PHOTO, _other.c.id > c.id).exists()
    ended = c.status.in_([Status.DONE, Status.FAILED, Status.CANCELLED])
    reason = sa.func.coalesce(c.reason, "")
    old = sa.or_(reason == BACKLOG_REASON, reason.startswith(IGNORED, autoescape=True))
    found: list[int] = []
    with reading(engine) as connection:
        for some in conditions.chunks(sorted(job_ids)):
            here = (c.id.in_(some), ~newer, ~sa.and_(ended, old), conditions.here)
            found += connection.scalars(select(c.id).where(*here).order_by(c.id))
    return found


def makers(engine: sa.Engine, gallery: str, output: Path) -> list[Job]:
    """Return the jobs whose result is `output`, relative to the output root, newest first."""
    query = select(table).where(c.gallery == gallery, c.output == output).order_by(c.id.desc())
    return _all(engine, query)


def same_content(engine: sa.Engine, claim: Job, content_hash: str) -> list[Job]:
    """Return the finished jobs of the same coded image in its gallery, newest first."""
    query = select(table).where(
        c.content_hash == content_hash, c.gallery == claim.gallery, c.id != claim.id,
        c.status == Status.DONE, c.decision != Decision.LEFT_ALONE,
    )  # fmt: skip
    return _all(engine, query.order_by(c.id.desc()))


def older(engine: sa.Engine, claim: Job) -> list[Job]:
    """Return the earlier versions of this photo that still have an output, newest first."""
    query = select(table).where(
        *conditions.within(claim.gallery, claim.folder), c.name == claim.name, c.id < claim.id,
        c.sha256.is_not(None),
    )  # fmt: skip
    return _all(engine, query.order_by(c.id.desc()))


def has_outputs(engine: sa.Engine, gallery: str) -> bool:
    """Return whether a result of this gallery was ever published."""
    mine = select(c.id).where(c.gallery == gallery, c.sha256.is_not(None))
    with reading(engine) as connection:
        return bool(connection.scalar(select(mine.exists())))


def sample_outputs(engine: sa.Engine, gallery: str, count: int) -> list[Path]:
    """Return at most `count` of the newest results of a gallery, relative to its output root."""
    query = select(c.output).where(c.gallery == gallery, c.output.is_not(None))
    with reading(engine) as connection:
        return list(connection.scalars(query.order_by(c.id.desc()).limit(count)))


def held(engine: sa.Engine, worker: str) -> list[Job]:
    """Return the jobs that name the worker: running, or cancelled and not yet released."""
    return _all(engine, select(table).where(c.worker == worker))


def claims(engine: sa.Engine) -> set[tuple[int, int]]:
    """Return job id and claim number of all running claims."""
    with reading(engine) as connection:
        rows = connection.execute(select(c.id, c.claims).where(c.status == Status.RUNNING))
        return {(job_id, number) for job_id, number in rows}


def due(engine: sa.Engine, queue: str, limit: int) -> list[int]:
    """Return the ids of at most `limit` jobs that some worker may claim from a queue, most urgent first."""
    found: list[int] = []
    with reading(engine) as connection:
        anywhere = pauses.works_elsewhere(connection)
        for group in claimable.due_groups(connection, [queue], anywhere=anywhere):
            query = claimable.jobs_of(group).where(claimable.due()).limit(limit - len(found))
            found += connection.scalars(query)
    return found


def events(engine: sa.Engine, job_id: int) -> list[Event]:
    """Return the history of a job."""
    query = select(history).where(history.c.job_id == job_id).order_by(history.c.id)
    with reading(engine) as connection:
        return [Event.of(row) for row in connection.execute(query)]


def jobs(engine: sa.Engine, wanted: Filter, limit: int | None = None) -> list[Job]:
    """Return the jobs that pass the filter, newest first, at most `limit`."""
    found = ids(engine, wanted, limit)
    with reading(engine) as connection:
        return [
            Job.of(row)
            for some in conditions.chunks(found)
            for row in connection.execute(select(table).where(c.id.in_(some)).order_by(c.id.desc()))
        ]


def ids(engine: sa.Engine, wanted: Filter, limit: int | None = None) -> list[int]:
    """Return the ids of the jobs that pass the filter, newest first, at most `limit`."""
    query = _query(wanted, None if wanted.pattern else limit, engine.dialect.name)
    with reading(engine) as connection:
        if wanted.pattern is None:
            return list(connection.scalars(query.limit(limit)))
        matches = re.compile(fnmatch.translate(wanted.pattern)).match
        rows = connection.execute(query)
        found = (job_id for job_id, folder, name in rows if matches(_joined(folder, name)))
        return list(itertools.islice(found, limit))


def kinds(engine: sa.Engine, gallery: str, below: Path) -> list[Kind]:
    """Count the photos of a folder, by their newest versions; those that are gone are left out."""
    newer = select(_other.c.id).where(*_SAME_PHOTO, _other.c.id > c.id).exists()
    columns = (c.status, c.decision, c.reason, c.error_kind)
    where = (*_where(Filter(gallery=gallery, below=below)), c.gone_at.is_(None), ~newer)
    query = select(*columns, sa.func.count()).where(*where).group_by(*columns)
    with reading(engine) as connection:
        return [Kind(*row) for row in connection.execute(query)]


def _query(wanted: Filter, limit: int | None, dialect: str) -> sa.Select[Any]:
    """Build the SELECT of ids and, for a pattern, paths.

    Each status is searched by itself: the index on it has the order of the ids, so that no million
    of jobs is sorted.
    """
    columns = [c.id] if wanted.pattern is None else [c.id, _raw(c.folder), _raw(c.name)]
    where = (*_where(wanted), *_may_match(wanted.pattern or "", dialect))
    query = select(*columns).where(*where).order_by(c.id.desc()).limit(limit)
    statuses = wanted.status or (Status if wanted.kind else ())
    parts = [query.where(c.status == status) for status in statuses] or [query]
    if len(parts) == 1:
        return parts[0]
    found = sa.union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(found).order_by(found.c.id.desc()).limit(limit)


def _raw(path: sa.ColumnElement[Path]) -> sa.ColumnElement[Any]:
    """Return a path as bytes: to make a million paths takes longer than to compare them."""
    return sa.type_coerce(path, sa.LargeBinary())


def _joined(folder: bytes, name: bytes) -> str:
    return os.fsdecode(name if folder == b"." else b"%b/%b" % (folder, name))


def _all(engine: sa.Engine, query: sa.Select[Any]) -> list[Job]:
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(query)]


def _where(wanted: Filter) -> Sequence[sa.ColumnElement[bool]]:
    """Return the conditions of a filter in SQL, without those of its status and pattern."""
    found: list[sa.ColumnElement[bool]] = []
    # All photos of a gallery are found sooner in the order of ids than by its folders, then sorted.
    gallery = sa.func.coalesce(c.gallery, "")
    for column, value in (
        (c.category, wanted.category), (c.decision, wanted.decision),
        (c.error_kind, wanted.kind), (gallery, wanted.gallery),
        (c.oversized, wanted.oversized),
    ):  # fmt: skip
        if value is not None:
            found.append(column == value)
    if wanted.younger_seconds is not None:
        found.append(c.created_at > now() - wanted.younger_seconds)
    if wanted.older_seconds is not None:
        found.append(c.created_at <= now() - wanted.older_seconds)
    if wanted.above is not None:
        found.append(c.id > wanted.above)
    if wanted.under is not None:
        found.append(c.id < wanted.under)
    if wanted.review:
        found.append(sa.or_(*(c.review == review for review in wanted.review)))
    if wanted.below is not None and wanted.below != Path():
        found.append(_below(wanted.gallery, wanted.below))
    return found


def _may_match(pattern: str, dialect: str) -> Sequence[sa.ColumnElement[bool]]:
    """Return the condition that a path contains the longest plain part of a pattern.

    The database tests a million paths in a tenth of the time in which they become strings here.
    """
    part = max(re.split(r"[*?/]", pattern.partition("[")[0]), key=len)
    find = {"sqlite": sa.func.instr, "postgresql": sa.func.pg_catalog.position}[dialect]
    holds = [find(_raw(path), sa.literal(os.fsencode(part))) > 0 for path in (c.folder, c.name)]
    return [sa.or_(*holds)] if part else []


def _below(gallery: str | None, path: Path) -> sa.ColumnElement[bool]:
    """Return the condition for the photo `path` and for all photos below the folder `path`.

    Each part names the gallery, so that the index on it and the folder finds each.
    """
    folder, prefix = _raw(c.folder), os.fsencode(path)
    here = () if gallery is None else (c.gallery == gallery,)
    below = (folder > prefix + b"/", folder < prefix + b"0")  # 0 comes after the slash
    photo = (c.folder == path.parent, c.name == Path(path.name))
    return sa.or_(*(sa.and_(*here, *part) for part in ((folder == prefix,), below, photo)))
