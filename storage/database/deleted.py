"""Which results belong to photos that were deleted, and which of these photos came back."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import conditions, moves
from storage.database.engine import reading
from storage.database.records import Gallery, Job
from storage.database.tables import jobs, now
from storage.enums import CLASSIFY, NEW_PHOTO, Review, Status

DELAY_SECONDS = 86400.0
"""Seconds after which a photo that vanished counts as deleted: a backup may bring it back."""
MASS_DELAY_SECONDS = 7 * 86400.0
"""The same for photos that vanished together with many others: a disk of the gallery may be away."""
MASS = 50
"""Number of photos above which those that vanished may be many."""
MASS_SHARE = 0.2
"""Share of the photos of a gallery above which they are."""
AT_ONCE = 500
"""Maximum number of results that one round moves."""

c = jobs.c
_other = jobs.alias()
_photo = (
    _other.c.gallery == c.gallery, _other.c.folder == c.folder, _other.c.name == c.name,
)  # fmt: skip


@dataclass(frozen=True)
class Many:
    """So many photos of a gallery vanished that their results wait longer."""

    gallery: str
    count: int
    since: float
    """When the first of them vanished."""


def many(connection: sa.Connection, gallery: Gallery) -> Many | None:
    """Return how many photos of a gallery vanished lately, if these are many."""
    lately = c.gone_at > now() - MASS_DELAY_SECONDS
    query = select(sa.func.count(), sa.func.min(c.gone_at)).where(*_vanished(gallery.name), lately)
    count, since = connection.execute(query).one()
    if count <= MASS or count <= MASS_SHARE * ((gallery.photos or 0) + count):
        return None
    return Many(gallery.name, count, since)


def due(engine: sa.Engine, gallery: Gallery) -> list[Job]:
    """Return the jobs whose results go, the first to vanish first, if their photos are still away.

    A full scan has begun and ended since. What was found then, such as a photo that was renamed, has
    been examined.
    """
    if gallery.scanned_at is None:
        return []
    with reading(engine) as connection:
        delay = MASS_DELAY_SECONDS if many(connection, gallery) else DELAY_SECONDS
        unread = select(_other.c.id).where(
            _other.c.gallery == c.gallery, _other.c.content_hash.is_(None),
            _other.c.status.in_([Status.QUEUED, Status.RUNNING]),
            _other.c.created_at.between(c.gone_at - DELAY_SECONDS, c.gone_at + delay),
        )  # fmt: skip
        shared = select(_other.c.id).where(
            _other.c.gallery == c.gallery, _other.c.output == c.output, _other.c.gone_at.is_(None)
        )
        query = select(jobs).where(
            *_vanished(gallery.name), c.gone_at <= now() - delay,
            c.gone_at < gallery.scanned_at - (gallery.scan_seconds or 0.0),
            ~unread.exists(), ~shared.exists(),
        )  # fmt: skip
        rows = connection.execute(query.order_by(c.gone_at, c.id).limit(AT_ONCE))
        return [Job.of(row) for row in rows]


def returned(engine: sa.Engine) -> list[Job]:
    """Return the jobs whose results went to the trash with their photos, which are there again."""
    newer = select(_other.c.id).where(*_photo, _other.c.id > c.id)
    here = (c.review == Review.DELETED, sa.func.coalesce(c.gone_at, 0.0) == 0.0, ~newer.exists())
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(select(jobs).where(*here).limit(AT_ONCE))]


def mend_again(engine: sa.Engine, job: Job) -> Job | None:
    """Queue a photo that came back after its result has left the trash; None if it has changed."""
    here = [c.id == job.id, c.status == Status.DONE, c.review == Review.DELETED]
    again = conditions.afresh() | {"rank": NEW_PHOTO, "queue": CLASSIFY}
    with engine.begin() as connection:
        return next(iter(conditions.change(connection, here, "its photo came back", **again)), None)


def _vanished(gallery: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition for results whose photos vanished, and which nobody kept since then."""
    kept = sa.and_(c.review == Review.KEPT, c.reviewed_at > c.gone_at)
    return (
        c.gallery == gallery, c.gone_at.is_not(None), c.status == Status.DONE,
        c.output.is_not(None), c.sha256.is_not(None), moves.none_begun(),
        sa.func.coalesce(c.review, Review.KEPT) != Review.WAITING,
        sa.not_(sa.func.coalesce(kept, sa.false())),
    )  # fmt: skip
