"""What the owner said of a photo before its database was lost: the file beside the results says it.

It is asked only for photos whose content the database does not know, and not for one that the owner
asks for now.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from storage import owners_word, photos, publishing
from storage.database import reviews, search
from storage.database.records import Job
from storage.enums import ASKED, Review
from storage.errors import TooLarge, UnreadablePhoto
from storage.inspection import Inspection
from storage.owners_word import Word
from tasks.steps import paths
from tasks.worker import runtime


def with_wish(job: Job, inspected: Inspection) -> Job:
    """Return a job with what the owner asked for its photo before its database was lost."""
    word = None if job.rank in ASKED or job.wish is not None else _words(job).get(job.source)
    if word is None or word.wish is None:
        return job
    with suppress(UnreadablePhoto, TooLarge):
        found = inspected.content_hash
        if word.is_of(found) and not search.same_content(runtime.jobs().engine, job, found):
            return replace(job, wish=word.wish.to_json())
    return job


def is_kept(job: Job) -> bool:
    """Return whether the owner kept the result of a photo; the job's content hash must be set."""
    word = _words(job).get(job.source)
    return word is not None and word.review is Review.KEPT and word.is_of(job.content_hash)


def rejected(job: Job) -> dict[str, object] | None:
    """Return the columns of a photo whose result the owner rejected; None if it was not.

    The job's content hash must be set. A copy of the photo at another place has no result in the trash.
    """
    words = _words(job)
    word = words.get(job.source)
    if word is not None and word.review is Review.REJECTED and word.is_of(job.content_hash):
        return {"review": Review.REJECTED, "receipt": _trash_receipt(job, word)}
    others = (each.content_hash for each in words.values() if each.review is Review.REJECTED)
    return {} if job.content_hash in others else None


def _words(job: Job) -> Mapping[Path, Word]:
    return owners_word.read(paths.gallery(job).output_root).by_photo


def _trash_receipt(job: Job, word: Word) -> dict[str, object] | None:
    """Return what leads to the rejected result in the trash, which comes back under its usual name."""
    if word.result is None:
        return None
    template, suffix = paths.gallery(job).template, photos.output_suffix(job.source)
    usual = next(publishing.candidates(job.source, template, suffix))
    return reviews.trash_receipt(usual, word.result)
