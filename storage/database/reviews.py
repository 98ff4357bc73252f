"""What the owner said of results: each change of a job's review, with a line of its history."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import sqlalchemy as sa

from storage.database import conditions, followups
from storage.database.records import Job
from storage.database.tables import jobs, now
from storage.enums import Decision, Review, Status

REJECTED = "rejected by the owner"
_TRASH = "rejected"
"""The entry of a receipt with the name and the SHA-256 of the result that was rejected."""

c = jobs.c


def keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner keeps the result; return None if the job has changed."""
    return _change(
        engine, job, "kept by the owner", c.sha256 == job.sha256,
        review=Review.KEPT, reviewed_at=now(),
    )  # fmt: skip


def undo_keep(engine: sa.Engine, job: Job) -> Job | None:
    """Record that the owner has said nothing of the result; return None if the job has changed."""
    return _change(
        engine, job, "the owner took the word back", c.review == Review.KEPT,
        review=None, reviewed_at=None,
    )  # fmt: skip


def reject(engine: sa.Engine, job: Job) -> Job | None:
    """Keep the original, because the owner rejected the result; return None if the job has changed."""
    name = quote_from_bytes(os.fsencode(job.output or ""))
    receipt = (job.receipt or {}) | {_TRASH: {"output": name, "sha256": job.sha256}}
    return _change(
        engine, job, REJECTED, c.sha256 == job.sha256,
        decision=Decision.KEPT_ORIGINAL, reason=REJECTED, review=Review.REJECTED,
        reviewed_at=now(), receipt=receipt, **conditions.NO_OUTPUT,
    )  # fmt: skip


def rejected(job: Job) -> tuple[Path, str] | None:
    """Return the name and the SHA-256 of the result that was rejected; None if there is none."""
    entry = (job.receipt or {}).get(_TRASH)
    if job.review is not Review.REJECTED or not isinstance(entry, dict):
        return None
    return Path(os.fsdecode(unquote_to_bytes(entry["output"]))), str(entry["sha256"])


def restore(engine: sa.Engine, job: Job, output: Path, sha256: str) -> Job | None:
    """Record that a rejected result has its place again; return None if the job has changed."""
    receipt = {name: value for name, value in (job.receipt or {}).items() if name != _TRASH}
    return _change(
        engine, job, "restored by the owner", c.review == Review.REJECTED,
        decision=Decision.RESTORED, reason=None, review=None, reviewed_at=None,
        output=output, sha256=sha256, receipt=receipt,
        oversized="larger_than_the_rule" in receipt.get("copy", {}),
    )  # fmt: skip


def _change(
    engine: sa.Engine, job: Job, event: str, still: sa.ColumnElement[bool], **values: Any
) -> Job | None:
    here = [c.id == job.id, c.status == Status.DONE, still]
    with engine.begin() as connection:
        for changed in conditions.change(connection, here, event, **values):
            followups.changed(connection, job, changed)
            return changed
    return None
