"""Every change of a job's state, after `galleries.add` has recorded it.

The database is the queue. Redis only carries notifications, which may be lost, late or doubled.
Each change of status is one UPDATE that names the status it leaves. Each claim of a job has a
higher number than the one before, and the UPDATE that ends a claim names that number. So a worker
that was frozen while another one claimed its job changes no row.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage import database
from storage.database import claimable, conditions, followups, galleries, heartbeats, holds
from storage.database.records import Job
from storage.database.tables import history, now, pauses, workers
from storage.database.tables import jobs as table
from storage.enums import ASKED_FOR, LATER, Category, Decision, ErrorKind, Outcome, Status
from storage.errors import ClaimLost
from storage.settings import settings
from storage.text import printable

ADDED, RETRIED = "asked for", "retried"
"""Events of the owner's commands."""

c = table.c


def open_jobs() -> "Jobs":
    """Open the jobs table that the settings name, with their rules for retries.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not this code's.

    """
    known = settings()
    engine = database.open_checked(known.database)
    return Jobs(engine, pause_seconds=known.retry_pause_seconds, max_attempts=known.max_attempts)


class Jobs:
    """The changes of jobs and pauses; reading is in `search` and `status`."""

    def __init__(self, engine: sa.Engine, *, pause_seconds: float, max_attempts: int) -> None:
        self.engine = engine
        self._pause_seconds = pause_seconds
        self._max_attempts = max_attempts

    # For the commands of the owner.

    def ask(self, gallery: str, folder: Path, name: Path, fingerprint: str) -> Job:
        """Queue this version of a photo from the start, whatever its job's status was."""
        with self.engine.begin() as connection:
            galleries.record(connection, gallery, folder, {str(name): fingerprint}, rank=ASKED_FOR)
            here = [
                *conditions.within(gallery, folder),
                c.name == name,
                c.fingerprint == fingerprint,
            ]
            conditions.change(
                connection, [*here, c.status != Status.RUNNING], ADDED, **conditions.afresh()
            )
            return Job.of(connection.execute(select(table).where(*here)).one())

    def retry(
        self, job_ids: Collection[int], *, from_scratch: bool = False, rank: int = ASKED_FOR,
        forget_wish: bool = False,
    ) -> list[Job]:  # fmt: skip
        """Queue ended jobs again, and make jobs that wait after an error due now.

        A job that is only made due keeps its error kind, and its rank if that is more urgent. With
        `from_scratch`, both kinds of jobs are queued for classification. A gallery that is held may
        be tried at once.
        """
        afresh = conditions.afresh(keep_category=not from_scratch) | {"rank": rank}
        afresh |= {"wish": None} if forget_wish else {}
        first = sa.case((c.rank > rank, rank), else_=c.rank)
        waits = sa.and_(c.status == Status.QUEUED, c.error_kind.is_not(None))
        ended = c.status.not_in([Status.QUEUED, Status.RUNNING])
        steps: list[tuple[Any, dict[str, Any]]] = [
            (waits, afresh if from_scratch else {"due_at": now(), "rank": first}),
            (ended, afresh),
        ]
        with self.engine.begin() as connection:
            retried = [
                job
                for ids in conditions.chunks(list(job_ids))
                for which, values in steps
                for job in conditions.change(connection, [c.id.in_(ids), which], RETRIED, **values)
            ]
            holds.try_now(connection, {job.gallery for job in retried})
            return retried

    def cancel(self, job_ids: Collection[int]) -> list[Job]:
        """Cancel these jobs; a running one still names its worker, which then ends the process."""
        with self.engine.begin() as connection:
            return conditions.change(
                connection, [conditions.unfinished(), c.id.in_(list(job_ids))], "cancelled by the owner",
                status=Status.CANCELLED, error=galleries.CANCELLED_BY_OWNER, finished_at=now(),
            )  # fmt: skip

    def pause(self, scope: str, name: str = "", seconds: float | None = None) -> None:
        """Stop claims of jobs of `scope` (all, category or gallery), for `seconds` if given."""
        until = None if seconds is None else now() + seconds
        row = {"scope": scope, "name": name, "until": until, "since": now()}
        with self.engine.begin() as connection:
            connection.execute(conditions.pause_of(scope, name))
            connection.execute(sa.insert(pauses).values(row))

    def resume(self, scope: str, name: str = "") -> bool:
        """End a pause, all pauses if `scope` is all; return whether there was one."""
        step = delete(pauses) if scope == "all" else conditions.pause_of(scope, name)
        with self.engine.begin() as connection:
            connection.execute(delete(pauses).where(sa.not_(conditions.pause_lasts())))
            return bool(connection.execute(step).rowcount)

    # For the child process of a worker.

    def claim(
        self, worker: str, queues: Sequence[str], *, child: int, seconds: float,
        seconds_per_megapixel: float, prefer: str | None = None,
    ) -> Job | None:  # fmt: skip
        """Claim the most urgent due job of `queues`; return None if none is due.

        The deadline is `seconds` and `seconds_per_megapixel`. Jobs of the queue `prefer`, whose
        networks are loaded, come first. A process has one job at a time: a claim that it could not end,
        because the database was unreachable, is released first.
        """
        held = [c.worker == worker, c.child == child, c.status == Status.RUNNING]
        wishes = {
            "a_worker": worker, "a_child": child, "a_seconds": seconds,
            "a_seconds_per_megapixel": seconds_per_megapixel,
        }  # fmt: skip
        with self.engine.begin() as connection:
            conditions.change(
                connection, held, "released by its own worker", **conditions.waiting()
            )
            groups = claimable.due_groups(connection, queues)
            groups.sort(key=lambda group: (group.rank >= LATER, group.queue != prefer))
            rows = (claimable.claim(connection, group, **wishes) for group in groups)
            row = next(filter(None, rows), None)
            if row is None:
                return None
            job = Job.of(row)
            event = f"claimed by {worker[:8]}, process {child}"
            connection.execute(
                sa.insert(history).values(job_id=job.id, claim=job.claims, event=event)
            )
            return job

    def classify(
        self, claim: Job, category: Category, scores: Mapping[str, Any], **values: Any
    ) -> None:
        """End the claim, and queue the job for the chain of its category."""
        self._end(
            claim, f"classified as {category}", status=Status.QUEUED, category=category,
            queue=category.value, scores=dict(scores), due_at=now(), error=None, error_kind=None,
            **values,
        )  # fmt: skip

    def record(self, claim: Job, output: Path, sha256: str, receipt: Mapping[str, Any]) -> None:
        """Record the result before it is published; the claim goes on."""
        self._fenced(
            claim, f"about to publish {sha256[:12]}", output=output, sha256=sha256,
            receipt=dict(receipt), oversized="larger_than_the_rule" in receipt.get("copy", {}),
        )  # fmt: skip

    def take_back(self, claim: Job) -> None:
        """Record that the recorded result could not be published; the claim goes on."""
        self._fenced(claim, "not published", **conditions.NO_OUTPUT)

    def report(self, claim: Job, done: int, tiles: int, tile_seconds: float) -> None:
        """Record the progress of a claim, unless it has ended; the deadline counts from here."""
        here = [*conditions.same_claim(claim), c.status == Status.RUNNING]
        step = update(table).where(*here).values(
            tiles_done=done, tiles=tiles, tile_seconds=tile_seconds, progress_at=now()
        )  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(step)

    def finish(
        self, claim: Job, decision: Decision, reason: str | None = None, **values: Any
    ) -> None:
        """End the claim with a decision; an output is published already."""
        self._end(
            claim, f"{decision}: {reason}" if reason else str(decision), status=Status.DONE,
            decision=decision, reason=reason, error=None, error_kind=None, **values,
        )  # fmt: skip

    def forget_output(self, job: Job) -> None:
        """Record that a job's output was removed, or now belongs to another job."""
        with self.engine.begin() as connection:
            here = [c.id == job.id, c.sha256 == job.sha256, c.status != Status.RUNNING]
            event = "its output was removed"
            for after in conditions.change(connection, here, event, **conditions.NO_OUTPUT):
                followups.changed(connection, job, after)

    # For the child process of a worker and for its parent: what ends a claim early.

    def end_with_error(
        self, claim: Job, kind: ErrorKind, error: str, *, pause_seconds: float | None = None
    ) -> None:
        """End the claim without a result: the job fails, counts an attempt or waits.

        `kind` decides which; `pause_seconds` replaces the pause of a job that waits.
        """
        match kind.outcome:
            case Outcome.FAIL:
                failed = {"status": Status.FAILED, "error_kind": kind, "error": error}
                self._end(claim, f"failed: {error}", **failed)
            case Outcome.ATTEMPT:
                self._end(claim, f"attempt failed: {error}", **self._attempt(kind, error))
            case Outcome.WAIT:
                self._wait(claim, kind, error, pause_seconds)
            case _:
                assert_never(kind.outcome)

    def _wait(self, claim: Job, kind: ErrorKind, error: str, pause_seconds: float | None) -> None:
        """End the claim; the job waits, longer each time.

        If it waited for the same reason before, the history keeps one line of both.
        """
        longest = max(self._pause_seconds, holds.MAX_PAUSE_SECONDS)
        pause = min(self._pause_seconds * claim.claims, longest)
        wait = conditions.waiting(kind, error, pause if pause_seconds is None else pause_seconds)
        again = (claim.error_kind, claim.error) == (kind, printable(error))
        self._end(claim, None if again else f"waits: {error}", **wait)
        with self.engine.begin() as connection:
            conditions.shorten_history(connection, claim, without_claim=again)

    def drop(self, claim: Job, reason: str) -> None:
        """End the claim and cancel the job: its photo is gone."""
        self._end(claim, f"cancelled: {reason}", status=Status.CANCELLED, error=reason)

    # For the parent process of a worker.

    def release_cancelled(self, claim: Job) -> bool:
        """Remove the worker's name from a cancelled job; return False if it was removed before."""
        here = [*conditions.same_claim(claim), c.status == Status.CANCELLED]
        with self.engine.begin() as connection:
            return bool(conditions.change(connection, here, None, worker=None, child=None))

    # For maintenance.

    def release_lost(self, seconds: float) -> list[Job]:
        """Queue the jobs of workers whose last heartbeat is older than `seconds`.

        It counts as an attempt, because the photo may have crashed the worker's machine.
        """
        error = "its worker was lost"
        with self.engine.begin() as connection:
            connection.execute(delete(workers).where(heartbeats.silent(workers, seconds)))
            lost = sa.and_(c.worker.is_not(None), c.worker.not_in(select(workers.c.id)))
            ended, ran = map(conditions.has_status, (Status.CANCELLED, Status.RUNNING))
            conditions.change(connection, [lost, ended], None, worker=None)
            return conditions.change(
                connection, [lost, ran], f"attempt failed: {error}",
                **self._attempt(ErrorKind.WORKER_LOST, error),
                worker=None, child=None, seconds=conditions.spent(),
            )  # fmt: skip

    def _attempt(self, kind: ErrorKind, error: str) -> dict[str, Any]:
        most, pause = self._max_attempts, self._pause_seconds
        return conditions.attempt(kind, error, most=most, pause_seconds=pause)

    def _end(self, claim: Job, event: str | None, **values: Any) -> None:
        if isinstance(values["status"], Status) and values["status"] is not Status.QUEUED:
            values["finished_at"] = now()
        values |= {"worker": None, "child": None, "seconds": conditions.spent()}
        self._fenced(claim, event, **values)

    def _fenced(self, claim: Job, event: str | None, **values: Any) -> None:
        """Change the job while the claim lasts.

        Raises:
            ClaimLost: the claim has ended.

        """
        here = [*conditions.same_claim(claim), c.status == Status.RUNNING]
        with self.engine.begin() as connection:
            changed = conditions.change(connection, here, event, **values)
            if not changed:
                raise ClaimLost(f"job {claim.id}: claim {claim.claims} had ended")
            followups.changed(connection, claim, changed[0])
