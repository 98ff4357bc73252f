"""What the database knows of the owner's word, for the file beside the results."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import galleries, reviews, wishes
from storage.database.engine import reading
from storage.database.jobs import ADDED, RETRIED
from storage.database.records import Job
from storage.database.tables import history
from storage.database.tables import jobs as table
from storage.enums import ASKED_FOR, AT_ONCE, LATER, QUEUES, Review, Status
from storage.owners_word import Word
from storage.wishes import Wish

c = table.c
_TAKEN_BACK = (reviews.TAKEN_BACK, reviews.BROUGHT_BACK, RETRIED, ADDED)
"""Events after which a job without a word is one of which the owner says nothing."""


def of(job: Job) -> Word | None:
    """Return what the owner said of a job's photo; None if nothing."""
    review = Review.REJECTED if job.reason == reviews.REJECTED else job.review
    asked, entry = Wish.of(job), reviews.rejected(job)
    word = Word(
        review=review if review in (Review.KEPT, Review.REJECTED) else None,
        wish=asked and Wish(asked.category, asked.strength),
        content_hash=job.content_hash,
        result=entry and entry[1],
    )
    return word if word.review or word.wish else None


def photos(engine: sa.Engine, gallery: str) -> set[Path]:
    """Return the photos of a gallery of which the owner said something.

    No index has the wishes, but it has the ranks of the jobs that were asked for.
    """
    paths = select(c.folder, c.name)
    asked = (
        c.gallery == gallery, c.status.in_(list(Status)), c.queue.in_(QUEUES),
        c.rank.in_([AT_ONCE, ASKED_FOR, ASKED_FOR + LATER]), c.wish.is_not(None),
    )  # fmt: skip
    # Those that were reviewed are found sooner by the index on it than by the gallery.
    said = (
        c.review.in_([Review.KEPT, Review.REJECTED]),
        sa.func.coalesce(c.gallery, "") == gallery,
    )
    with reading(engine) as connection:
        rows = [*connection.execute(paths.where(*said)), *connection.execute(paths.where(*asked))]
        return {folder / name for folder, name in rows}


def versions(engine: sa.Engine, gallery: str, photos: Collection[Path]) -> Mapping[Path, list[Job]]:
    """Return the jobs of these photos that are recorded, the newest first."""
    folders: dict[Path, list[str]] = defaultdict(list)
    for photo in photos:
        folders[photo.parent].append(photo.name)
    return {
        folder / name: jobs
        for folder, names in folders.items()
        for name, jobs in galleries.versions(engine, gallery, folder, names).items()
    }


def is_taken_back(engine: sa.Engine, jobs: Iterable[Job]) -> bool:
    """Return whether the owner said something of these jobs since they were recorded.

    If not, a job without a word is new, and what was said of its photo before holds.
    """
    mine = history.c.job_id.in_([job.id for job in jobs])
    spoken = sa.or_(
        history.c.event.in_(_TAKEN_BACK), history.c.event.startswith(wishes.ASKED, autoescape=True)
    )
    with reading(engine) as connection:
        return bool(connection.scalar(select(select(history.c.id).where(mine, spoken).exists())))
