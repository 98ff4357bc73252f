"""What the owner said of results: each change of a job's review, with a line of its history."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import sqlalchemy as sa

from storage.database import conditions, followups, holds, moves
from storage.database.engine import reading
from storage.database.records import Job
from storage.database.tables import jobs, now
from storage.enums import AT_ONCE, Decision, Review, Status
from storage.waiting_results import Waiting

REJECTED = "rejected by the owner"
TAKEN_BACK = "the owner took the word back"
BROUGHT_BACK = "restored by the owner"
RETURNED = "its photo came back"
EARLIER_STAYS = "the newer result was rejected; the earlier one stays"
_TRASH = "rejected"
"""The entry of a receipt with the name and the SHA-256 of the result that was rejected."""

c = jobs.c


def keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner keeps the result; return None if the job has changed.

    One that waits is queued to be published.
    """
    if job.review is Review.WAITING:
        return _publish(engine, job)
    return _change(
        engine, job, "kept by the owner", sa.and_(c.sha256 == job.sha256, moves.none_begun()),
        review=Review.KEPT, reviewed_at=now(),
    )  # fmt: skip


def undo_keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner has said nothing of the result; return None if the job has changed."""
    return _change(engine, job, TAKEN_BACK, c.review == Review.KEPT, review=None, reviewed_at=None)


def wait_again(engine: sa.Engine, job: Job, waiting: Waiting) -> Job | None:
    """Record that a result waits for the owner's word again; return None if the job has changed.

    It was kept or rejected, and is not published; an older result of the photo may be.
    """
    gone = (
        {} if job.status is Status.QUEUED or job.review is Review.REJECTED else conditions.NO_OUTPUT
    )
    is_refused = waiting.refused is not None
    return _change(
        engine, job, TAKEN_BACK, c.review == job.review, status=Status.DONE,
        decision=Decision.KEPT_ORIGINAL if is_refused else Decision.RESTORED,
        reason=waiting.refused, review=Review.WAITING, reviewed_at=None, finished_at=now(),
        error=None, error_kind=None, receipt=(job.receipt or {}) | waiting.to_entry(), **gone,
    )  # fmt: skip


def reject(engine: sa.Engine, job: Job) -> Job | None:
    """Keep the original, because the owner rejected the result; return None if the job has changed.

    If it was waiting, an older result of the photo stays. If it is being removed because its photo was
    deleted, that is recorded instead.
    """
    if job.review is Review.WAITING:
        return _reject_waiting(engine, job)
    if job.review is Review.DELETING:
        return _change(
            engine, job, moves.DELETED, c.sha256 == job.sha256,
            decision=Decision.KEPT_ORIGINAL, reason=moves.DELETED, review=Review.DELETED,
            reviewed_at=now(), **conditions.NO_OUTPUT,
        )  # fmt: skip
    receipt = (job.receipt or {}) | trash_receipt(job.output or Path(), job.sha256)
    return _change(
        engine, job, REJECTED, c.sha256 == job.sha256,
        decision=Decision.KEPT_ORIGINAL, reason=REJECTED, review=Review.REJECTED,
        reviewed_at=now(), receipt=receipt, **conditions.NO_OUTPUT,
    )  # fmt: skip


def trash_receipt(output: Path, sha256: str | None) -> dict[str, Any]:
    """Return the part of a receipt that leads to a rejected result in the trash."""
    return {_TRASH: {"output": quote_from_bytes(os.fsencode(output)), "sha256": sha256}}


def deleted_receipt(job: Job) -> dict[str, Any]:
    """Return the receipt of a job whose result goes to the trash with its photo.

    It also holds whether the owner had kept the result.
    """
    receipt = job.receipt or {}
    found = trash_receipt(job.output or Path(), job.sha256)
    before = receipt.get(_TRASH, {}) if job.review is Review.DELETING else {}
    found[_TRASH]["kept"] = job.review is Review.KEPT or before.get("kept", False)
    return receipt | found


def rejected(job: Job) -> tuple[Path, str] | None:
    """Return the name and the SHA-256 of the result that was rejected; None if there is none."""
    entry = (job.receipt or {}).get(_TRASH)
    if job.review not in (Review.REJECTED, Review.RESTORING, Review.DELETED) or not isinstance(
        entry, dict
    ):
        return None
    return Path(os.fsdecode(unquote_to_bytes(entry["output"]))), str(entry["sha256"])


def restore(engine: sa.Engine, job: Job, output: Path, sha256: str) -> Job | None:
    """Record that a rejected result has its place again; return None if the job has changed.

    One that went with its photo, and comes back without it, is kept: it does not go again.
    """
    deleted, returned = job.reason == moves.DELETED, job.gone_at is None
    was_kept = deleted and (job.receipt or {}).get(_TRASH, {}).get("kept", False)
    review = Review.KEPT if was_kept or (deleted and not returned) else None
    receipt = {name: value for name, value in (job.receipt or {}).items() if name != _TRASH}
    return _change(
        engine, job, RETURNED if deleted and returned else BROUGHT_BACK,
        c.review.in_([Review.REJECTED, Review.RESTORING, Review.DELETED]),
        decision=Decision.RESTORED, reason=None, review=review,
        reviewed_at=now() if review else None,
        output=output, sha256=sha256, receipt=receipt,
        oversized="larger_than_the_rule" in receipt.get("copy", {}),
    )  # fmt: skip


def waiting(engine: sa.Engine, job_ids: Collection[int], days: int) -> set[int]:
    """Return which of these jobs still need the result in the state folder.

    They wait, are worked on or not published yet, or were rejected in the last `days` days.
    """
    lately = c.reviewed_at > now() - days * 24 * 3600
    needed = sa.or_(
        c.status != Status.DONE,
        c.review == Review.WAITING,
        sa.and_(c.review == Review.KEPT, c.output.is_(None)),
        sa.and_(c.review == Review.REJECTED, lately),
    )
    with reading(engine) as connection:
        return {
            job_id
            for ids in conditions.chunks(list(job_ids))
            for job_id in connection.scalars(sa.select(c.id).where(c.id.in_(ids), needed))
        }


def _publish(engine: sa.Engine, job: Job) -> Job | None:
    """Queue a job whose result waits, before all others; a worker publishes it."""
    queued = _change(
        engine, job, "kept by the owner", c.review == Review.WAITING,
        status=Status.QUEUED, rank=AT_ONCE, due_at=now(), attempts=0, finished_at=None,
        decision=None, reason=None, error=None, error_kind=None,
        review=Review.KEPT, reviewed_at=now(),
    )  # fmt: skip
    if queued is not None:
        with engine.begin() as connection:
            holds.try_now(connection, [queued.gallery])
    return queued


def _reject_waiting(engine: sa.Engine, job: Job) -> Job | None:
    if job.output is not None:
        return _change(
            engine, job, REJECTED, c.review == Review.WAITING, review=None,
            decision=Decision.RESTORED, reason=EARLIER_STAYS,
        )  # fmt: skip
    return _change(
        engine, job, REJECTED, c.review == Review.WAITING, review=Review.REJECTED,
        reviewed_at=now(), decision=Decision.KEPT_ORIGINAL, reason=REJECTED,
    )  # fmt: skip


def _change(
    engine: sa.Engine, job: Job, event: str, still: sa.ColumnElement[bool], **values: Any
) -> Job | None:
    here = [c.id == job.id, c.status == job.status, c.claims == job.claims, still]
    with engine.begin() as connection:
        for changed in conditions.change(connection, here, event, **values):
            followups.changed(connection, job, changed)
            return changed
    return None
