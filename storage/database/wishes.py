"""Queue jobs because the owner wants their photos mended, and record what was asked for."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import conditions, holds
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import AT_ONCE, Status
from storage.wishes import Wish

ASKED = "the owner asked for it"
"""Begins the event of a job that was asked for."""

c = table.c


def ask(engine: sa.Engine, job_ids: Collection[int], wish: Wish) -> list[Job]:
    """Queue jobs before all others and at any hour, with a wish; return those that were queued, without running ones.

    What an earlier wish named and this one does not holds on. A photo that a
    chain has mended is not classified again, unless the wish names a category.
    """
    values = conditions.afresh(keep_category=wish.category is None)
    values |= {"review": None, "reviewed_at": None, "rank": AT_ONCE}
    event = f"{ASKED}: {wish}" if str(wish) else ASKED
    asked: list[Job] = []
    with engine.begin() as connection:
        for whole, ids in _merged(connection, job_ids, wish).items():
            here = [c.id.in_(ids), c.status != Status.RUNNING]
            asked += conditions.change(connection, here, event, wish=json.loads(whole), **values)
        holds.try_now(connection, {job.gallery for job in asked})
    return asked


def _merged(
    connection: sa.Connection, job_ids: Collection[int], wish: Wish
) -> Mapping[str, list[int]]:
    """Return the jobs by the wish that each has then, as JSON."""
    found: dict[str, list[int]] = defaultdict(list)
    for some in conditions.chunks(list(job_ids)):
        for job_id, earlier in connection.execute(select(c.id, c.wish).where(c.id.in_(some))):
            merged = {**(earlier or {}), **wish.to_json()}
            found[json.dumps(merged, sort_keys=True)].append(job_id)
    return found
