"""The tables, and the rows as the rest of the application sees them.

SQLAlchemy Core and frozen dataclasses: no row is an object that somebody might change, and the
command line starts in half the time that importing `sqlalchemy.orm` takes.
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from storage.enums import NEW_PHOTO, Category, Decision, ErrorKind, Status
from storage.text import printable


class now(FunctionElement[float]):
    """Seconds since 1970 by the clock of the database, which all machines share."""

    inherit_cache = True
    type = sa.Double()


_NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}


@compiles(now)
def _now(_element: now, compiler: Any, **_: Any) -> str:
    return now_in(compiler.dialect.name)


def now_in(dialect: str) -> str:
    """Return the SQL of `now` in a dialect."""
    return _NOW[dialect]


class PathBytes(sa.TypeDecorator[Path]):
    """A path as the exact bytes the filesystem gave: not every name is UTF-8."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Path | None, dialect: object) -> bytes | None:
        """Encode for the database."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: object) -> Path | None:
        """Decode what the database gave."""
        return None if value is None else Path(os.fsdecode(value))


class Sentence(sa.TypeDecorator[str]):
    """A text for people, in which the odd bytes of a name are escaped: no database takes them."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Escape for the database."""
        return None if value is None else printable(value)


def _words(kind: Any) -> sa.Enum:
    """Store a member's value ("motion-blur"), not its name, and give the member back."""
    return sa.Enum(
        kind, native_enum=False, create_constraint=False, length=32,
        values_callable=lambda members: [member.value for member in members],
    )  # fmt: skip


metadata = sa.MetaData(
    naming_convention={name: f"{name}_%(table_name)s" for name in ("pk", "uq")}
    | {"ix": "ix_%(table_name)s_%(column_0_name)s"}
)


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("gallery", sa.String, nullable=False),
    # Relative to the gallery; apart from the name, so that a look at a folder needs one SELECT.
    sa.Column("folder", PathBytes, nullable=False),
    sa.Column("name", PathBytes, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("status", _words(Status), nullable=False, default=Status.QUEUED),
    sa.Column("queue", sa.String, nullable=False, default="classify"),
    sa.Column("category", _words(Category)),
    sa.Column("decision", _words(Decision)),
    sa.Column("reason", Sentence),
    sa.Column("scores", sa.JSON(none_as_null=True)),
    sa.Column("receipt", sa.JSON(none_as_null=True)),
    sa.Column("content_hash", sa.String),
    sa.Column("pixels", sa.Integer),
    sa.Column("output", PathBytes),
    sa.Column("sha256", sa.String),
    sa.Column("rank", sa.Integer, nullable=False, default=NEW_PHOTO),
    sa.Column("due_at", sa.Double, nullable=False, default=now()),
    sa.Column("deadline_seconds", sa.Double),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("claims", sa.Integer, nullable=False, default=0),
    sa.Column("error_kind", _words(ErrorKind)),
    sa.Column("error", Sentence),
    sa.Column("worker", sa.String),
    sa.Column("child", sa.Integer),
    sa.Column("created_at", sa.Double, nullable=False, default=now()),
    sa.Column("claimed_at", sa.Double),
    sa.Column("updated_at", sa.Double, nullable=False, default=now(), onupdate=now()),
    sa.Column("finished_at", sa.Double),
    sa.Column("seconds", sa.Double, nullable=False, default=0.0),
    sa.Column("gone_at", sa.Double),
    sa.UniqueConstraint("gallery", "folder", "name", "fingerprint"),
    sa.Index("ix_jobs_urgent", "status", "queue", "rank", "id"),
    # Of the rows in which they are filled only, which a new photo's is not. The migration says so:
    # said here, it would import both dialects wherever the tables are looked at.
    sa.Index("ix_jobs_worker", "worker"),
    sa.Index("ix_jobs_content", "content_hash"),
    sa.Index("ix_jobs_finished", "finished_at"),
    sa.Index("ix_jobs_counted", "status", "gallery", "decision", "error_kind"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("queues", sa.String, nullable=False),
    sa.Column("device", sa.String, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False, default=now()),
    sa.Column("beat_at", sa.Double, nullable=False),
)

galleries = sa.Table(
    "galleries",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("root", PathBytes, nullable=False),
    sa.Column("output", PathBytes, nullable=False),
    sa.Column("filesystem", sa.String, nullable=False),
    sa.Column("identity", sa.String),
    sa.Column("watching", Sentence, nullable=False),
    sa.Column("online", sa.Boolean, nullable=False),
    sa.Column("reason", Sentence),
    sa.Column("walked_at", sa.Double),
    sa.Column("walk_seconds", sa.Double),
    sa.Column("photos", sa.Integer),
    sa.Column("updated_at", sa.Double, nullable=False, default=now(), onupdate=now()),
)

outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("gallery", sa.String, primary_key=True),
    # The output's path, normalised and case-folded: on some shares IMG.jpg and img.jpg are one.
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("folder", PathBytes, nullable=False),
    sa.Column("name", PathBytes, nullable=False),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("scope", sa.String, primary_key=True),  # all, category or gallery
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("until", sa.Double),
    sa.Column("since", sa.Double, nullable=False, default=now()),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False, default=now()),
    sa.Column("claim", sa.Integer, nullable=False),
    sa.Column("event", Sentence, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class _Row:
    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Make one of a whole row of its table."""
        return cls(**row._mapping)


@dataclass(frozen=True, kw_only=True)
class Job(_Row):
    """One version of one photo on its way; times are seconds since 1970."""

    id: int
    gallery: str
    folder: Path
    name: Path
    fingerprint: str
    """Size, mtime in nanoseconds and inode of the source, joined by dashes."""
    status: Status
    queue: str
    """Of the next step."""
    category: Category | None
    """None until the photo is classified."""
    decision: Decision | None
    reason: str | None
    """Of the decision."""
    scores: dict[str, Any] | None
    """The verdict: `scores` by category, `severities` by degradation, `confident`."""
    receipt: dict[str, Any] | None
    """What was done: `steps`, each with network and seconds, and the `guard`'s figures."""
    content_hash: str | None
    pixels: int | None
    output: Path | None
    """Relative to the output root."""
    sha256: str | None
    """Of the output, recorded before it is published."""
    rank: int
    due_at: float
    deadline_seconds: float | None
    """How long the present claim may last."""
    attempts: int
    claims: int
    error_kind: ErrorKind | None
    error: str | None
    """Why the job failed, or what it waits for."""
    worker: str | None
    child: int | None
    """The process of that worker that has the job."""
    created_at: float
    claimed_at: float | None
    updated_at: float
    finished_at: float | None
    seconds: float
    """What all claims took together."""
    gone_at: float | None
    """When the source was found gone."""

    @property
    def source(self) -> Path:
        """The photo, relative to the gallery."""
        return self.folder / self.name

    def to_json(self) -> dict[str, Any]:
        """Return the fields that scripts rely on; paths as `os.fsdecode` gives them."""
        shown = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        del shown["folder"], shown["name"]
        return shown | {
            "source": str(self.source),
            "output": None if self.output is None else str(self.output),
        }


@dataclass(frozen=True, kw_only=True)
class Worker(_Row):
    """A worker that lives as long as it beats; each start has a fresh random id."""

    id: str
    host: str
    process: int
    queues: str
    """Joined by commas."""
    device: str
    started_at: float
    beat_at: float


@dataclass(frozen=True, kw_only=True)
class Gallery(_Row):
    """A gallery as its watcher last found it."""

    name: str
    host: str
    root: Path
    output: Path
    filesystem: str
    """Kind: ext4, nfs, …"""
    identity: str | None
    """Of the filesystem, where it has one."""
    watching: str
    """events or walks, and why."""
    online: bool
    reason: str | None
    """Why it is offline, and what to do."""
    walked_at: float | None
    """End of the last whole walk; None until the first one has ended."""
    walk_seconds: float | None
    photos: int | None
    updated_at: float


@dataclass(frozen=True, kw_only=True)
class Pause(_Row):
    """No job of its scope is claimed while it lasts."""

    scope: str
    """all, category or gallery."""
    name: str
    until: float | None
    """None: until somebody resumes."""
    since: float


@dataclass(frozen=True, kw_only=True)
class Event(_Row):
    """A line of a job's history."""

    id: int
    job_id: int
    at: float
    claim: int
    event: str
