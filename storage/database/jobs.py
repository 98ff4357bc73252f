"""The jobs table: one row for each version of a photo, and every step it may take.

The database is the queue and Redis only its doorbell, so a bell may be lost, late or doubled.
Each change of status is one UPDATE that names the status it leaves. A claim has a number that
only grows, and whoever ends a claim names it: a worker that was frozen while its job went to
another one changes no row.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, assert_never

import sqlalchemy as sa
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage import database
from storage.database import conditions
from storage.database.tables import Gallery, Job, galleries, history, now, outputs, pauses, workers
from storage.database.tables import jobs as table
from storage.enums import ASKED_FOR, NEW_PHOTO, Category, Decision, ErrorKind, Outcome, Status
from storage.errors import ClaimLost

REJECTED = "rejected by the owner"
BACKLOG_REASON = "it was here before photomend; `photomend add` mends it"

c = table.c


class Jobs:
    """The jobs table as the rest of the application sees it."""

    def __init__(
        self, engine: sa.Engine, *, pause_seconds: float = 30.0, max_attempts: int = 3
    ) -> None:
        self.engine = engine
        self._pause_seconds = pause_seconds
        self._max_attempts = max_attempts
        self._reader = engine.execution_options(reads=True)
        dialects: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
        self._insert = dialects[engine.dialect.name].insert  # their ON CONFLICT is not in common

    @classmethod
    def at(cls, url: str, *, pause_seconds: float = 30.0, max_attempts: int = 3) -> Self:
        """Open the table at `url`."""
        engine = database.open_engine(url)
        return cls(engine, pause_seconds=pause_seconds, max_attempts=max_attempts)

    # What the watcher does.

    def known(self, gallery: str, folder: Path) -> dict[str, tuple[str, ...]]:
        """Return the fingerprints known of each file in `folder` that is not gone.

        A walk asks this of every folder, so that names come as the driver gives them.
        """
        query = select(sa.type_coerce(c.name, sa.types.NullType()), c.fingerprint)
        found: dict[str, tuple[str, ...]] = {}
        with self._read() as connection:
            rows = connection.execute(
                query.where(*conditions.within(gallery, folder), conditions.here)
            ).all()
        for name, fingerprint in rows:
            path = os.fsdecode(name)
            found[path] = (*found[path], fingerprint) if path in found else (fingerprint,)
        return found

    def add(
        self, gallery: str, folder: Path, photos: Mapping[str, str], *, rank: int = NEW_PHOTO
    ) -> list[int]:
        """Record photos of one folder, name and fingerprint, and return the new jobs' ids.

        An older version that is still on its way is cancelled, or it might be published last.
        """
        with self._change() as connection:
            added = self._record(connection, gallery, folder, photos, rank=rank)
            if added:
                newer = table.alias()
                older = select(newer.c.id).where(
                    newer.c.gallery == gallery, newer.c.folder == folder,
                    newer.c.name == c.name, newer.c.id >= min(added),
                )  # fmt: skip
                self._apply(
                    connection,
                    [*conditions.within(gallery, folder), c.id < min(added), conditions.unfinished(), older.exists()],
                    "cancelled: a newer version of the photo came",
                    status=Status.CANCELLED, error="a newer version of the photo came",
                )  # fmt: skip
        return added

    def note_backlog(self, gallery: str, folder: Path, photos: Mapping[str, str]) -> None:
        """Record photos from before our time: known, and left alone."""
        with self._change() as connection:
            self._record(
                connection, gallery, folder, photos,
                status=Status.DONE, decision=Decision.LEFT_ALONE, reason=BACKLOG_REASON,
            )  # fmt: skip

    def gone(self, gallery: str, folder: Path, names: Collection[str] | None = None) -> int:
        """Note that these sources, or all of the folder, vanished; nothing else is changed."""
        step = (
            update(table)
            .where(*conditions.within(gallery, folder), conditions.here)
            .values(gone_at=now())
        )
        with self._change() as connection:
            if names is None:
                return connection.execute(step).rowcount
            chunks = conditions.chunks(list(map(Path, names)))
            return sum(connection.execute(step.where(c.name.in_(n))).rowcount for n in chunks)

    def folders(self, gallery: str) -> set[str]:
        """Return the folders that hold photos which are not gone."""
        query = select(sa.type_coerce(c.folder, sa.LargeBinary)).distinct()
        with self._read() as connection:
            rows = connection.scalars(query.where(c.gallery == gallery, conditions.here))
            return {os.fsdecode(folder) for folder in rows}

    def gallery(self, name: str) -> Gallery | None:
        """Return what the watcher last found of a gallery; None before its first look."""
        with self._read() as connection:
            row = connection.execute(select(galleries).where(galleries.c.name == name)).first()
            return None if row is None else Gallery.of(row)

    def galleries(self) -> list[Gallery]:
        """Return all galleries that a watcher has looked at."""
        with self._read() as connection:
            return [Gallery.of(row) for row in connection.execute(select(galleries))]

    def note_gallery(self, name: str, **columns: Any) -> None:
        """Note what the watcher found of a gallery; the first note must name all that is needed."""
        step = update(galleries).where(galleries.c.name == name).values(columns)
        with self._change() as connection:
            if not connection.execute(step).rowcount:
                connection.execute(sa.insert(galleries).values(name=name, **columns))

    def sample(self, gallery: str, count: int) -> list[Path]:
        """Return at most `count` sources that are not gone, spread over the whole gallery."""
        with self._read() as connection:
            ids = select(c.id).where(c.gallery == gallery, conditions.here).limit(1)
            first = connection.scalar(ids.order_by(c.id))
            last = connection.scalar(ids.order_by(c.id.desc()))
            if first is None or last is None:
                return []
            found = set()
            for number in range(count):
                at = first + (last - first) * number // max(count - 1, 1)
                near = select(c.folder, c.name).where(
                    c.gallery == gallery, conditions.here, c.id >= at
                )
                if row := connection.execute(near.order_by(c.id).limit(1)).first():
                    found.add(row.folder / row.name)
            return sorted(found)

    # What the owner does.

    def ask(self, gallery: str, folder: Path, name: Path, fingerprint: str) -> Job:
        """Queue this version of a photo from the start, whatever became of it before."""
        with self._change() as connection:
            self._record(connection, gallery, folder, {str(name): fingerprint}, rank=ASKED_FOR)
            here = [
                *conditions.within(gallery, folder),
                c.name == name,
                c.fingerprint == fingerprint,
            ]
            self._apply(
                connection, [*here, c.status != Status.RUNNING], "asked for", **conditions.afresh()
            )
            return Job.of(connection.execute(select(table).where(*here)).one())

    def retry(self, job_ids: Collection[int], *, from_scratch: bool = False) -> list[Job]:
        """Queue again what has ended, and make due now what waits after an error.

        What is only made due keeps its error kind. With `from_scratch`, both are queued again, to
        be classified first.
        """
        waits = sa.and_(c.status == Status.QUEUED, c.error_kind.is_not(None))
        ended = c.status.not_in([Status.QUEUED, Status.RUNNING])
        steps: list[tuple[Any, dict[str, Any]]] = [
            (waits, conditions.afresh() if from_scratch else {"due_at": now()}),
            (ended, conditions.afresh(keep_category=not from_scratch)),
        ]
        with self._change() as connection:
            return [
                job
                for ids in conditions.chunks(list(job_ids))
                for which, values in steps
                for job in self._apply(connection, [c.id.in_(ids), which], "retried", **values)
            ]

    def cancel(self, job_ids: Collection[int]) -> list[Job]:
        """Take these jobs back; a running one still names its worker, which ends the process."""
        with self._change() as connection:
            return self._apply(
                connection, [conditions.unfinished(), c.id.in_(list(job_ids))], "cancelled by the owner",
                status=Status.CANCELLED, error="taken back by the owner", finished_at=now(),
            )  # fmt: skip

    def reject(self, job: Job) -> bool:
        """Note that the owner does not want this result, nor one of the same photo again."""
        here = [c.id == job.id, c.status == Status.DONE, c.sha256 == job.sha256]
        with self._change() as connection:
            return bool(
                self._apply(
                    connection, here, "rejected by the owner",
                    decision=Decision.KEPT_ORIGINAL, reason=REJECTED, output=None, sha256=None,
                )
            )  # fmt: skip

    def pause(self, scope: str, name: str = "", seconds: float | None = None) -> None:
        """Let no job of `scope` (all, category or gallery) be claimed, for `seconds` if given."""
        until = None if seconds is None else now() + seconds
        row = {"scope": scope, "name": name, "until": until, "since": now()}
        with self._change() as connection:
            connection.execute(conditions.pause_of(scope, name))
            connection.execute(sa.insert(pauses).values(row))

    def resume(self, scope: str, name: str = "") -> bool:
        """End a pause, all pauses if `scope` is all; return whether there was one."""
        step = delete(pauses) if scope == "all" else conditions.pause_of(scope, name)
        with self._change() as connection:
            return bool(connection.execute(step).rowcount)

    # What the child of a worker does.

    def claim(
        self, worker: str, queues: Sequence[str], *, child: int, seconds: float = 300.0,
        seconds_per_megapixel: float = 60.0, prefer: str | None = None,
    ) -> Job | None:  # fmt: skip
        """Take the most urgent due job of `queues`; None if none is due.

        It may take `seconds` and `seconds_per_megapixel`. Jobs of the queue `prefer`, whose chain
        is loaded, come first. What the same process could not end before, because the database
        was away, waits again: it has one job at a time.
        """
        held = [c.worker == worker, c.child == child, c.status == Status.RUNNING]
        wishes = {
            "a_worker": worker, "a_child": child, "a_seconds": seconds,
            "a_seconds_per_megapixel": seconds_per_megapixel, "a_preferred": prefer or "",
        }  # fmt: skip
        with self._change() as connection:
            self._apply(connection, held, "let go by its own worker", **conditions.waiting())
            row = connection.execute(conditions.claiming(tuple(queues)), wishes).first()
            if row is None:
                return None
            job = Job.of(row)
            event = f"claimed by {worker[:8]}, process {child}"
            connection.execute(
                sa.insert(history).values(job_id=job.id, claim=job.claims, event=event)
            )
            return job

    def get(self, job_id: int) -> Job | None:
        """Return the job as it is now."""
        with self._read() as connection:
            row = connection.execute(select(table).where(c.id == job_id)).first()
            return None if row is None else Job.of(row)

    def twins(self, claim: Job, content_hash: str) -> list[Job]:
        """Return the finished jobs of the same coded image in its gallery, newest first."""
        query = select(table).where(
            c.content_hash == content_hash, c.gallery == claim.gallery, c.id != claim.id,
            c.status == Status.DONE, c.decision != Decision.LEFT_ALONE,
        )  # fmt: skip
        with self._read() as connection:
            return [Job.of(row) for row in connection.execute(query.order_by(c.id.desc()))]

    def older(self, claim: Job) -> list[Job]:
        """Return the earlier versions of this photo that still have an output."""
        query = select(table).where(
            *conditions.within(claim.gallery, claim.folder), c.name == claim.name, c.id < claim.id,
            c.sha256.is_not(None),
        )  # fmt: skip
        with self._read() as connection:
            return [Job.of(row) for row in connection.execute(query.order_by(c.id.desc()))]

    def classify(
        self, claim: Job, category: Category, scores: Mapping[str, Any], **values: Any
    ) -> None:
        """End the claim: the job waits for the chain of its category."""
        self._end(
            claim, f"classified as {category}", status=Status.QUEUED, category=category,
            queue=category.value, scores=dict(scores), due_at=now(), error=None, error_kind=None,
            **values,
        )  # fmt: skip

    def reserve(self, claim: Job, output: Path) -> bool:
        """Reserve a name in the output tree for this photo; False if another photo has it."""
        key = conditions.output_key(output)
        row = {"gallery": claim.gallery, "key": key, "folder": claim.folder, "name": claim.name}
        here = (outputs.c.gallery == claim.gallery, outputs.c.key == key)
        owner = select(outputs.c.folder, outputs.c.name).where(*here)
        with self._change() as connection:
            connection.execute(self._insert(outputs).values(row).on_conflict_do_nothing())
            return tuple(connection.execute(owner).one()) == (claim.folder, claim.name)

    def has_outputs(self, gallery: str) -> bool:
        """Return whether a result of this gallery was ever published."""
        mine = select(c.id).where(c.gallery == gallery, c.sha256.is_not(None))
        with self._read() as connection:
            return bool(connection.scalar(select(mine.exists())))

    def record(self, claim: Job, output: Path, sha256: str, receipt: Mapping[str, Any]) -> None:
        """Say, while the claim lasts, what is about to be published: the first stroke."""
        self._fenced(
            claim, f"about to publish {sha256[:12]}", output=output, sha256=sha256,
            receipt=dict(receipt),
        )  # fmt: skip

    def finish(
        self, claim: Job, decision: Decision, reason: str | None = None, **values: Any
    ) -> None:
        """End the claim: the output, if there is one, is in its place."""
        self._end(
            claim, f"{decision}: {reason}" if reason else str(decision), status=Status.DONE,
            decision=decision, reason=reason, error=None, error_kind=None, **values,
        )  # fmt: skip

    def forget_output(self, job: Job) -> None:
        """Note that the output of a finished job was removed, or went to another job."""
        with self._change() as connection:
            here = [c.id == job.id, c.sha256 == job.sha256, c.status != Status.RUNNING]
            self._apply(connection, here, "its output was removed", output=None, sha256=None)

    # What may end a claim early, from the child or from its parent.

    def end_with_error(
        self, claim: Job, kind: ErrorKind, error: str, *, pause_seconds: float | None = None
    ) -> None:
        """End the claim without a result: the job fails, counts an attempt or waits.

        `kind` decides which; `pause_seconds` replaces the set pause of a job that waits.
        """
        pause = self._pause_seconds if pause_seconds is None else pause_seconds
        match kind.outcome:
            case Outcome.FAIL:
                failed = {"status": Status.FAILED, "error_kind": kind, "error": error}
                self._end(claim, f"failed: {error}", **failed)
            case Outcome.ATTEMPT:
                self._end(claim, f"attempt failed: {error}", **self._attempt(kind, error))
            case Outcome.WAIT:
                self._end(claim, f"waits: {error}", **conditions.waiting(kind, error, pause))
            case _:
                assert_never(kind.outcome)

    def drop(self, claim: Job, reason: str) -> None:
        """End the claim: there is nothing left to work on."""
        self._end(claim, f"cancelled: {reason}", status=Status.CANCELLED, error=reason)

    # What the parent of a worker does.

    def beat(
        self, worker: str, host: str, process: int, queues: Sequence[str], device: str
    ) -> None:
        """Say that the worker lives."""
        row = {
            "id": worker, "host": host, "process": process,
            "queues": ",".join(queues), "device": device, "beat_at": now(),
        }  # fmt: skip
        step = update(workers).where(workers.c.id == worker).values(beat_at=now())
        with self._change() as connection:
            if not connection.execute(step).rowcount:
                connection.execute(sa.insert(workers).values(row))

    def leave(self, worker: str) -> None:
        """Say that the worker ends; it must hold nothing."""
        with self._change() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker))

    def held(self, worker: str) -> list[Job]:
        """Return the jobs that name the worker: running, or cancelled but not let go."""
        with self._read() as connection:
            rows = connection.execute(select(table).where(c.worker == worker))
            return [Job.of(row) for row in rows]

    def let_go(self, claim: Job) -> bool:
        """Take the worker's name off a cancelled job; False if somebody else did."""
        here = [*conditions.same_claim(claim), c.status == Status.CANCELLED]
        with self._change() as connection:
            return bool(self._apply(connection, here, None, worker=None, child=None))

    # What the keeper does.

    def release_lost(self, seconds: float) -> list[Job]:
        """Queue again what workers hold that have not beaten for `seconds`.

        It counts as an attempt: a photo that takes down its machine looks just like this.
        """
        error = "its worker was lost"
        with self._change() as connection:
            connection.execute(delete(workers).where(workers.c.beat_at < now() - seconds))
            lost = sa.and_(c.worker.is_not(None), c.worker.not_in(select(workers.c.id)))
            self._apply(connection, [lost, c.status == Status.CANCELLED], None, worker=None)
            return self._apply(
                connection, [lost, c.status == Status.RUNNING], f"attempt failed: {error}",
                **self._attempt(ErrorKind.WORKER_LOST, error),
                worker=None, child=None, seconds=conditions.spent(),
            )  # fmt: skip

    def due(self, queue: str, limit: int) -> list[int]:
        """Return the ids of at most `limit` jobs for which `queue` should ring."""
        with self._read() as connection:
            return list(
                connection.scalars(conditions.due(queue).order_by(c.rank, c.id).limit(limit))
            )

    def claimed(self) -> set[tuple[int, int]]:
        """Return job id and number of all claims that last."""
        with self._read() as connection:
            rows = connection.execute(select(c.id, c.claims).where(c.status == Status.RUNNING))
            return {(job_id, number) for job_id, number in rows}

    def _record(
        self, connection: sa.Connection, gallery: str, folder: Path, photos: Mapping[str, str],
        *, rank: int = NEW_PHOTO, status: Status = Status.QUEUED,
        decision: Decision | None = None, reason: str | None = None,
    ) -> list[int]:  # fmt: skip
        """Insert what is new and say that what was gone is back; return the new ids."""
        if not photos:
            return []
        here = conditions.within(gallery, folder)
        gone = select(c.id).where(*here, c.gone_at.is_not(None))
        if connection.scalar(select(gone.exists())):
            for names in conditions.chunks(list(map(Path, photos))):
                back = update(table).where(*here, c.gone_at.is_not(None), c.name.in_(names))
                connection.execute(back.values(gone_at=None))
        row = {
            "gallery": gallery, "folder": os.fsencode(folder), "status": str(status),
            "decision": None if decision is None else str(decision), "reason": reason,
            "rank": rank,
        }  # fmt: skip
        rows = [row | {"name": os.fsencode(n), "fingerprint": f} for n, f in photos.items()]
        last = connection.scalar(select(sa.func.max(c.id))) or 0
        connection.exec_driver_sql(conditions.recording(connection.dialect.name), rows)
        return list(connection.scalars(select(c.id).where(*here, c.id > last).order_by(c.id)))

    def _attempt(self, kind: ErrorKind, error: str) -> dict[str, Any]:
        """Return the change of a counted attempt: a growing pause, or the end."""
        last = c.attempts + 1 >= self._max_attempts
        return {
            "status": sa.case(
                (last, conditions.literal(Status.FAILED)), else_=conditions.literal(Status.QUEUED)
            ),
            "due_at": now() + self._pause_seconds * (c.attempts + 1),
            "finished_at": sa.case((last, now()), else_=None),
            "attempts": c.attempts + 1,
            "error_kind": kind,
            "error": error,
        }

    def _end(self, claim: Job, event: str, **values: Any) -> None:
        if isinstance(values["status"], Status) and values["status"] is not Status.QUEUED:
            values["finished_at"] = now()
        values |= {"worker": None, "child": None, "seconds": conditions.spent()}
        self._fenced(claim, event, **values)

    def _fenced(self, claim: Job, event: str, **values: Any) -> None:
        """Change the row, if the claim still lasts."""
        here = [*conditions.same_claim(claim), c.status == Status.RUNNING]
        with self._change() as connection:
            if not self._apply(connection, here, event, **values):
                raise ClaimLost(f"job {claim.id}: claim {claim.claims} had ended")

    def _apply(
        self, connection: sa.Connection, where: Sequence[Any], event: str | None, **values: Any
    ) -> list[Job]:
        """Change the rows, add a line to the history of each and return them as they are now."""
        step = update(table).where(*where).values(values).returning(table)
        changed = [Job.of(row) for row in connection.execute(step)]
        if changed and event is not None:
            lines = [{"job_id": j.id, "claim": j.claims, "event": event} for j in changed]
            connection.execute(sa.insert(history), lines)
        return changed

    @contextmanager
    def _change(self) -> Iterator[sa.Connection]:
        with self.engine.begin() as connection:
            yield connection

    def _read(self) -> sa.Connection:
        return self._reader.connect()
