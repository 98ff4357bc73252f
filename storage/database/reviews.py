"""What the owner said of results: each change of a job's review, with a line of its history."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import sqlalchemy as sa

from storage.database import conditions, moves
from storage.database.records import Job
from storage.database.tables import jobs, now
from storage.enums import Decision, Review, Status

REJECTED = "rejected by the owner"
TAKEN_BACK = "the owner took the word back"
BROUGHT_BACK = "restored by the owner"
_TRASH = "rejected"
"""The entry of a receipt with the name and the SHA-256 of the result that was rejected."""

c = jobs.c


def keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner keeps the result; return None if the job has changed."""
    return _change(
        engine, job, "kept by the owner", sa.and_(c.sha256 == job.sha256, moves.none_begun()),
        review=Review.KEPT, reviewed_at=now(),
    )  # fmt: skip


def undo_keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner has said nothing of the result; return None if the job has changed."""
    return _change(
        engine, job, TAKEN_BACK, c.review == Review.KEPT,
        review=None, reviewed_at=None,
    )  # fmt: skip


def reject(engine: sa.Engine, job: Job) -> Job | None:
    """Keep the original, because the owner rejected the result; return None if the job has changed."""
    receipt = (job.receipt or {}) | trash_receipt(job.output or Path(), job.sha256)
    return _change(
        engine, job, REJECTED, c.sha256 == job.sha256,
        decision=Decision.KEPT_ORIGINAL, reason=REJECTED, review=Review.REJECTED,
        reviewed_at=now(), receipt=receipt, **conditions.NO_OUTPUT,
    )  # fmt: skip


def trash_receipt(output: Path, sha256: str | None) -> dict[str, Any]:
    """Return the part of a receipt that leads to a rejected result in the trash."""
    return {_TRASH: {"output": quote_from_bytes(os.fsencode(output)), "sha256": sha256}}


def rejected(job: Job) -> tuple[Path, str] | None:
    """Return the name and the SHA-256 of the result that was rejected; None if there is none."""
    entry = (job.receipt or {}).get(_TRASH)
    if job.review not in (Review.REJECTED, Review.RESTORING) or not isinstance(entry, dict):
        return None
    return Path(os.fsdecode(unquote_to_bytes(entry["output"]))), str(entry["sha256"])


def restore(engine: sa.Engine, job: Job, output: Path, sha256: str) -> Job | None:
    """Record that a rejected result has its place again; return None if the job has changed."""
    receipt = {name: value for name, value in (job.receipt or {}).items() if name != _TRASH}
    return _change(
        engine, job, BROUGHT_BACK, c.review.in_([Review.REJECTED, Review.RESTORING]),
        decision=Decision.RESTORED, reason=None, review=None, reviewed_at=None,
        output=output, sha256=sha256, receipt=receipt,
        oversized="larger_than_the_rule" in receipt.get("copy", {}),
    )  # fmt: skip


def _change(
    engine: sa.Engine, job: Job, event: str, still: sa.ColumnElement[bool], **values: Any
) -> Job | None:
    here = [c.id == job.id, c.status == Status.DONE, still]
    with engine.begin() as connection:
        return next(iter(conditions.change(connection, here, event, **values)), None)
