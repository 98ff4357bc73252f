"""Queue photos that came back to a place that their results have left."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import conditions
from storage.database.tables import jobs
from storage.enums import CLASSIFY, NEW_PHOTO, Decision, Review, Status

c = jobs.c


def queue(engine: sa.Engine, job_ids: Collection[int]) -> list[int]:
    """Queue those of these jobs whose results another job took; return their ids.

    So it is when a folder was renamed and is renamed back: the first renaming took the results along.
    A job with a newer version stays as it is.
    """
    other = jobs.alias()
    newer = select(other.c.id).where(
        other.c.gallery == c.gallery, other.c.folder == c.folder, other.c.name == c.name, other.c.id > c.id
    )  # fmt: skip
    again = conditions.afresh() | {"rank": NEW_PHOTO, "queue": CLASSIFY}
    queued: list[int] = []
    if not job_ids:
        return queued
    with engine.begin() as connection:
        for some in conditions.chunks(list(job_ids)):
            without = [
                c.id.in_(some), c.status == Status.DONE, c.decision == Decision.RESTORED, c.output.is_(None),
                sa.func.coalesce(c.review, Review.KEPT) != Review.WAITING, ~newer.exists(),
            ]  # fmt: skip
            event = "its photo came back, and its result was elsewhere"
            queued += [job.id for job in conditions.change(connection, without, event, **again)]
    return queued
