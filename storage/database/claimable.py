"""Which queued jobs may be claimed, and in which order.

Queued jobs of the same queue, gallery and rank are a group. Pauses, holds and galleries that are
offline stop whole groups, and within a group the job that is due first comes first. So a claim
reads one row of each group, however many jobs wait behind it.
"""

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import select, update

from storage.database import conditions, counts, pauses
from storage.database.tables import counted, galleries, jobs, now
from storage.database.tables import pauses as paused_rows
from storage.enums import AT_ONCE, Status

c = jobs.c
_KEY = (c.queue, c.gallery, c.rank)


class Group(NamedTuple):
    """Queued jobs that nothing stops but their time."""

    queue: str
    gallery: str
    rank: int
    first: float
    """When the first of them is due."""


def groups(connection: sa.Connection, queues: Collection[str]) -> list[Group]:
    """Return the groups of these queues, the most urgent first."""
    return _startable(connection, tuple(queues), due=False)


def due_groups(
    connection: sa.Connection, queues: Collection[str], *, anywhere: bool = False
) -> list[Group]:
    """Return the groups of these queues with a job that is due, the most urgent first.

    `anywhere`: also what this machine's schedule or battery stops and that of another one may not.
    """
    return _startable(connection, tuple(queues), due=True, anywhere=anywhere)


def _startable(
    connection: sa.Connection, queues: tuple[str, ...], *, due: bool, anywhere: bool = False
) -> list[Group]:
    """Return the groups that no pause stops; one of this machine stops none that is asked for at once."""
    found = [Group(*row) for row in connection.execute(_groups(queues, due=due))]
    if anywhere or not found or not pauses.of_machine(connection):
        return found
    return [group for group in found if group.rank == AT_ONCE]


def jobs_of(group: Group) -> sa.Select[tuple[int]]:
    """Build the SELECT of a group's jobs, the most urgent first."""
    return select(c.id).where(*_in_group(*group[:3])).order_by(c.due_at, c.id)


def due() -> sa.ColumnElement[bool]:
    """Return the condition for a job whose time has come."""
    return conditions.passed(c.due_at, conditions.LONGEST_PAUSE_SECONDS)


def claim(connection: sa.Connection, group: Group, **wishes: Any) -> sa.Row[Any] | None:
    """Claim the most urgent due job of a group, and return its row; None if there is none."""
    given = wishes | {"a_queue": group.queue, "a_gallery": group.gallery, "a_rank": group.rank}
    return connection.execute(_claiming(), given).first()


@cache
def _claiming() -> sa.Update:
    """Build the UPDATE of a claim, once: building takes longer than running."""
    group = [sa.bindparam(f"a_{column.name}", type_=column.type) for column in _KEY]
    first = (
        select(c.id)
        .where(*_in_group(*group), due())
        .order_by(c.due_at, c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # on PostgreSQL: claims do not wait for each other
    )
    megapixels = sa.func.coalesce(c.pixels, 0) / 1e6
    number = sa.Double
    values = dict.fromkeys(("tiles_done", "tiles", "tile_seconds", "progress_at")) | {
        "status": Status.RUNNING, "claims": c.claims + 1, "claimed_at": now(),
        "worker": sa.bindparam("a_worker"), "child": sa.bindparam("a_child"),
        "deadline_seconds": sa.bindparam("a_seconds", type_=number)
        + sa.bindparam("a_seconds_per_megapixel", type_=number) * megapixels,
    }  # fmt: skip
    here = (c.id == first.scalar_subquery(), c.status == Status.QUEUED)
    return update(jobs).where(*here).values(values).returning(jobs)


def _in_group(*key: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        c.status == Status.QUEUED,
        *(column == value for column, value in zip(_KEY, key, strict=True)),
    )


@cache
def _groups(queues: tuple[str, ...], *, due: bool) -> sa.Select[Any]:
    """Build the SELECT of the groups that are not paused, held or offline."""
    k, p = counted.c, paused_rows.c
    paused = select(p.name).where(conditions.pause_lasts())
    everything = paused.where(
        sa.or_(
            p.scope == "all",
            sa.and_(p.scope == "category", p.name == k.queue),
        )
    )
    away = select(galleries.c.name).where(
        sa.or_(
            galleries.c.online.is_(False),
            conditions.ahead(galleries.c.held_until, conditions.LONGEST_PAUSE_SECONDS),
        )
    )
    kinds = select(k.queue, k.gallery, k.rank).where(
        k.status == Status.QUEUED, k.queue.in_(queues),
        ~everything.exists(),
        k.gallery.not_in(paused.where(p.scope == "gallery")),
        k.gallery.not_in(away),
    )  # fmt: skip
    group = kinds.group_by(k.queue, k.gallery, k.rank).having(counts.number > 0).subquery()
    here = _in_group(group.c.queue, group.c.gallery, group.c.rank)
    # Each is one look into the index; both in one SELECT would read all jobs of the group.
    first, last = (
        select(least(c.due_at)).where(*here).scalar_subquery().label(name)
        for least, name in ((sa.func.min, "first"), (sa.func.max, "last"))
    )
    found = select(group, first, last).subquery().c
    wrong = found.last > now() + conditions.LONGEST_PAUSE_SECONDS  # by a clock that was ahead
    which = sa.or_(found.first <= now(), wrong) if due else found.first.is_not(None)
    columns = (found.queue, found.gallery, found.rank, found.first)
    return select(*columns).where(which).order_by(found.rank, found.first)
