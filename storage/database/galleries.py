"""What the watcher reads and writes: the photos of a gallery, and whether it is online.

These are functions and not methods of `Jobs`, because a gallery's process claims no job: it inserts
the first row of each version of a photo, cancels older versions that are unfinished, queues photos
whose content came later, and needs no rules for retries.
"""

import os
import socket
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage import fingerprints
from storage.database import asked_folders, conditions, counts, followups
from storage.database.engine import reading
from storage.database.records import Gallery, Job
from storage.database.tables import PathBytes, galleries, history, now, outputs, pauses
from storage.database.tables import jobs as table
from storage.enums import CLASSIFY, NEW_PHOTO, Decision, Status

BACKLOG_REASON = "it was here before photomend; `photomend add` mends it"
IGNORED = "it is ignored: "
"""Begins the reason of a photo that the rules ignore since it was recorded."""
MOST_VANISHED = 50
"""Maximum number of vanished photos with which one photo is compared."""
PHOTOS_PER_STATEMENT = 250
CANCELLED_BY_OWNER = "taken back by the owner"
LEFT = "it is not in the settings any more"
"""The reason of a gallery that no watcher of its machine watches."""

c = table.c


def get(engine: sa.Engine, name: str) -> Gallery | None:
    """Return the row of a gallery; None before it was first online or offline."""
    with reading(engine) as connection:
        row = connection.execute(select(galleries).where(galleries.c.name == name)).first()
        return None if row is None else Gallery.of(row)


def note(engine: sa.Engine, name: str, **columns: Any) -> None:
    """Write the state of a gallery; the first call must name all columns that may not be null."""
    step = update(galleries).where(galleries.c.name == name).values(columns)
    with engine.begin() as connection:
        if not connection.execute(step).rowcount:
            connection.execute(sa.insert(galleries).values(name=name, **columns))


def is_here(engine: sa.Engine, gallery: Gallery) -> bool:
    """Return whether this machine watches a gallery: always in SQLite, whatever its name is now."""
    return engine.dialect.name == "sqlite" or gallery.host == socket.gethostname()


def leave(engine: sa.Engine, watched: Collection[str]) -> list[str]:
    """Record that this machine watches these galleries only, and return which have left.

    No job of the others is claimed.
    """
    left = [
        galleries.c.name.not_in(list(watched)),
        sa.func.coalesce(galleries.c.reason, "") != LEFT,
    ]
    if engine.dialect.name != "sqlite":
        left.append(galleries.c.host == socket.gethostname())
    step = update(galleries).where(*left).values(online=False, reason=LEFT)
    with engine.begin() as connection:
        return list(connection.scalars(step.returning(galleries.c.name)))


def forget(engine: sa.Engine, gallery: str) -> int | None:
    """Remove all rows of a gallery, and return how many jobs it had; None if it is not known."""
    mine = select(c.id).where(c.gallery == gallery)
    pause = (pauses.c.scope == "gallery", pauses.c.name == gallery)
    with engine.begin() as connection:
        connection.execute(delete(history).where(history.c.job_id.in_(mine)))
        count = connection.execute(delete(table).where(c.gallery == gallery)).rowcount
        connection.execute(delete(outputs).where(outputs.c.gallery == gallery))
        connection.execute(delete(pauses).where(*pause))
        followups.forget(connection, gallery)
        asked_folders.forget(connection, gallery)
        row = connection.execute(delete(galleries).where(galleries.c.name == gallery)).rowcount
    return count if count or row else None


def known(engine: sa.Engine, gallery: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the recorded fingerprints of each file in `folder` that is not gone.

    A scan calls this for every folder, so names skip the conversion of `PathBytes`, and indexes hold
    all that is read.
    """
    there = conditions.within(gallery, folder)
    gone = select(c.id).where(*there, c.gone_at.is_not(None))
    query = select(sa.type_coerce(c.name, sa.types.NullType()), c.fingerprint)
    decoding = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # as os.fsdecode does
    found: dict[str, tuple[str, ...]] = {}
    with reading(engine) as connection:
        rows = connection.execute(query.where(*there, c.id.not_in(gone))).all()
    for name, fingerprint in rows:
        path = str(name, *decoding)
        found[path] = (*found[path], fingerprint) if path in found else (fingerprint,)
    return found


def folders(engine: sa.Engine, gallery: str) -> set[str]:
    """Return the folders that hold photos which are not gone."""
    query = select(sa.type_coerce(c.folder, sa.LargeBinary)).distinct()
    with reading(engine) as connection:
        rows = connection.scalars(query.where(c.gallery == gallery, conditions.here))
        return {os.fsdecode(folder) for folder in rows}


def sample(engine: sa.Engine, gallery: str, count: int) -> list[Path]:
    """Return at most `count` sources that are not gone, spread over the whole gallery."""
    with reading(engine) as connection:
        ids = select(c.id).where(c.gallery == gallery, conditions.here).limit(1)
        first = connection.scalar(ids.order_by(c.id))
        last = connection.scalar(ids.order_by(c.id.desc()))
        if first is None or last is None:
            return []
        found = set()
        for number in range(count):
            at = first + (last - first) * number // max(count - 1, 1)
            near = select(c.folder, c.name).where(c.gallery == gallery, conditions.here, c.id >= at)
            if row := connection.execute(near.order_by(c.id).limit(1)).first():
                found.add(row.folder / row.name)
        return sorted(found)


def versions(
    engine: sa.Engine, gallery: str, folder: Path, names: Iterable[str]
) -> dict[str, list[Job]]:
    """Return the jobs of these photos by name, newest first, those of vanished photos included."""
    query = select(table).where(*conditions.within(gallery, folder)).order_by(c.id.desc())
    found: dict[str, list[Job]] = {}
    with reading(engine) as connection:
        if connection.scalar(query.with_only_columns(c.id).order_by(None).limit(1)) is None:
            return {}
        for some in conditions.chunks(list(map(Path, names))):
            for row in connection.execute(query.where(c.name.in_(some))):
                found.setdefault(os.fsdecode(row.name), []).append(Job.of(row))
    return found


def vanished(engine: sa.Engine, photos: Mapping[str, str]) -> dict[str, list[Job]]:
    """Return by name which vanished photos of all galleries these may be, name and fingerprint.

    They have the same size and mtime or, if there are none, the same size. Those of the same name
    come first, then the newest; at most MOST_VANISHED are returned for each.
    """
    binary = c.fingerprint.collate({"sqlite": "BINARY", "postgresql": "C"}[engine.dialect.name])
    gone = select(table).where(c.gone_at.is_not(None))
    first = sa.case((c.name == sa.bindparam("a_name", type_=PathBytes), 0), else_=1)
    alike = gone.where(
        binary >= sa.bindparam("low", type_=sa.String),
        binary < sa.bindparam("high", type_=sa.String),
    ).order_by(first, c.id.desc()).limit(MOST_VANISHED)  # fmt: skip
    found: dict[str, list[Job]] = {}
    with reading(engine) as connection:
        if connection.scalar(gone.with_only_columns(c.id).limit(1)) is None:
            return {}
        for name, fingerprint in photos.items():
            for start in (fingerprint.rpartition("-")[0], fingerprints.size(fingerprint)):
                limits = {"low": f"{start}-", "high": f"{start}."}  # the dot is after the hyphen
                rows = connection.execute(alike, limits | {"a_name": Path(name)}).all()
                if rows:
                    found[name] = list(map(Job.of, rows))
                    break
    return found


def adopt(
    engine: sa.Engine, gallery: str, folder: Path, photos: Iterable[tuple[Job, str, str]]
) -> None:
    """Record that known photos are in this folder now: the job, name and fingerprint of each."""
    rows = [
        {"a_job": job.id, "a_name": Path(name), "a_fingerprint": fingerprint}
        for job, name, fingerprint in photos
    ]
    there = table.alias()
    to = {
        "name": sa.bindparam("a_name", type_=PathBytes),
        "fingerprint": sa.bindparam("a_fingerprint", type_=sa.String),
    }
    taken = select(there.c.id).where(
        there.c.gallery == gallery, there.c.folder == folder, there.c.name == to["name"],
        there.c.fingerprint == to["fingerprint"], there.c.id != c.id,
    )  # fmt: skip
    step = update(table).where(c.id == sa.bindparam("a_job"), ~taken.exists())
    if rows:
        with engine.begin() as connection:
            connection.execute(
                step.values(gallery=gallery, folder=folder, gone_at=None, **to), rows
            )


def add(
    engine: sa.Engine, gallery: str, folder: Path, photos: Mapping[str, str],
    *, rank: int = NEW_PHOTO,
) -> list[int]:  # fmt: skip
    """Record photos of one folder, name and fingerprint, and return the new jobs' ids.

    An unfinished job of an older version is cancelled: its result might be published last.
    """
    with engine.begin() as connection:
        added = record(connection, gallery, folder, photos, rank=rank)
        if added:
            newer = table.alias()
            older = select(newer.c.id).where(
                newer.c.gallery == gallery, newer.c.folder == folder,
                newer.c.name == c.name, newer.c.id >= min(added),
            )  # fmt: skip
            conditions.change(
                connection,
                [
                    *conditions.within(gallery, folder), c.id < min(added),
                    conditions.unfinished(), older.exists(),
                ],
                "cancelled: a newer version of the photo came",
                status=Status.CANCELLED, error="a newer version of the photo came",
            )  # fmt: skip
    return added


def queue_filled(engine: sa.Engine, job_ids: Collection[int]) -> None:
    """Queue jobs that failed because their photo had no content yet, with their rank."""
    again = conditions.afresh() | {"rank": conditions.in_turn()}
    with engine.begin() as connection:
        for some in conditions.chunks(list(job_ids)):
            here = [c.id.in_(some), c.status == Status.FAILED]
            conditions.change(connection, here, "its file was filled", **again)


def note_backlog(engine: sa.Engine, gallery: str, folder: Path, photos: Mapping[str, str]) -> None:
    """Record photos that are older than the gallery's first scan, and leave them alone."""
    with engine.begin() as connection:
        record(
            connection, gallery, folder, photos,
            status=Status.DONE, decision=Decision.LEFT_ALONE, reason=BACKLOG_REASON,
        )  # fmt: skip


def note_gone(
    engine: sa.Engine, gallery: str, folder: Path, names: Collection[str] | None = None
) -> int:
    """Record that these photos, or all of the folder, are gone; return how many rows changed."""
    step = (
        update(table)
        .where(*conditions.within(gallery, folder), conditions.here)
        .values(gone_at=now())
    )
    with engine.begin() as connection:
        if names is None:
            return connection.execute(step).rowcount
        chunks = conditions.chunks(list(map(Path, names)))
        return sum(connection.execute(step.where(c.name.in_(n))).rowcount for n in chunks)


def record(
    connection: sa.Connection, gallery: str, folder: Path, photos: Mapping[str, str],
    *, rank: int = NEW_PHOTO, status: Status = Status.QUEUED,
    decision: Decision | None = None, reason: str | None = None,
) -> list[int]:  # fmt: skip
    """Insert the rows that are new, clear `gone_at` of the others and return the new ids."""
    if not photos:
        return []
    here = conditions.within(gallery, folder)
    gone = select(c.id).where(*here, c.gone_at.is_not(None))
    if connection.scalar(select(gone.exists())):
        for names in conditions.chunks(list(map(Path, photos))):
            back = update(table).where(*here, c.gone_at.is_not(None), c.name.in_(names))
            connection.execute(back.values(gone_at=None))
    values = {
        "gallery": gallery, "folder": os.fsencode(folder), "status": str(status),
        "decision": None if decision is None else str(decision), "reason": reason, "rank": rank,
    }  # fmt: skip
    same = [values[column] for column in conditions.RECORDED]
    last = connection.scalar(select(sa.func.max(c.id))) or 0
    made = 0
    for some in conditions.chunks(list(photos.items()), PHOTOS_PER_STATEMENT):
        each = [value for name, print_ in some for value in (os.fsencode(name), print_)]
        insert = conditions.recording(connection.dialect.name, len(some))
        made += connection.exec_driver_sql(insert, (*same, *each)).rowcount
    if made:  # on PostgreSQL another process may add rows to the folder, too, and counts its own
        counts.add_new(
            connection, made, gallery=gallery, queue=CLASSIFY, rank=rank,
            status=status, decision=decision,
        )  # fmt: skip
    return list(connection.scalars(select(c.id).where(*here, c.id > last).order_by(c.id)))
