"""Take the folder, the disk and the output that a gallery has now, or the records of another name."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage.database import conditions, followups, holds
from storage.database.engine import reading
from storage.database.records import Gallery
from storage.database.tables import galleries, jobs, now, outputs, pauses
from storage.enums import Status


def others(engine: sa.Engine, name: str, host: str) -> list[Gallery]:
    """Return all galleries recorded on a machine but `name`."""
    query = select(galleries).where(galleries.c.host == host, galleries.c.name != name)
    with reading(engine) as connection:
        return [Gallery.of(row) for row in connection.execute(query)]


def take(engine: sa.Engine, name: str, columns: Mapping[str, Any], *, empty: bool) -> int:
    """Write what is known of a gallery from now on, and end its hold; return how many photos are gone.

    All of them are gone if its folder is `empty`; otherwise the next full scan finds out. Its jobs
    that wait after an error are due now.
    """
    with engine.begin() as connection:
        mine = update(galleries).where(galleries.c.name == name)
        connection.execute(mine.values({**holds.FREE, **columns}))
        here, waits = jobs.c.gallery == name, jobs.c.error_kind.is_not(None)
        queued = jobs.c.status == Status.QUEUED
        connection.execute(update(jobs).where(here, queued, waits).values(due_at=now()))
        if not empty:
            return 0
        known = update(jobs).where(here, conditions.here)
        return connection.execute(known.values(gone_at=now())).rowcount


def rename(engine: sa.Engine, old: str, new: str) -> str | None:
    """Give all records of the gallery `old` the name `new`; return why that cannot be, or None."""
    with engine.begin() as connection:
        if connection.scalar(select(select(jobs.c.id).where(jobs.c.gallery == new).exists())):
            return f"there are records with both names, {old} and {new}"
        running = select(jobs.c.id).where(jobs.c.gallery == old, jobs.c.status == Status.RUNNING)
        if connection.scalar(select(running.exists())):
            return f"photos of {old} are being mended; stop photomend first"
        connection.execute(delete(galleries).where(galleries.c.name == new))
        connection.execute(update(galleries).where(galleries.c.name == old).values(name=new))
        for table in (jobs, outputs):
            connection.execute(update(table).where(table.c.gallery == old).values(gallery=new))
        followups.rename(connection, old, new)
        mine = (pauses.c.scope == "gallery", pauses.c.name == old)
        connection.execute(update(pauses).where(*mine).values(name=new))
    return None
