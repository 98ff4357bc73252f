"""The tables of the database, in SQLAlchemy Core.

Importing `sqlalchemy.orm` would double the time in which the command line starts.
"""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from storage.enums import NEW_PHOTO, Category, Decision, ErrorKind, Review, Status
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


MOST_LETTERS = 20_000
"""Maximum length of a text for people: longer than any path. A hostile photo may have the jail say more."""


class Sentence(sa.TypeDecorator[str]):
    """A text for people, with the odd bytes of file names escaped: no database accepts them."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Escape for the database."""
        return None if value is None else printable(value[:MOST_LETTERS])


def _words(kind: Any) -> sa.Enum:
    """Return a column type that stores a member's value ("motion-blur"), not its name."""
    return sa.Enum(
        kind, native_enum=False, create_constraint=False, length=32,
        values_callable=lambda members: [member.value for member in members],
    )  # fmt: skip


metadata = sa.MetaData(
    naming_convention={name: f"{name}_%(table_name)s" for name in ("pk", "uq")}
    | {"ix": "ix_%(table_name)s_%(column_0_name)s"}
)


def _heartbeat() -> list[sa.Column[Any]]:
    """Return the columns of a heartbeat; see `heartbeats`."""
    return [
        sa.Column("heartbeat_at", sa.Double, nullable=False),
        sa.Column("boot", sa.String),
        sa.Column("uptime", sa.Double),
    ]


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("gallery", sa.String, nullable=False),
    # Relative to the gallery; apart from the name, so that one SELECT reads a folder.
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
    # Set where the output is larger than the rule allows.
    sa.Column("oversized", sa.Boolean),
    sa.Column("rank", sa.Integer, nullable=False, default=NEW_PHOTO),
    sa.Column("due_at", sa.Double, nullable=False, default=now()),
    sa.Column("deadline_seconds", sa.Double),
    # How far the present network is with the photo.
    sa.Column("tiles_done", sa.Integer),
    sa.Column("tiles", sa.Integer),
    sa.Column("tile_seconds", sa.Double),
    sa.Column("progress_at", sa.Double),
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
    sa.Column("wish", sa.JSON(none_as_null=True)),
    sa.Column("review", _words(Review)),
    sa.Column("reviewed_at", sa.Double),
    sa.UniqueConstraint("gallery", "folder", "name", "fingerprint"),
    sa.Index("ix_jobs_urgent", "status", "queue", "gallery", "rank", "due_at", "id"),
    sa.Index("ix_jobs_status", "status", "id"),
    # These are partial: they hold only rows in which the column is set, which it is not for a new
    # photo. That is in the migration, because here it would import both dialects with the tables.
    sa.Index("ix_jobs_worker", "worker"),
    sa.Index("ix_jobs_content", "content_hash"),
    sa.Index("ix_jobs_finished", "finished_at"),
    sa.Index("ix_jobs_gone", "fingerprint"),
    sa.Index("ix_jobs_category", "category", "id"),
    sa.Index("ix_jobs_decision", "decision", "id"),
    sa.Index("ix_jobs_kind", "error_kind", "status", "id"),
    sa.Index("ix_jobs_oversized", "oversized", "id"),
    sa.Index("ix_jobs_review", "review", "id"),
    sa.Index("ix_jobs_vanished", "gallery", "folder"),
)

# Numbers of jobs, whose sum for each kind `counts` reads. Triggers on UPDATE and DELETE add rows.
counted = sa.Table(
    "counted",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("status", _words(Status), nullable=False),
    sa.Column("queue", sa.String, nullable=False),
    sa.Column("gallery", sa.String, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("decision", _words(Decision)),
    sa.Column("error_kind", _words(ErrorKind)),
    sa.Column("oversized", sa.Boolean),
    sa.Column("number", sa.Integer, nullable=False),
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
    *_heartbeat(),
    # A hold: the worker's device cannot be used, and jobs of these queues are not claimed until then.
    sa.Column("trouble", Sentence),
    sa.Column("trouble_kind", _words(ErrorKind)),
    sa.Column("trouble_at", sa.Double),
    sa.Column("held_queues", sa.String),
    sa.Column("held_until", sa.Double),
)

processes = sa.Table(
    "processes",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("host", sa.String, primary_key=True),
    sa.Column("process", sa.Integer, nullable=False),
    *_heartbeat(),
    # Why it, or the process before it, ended; None when it has run for a while.
    sa.Column("trouble", Sentence),
    sa.Column("trouble_at", sa.Double),
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
    sa.Column("scanned_at", sa.Double),
    sa.Column("scan_seconds", sa.Double),
    sa.Column("photos", sa.Integer),
    # The settings that were applied last, and what the last full scan saw and ignored.
    sa.Column("settings", sa.JSON(none_as_null=True)),
    sa.Column("rules", sa.JSON(none_as_null=True)),
    sa.Column("updated_at", sa.Double, nullable=False, default=now(), onupdate=now()),
    # A hold: its output cannot be written to, and no job of the gallery is claimed until then.
    sa.Column("trouble", Sentence),
    sa.Column("trouble_kind", _words(ErrorKind)),
    sa.Column("trouble_at", sa.Double),
    sa.Column("held_until", sa.Double),
    # Where its folder was when it was last online, with symbolic links and bind mounts resolved.
    sa.Column("real_root", PathBytes),
    sa.Column("device", sa.String),
    sa.Column("device_path", PathBytes),
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

# What an app that shows photos is still to be told of a result, or has been told.
followups = sa.Table(
    "followups",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("app", sa.String, nullable=False),
    sa.Column("gallery", sa.String, nullable=False),
    # The result, relative to the output root; PhotoPrism: its folder.
    sa.Column("output", PathBytes, nullable=False),
    # The newest job with this result, and its photo.
    sa.Column("job_id", sa.Integer, nullable=False),
    sa.Column("source", PathBytes, nullable=False),
    # Increases with each change of the result, so that an older turn cannot end a newer one.
    sa.Column("serial", sa.Integer, nullable=False, default=1),
    # None when there is nothing to do.
    sa.Column("due_at", sa.Double),
    sa.Column("since", sa.Double, nullable=False, default=now()),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("error", Sentence),
    sa.Column("held_until", sa.Double),
    # What the app knows of it: ids.
    sa.Column("known", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("app", "gallery", "output"),
    sa.Index("ix_followups_due", "app", "due_at"),
)

# Folders, relative to their gallery, in which another program says there is a new photo.
asked_folders = sa.Table(
    "asked_folders",
    metadata,
    sa.Column("gallery", sa.String, primary_key=True),
    sa.Column("folder", PathBytes, primary_key=True),
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
