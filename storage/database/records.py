"""Rows of the database, as frozen dataclasses: only SQL changes a row."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from storage.enums import Category, Decision, ErrorKind, Review, Status

if TYPE_CHECKING:
    from sqlalchemy import Row


@dataclass(frozen=True, kw_only=True)
class _Row:
    @classmethod
    def of(cls, row: "Row[Any]") -> Self:
        """Return the record of a row that has all columns of its table."""
        return cls(**row._mapping)


@dataclass(frozen=True, kw_only=True)
class Job(_Row):
    """One version of one photo; times are seconds since 1970."""

    id: int
    gallery: str
    folder: Path
    name: Path
    fingerprint: str
    """Size, mtime in nanoseconds and inode of the source, joined by dashes."""
    status: Status
    queue: str
    """The queue of the next step."""
    category: Category | None
    """None until the photo is classified."""
    decision: Decision | None
    reason: str | None
    """Why the decision was taken."""
    scores: dict[str, Any] | None
    """The verdict: `scores` by category, `severities` by degradation, and `confident`."""
    receipt: dict[str, Any] | None
    """What was done: `steps`, each with network and seconds, and the `guard`'s figures."""
    content_hash: str | None
    pixels: int | None
    output: Path | None
    """Relative to the output root."""
    sha256: str | None
    """SHA-256 of the output, recorded before it is published."""
    oversized: bool | None
    """Whether the output is larger than the rule allows; None without an output."""
    rank: int
    due_at: float
    deadline_seconds: float | None
    """Time limit of the present claim since its last progress."""
    tiles_done: int | None
    """Tiles that the present network has done."""
    tiles: int | None
    """All tiles of the photo for that network."""
    tile_seconds: float | None
    """Mean time of a tile."""
    progress_at: float | None
    attempts: int
    claims: int
    error_kind: ErrorKind | None
    error: str | None
    """Why the job failed or waits."""
    worker: str | None
    child: int | None
    """Process id of the worker's child that works on the job."""
    created_at: float
    claimed_at: float | None
    updated_at: float
    finished_at: float | None
    seconds: float
    """Duration of all claims together."""
    gone_at: float | None
    """When the source was found gone."""
    wish: dict[str, Any] | None
    """What the owner asked for: `category`, `strength` and `even_if_worse`, each if it was named."""
    review: Review | None
    """What the owner said of the result; None if nothing."""
    reviewed_at: float | None

    @property
    def source(self) -> Path:
        """The photo, relative to the gallery."""
        return self.folder / self.name

    @property
    def has_result(self) -> bool:
        """Whether there is a result that the owner may judge, published or waiting."""
        made = self.output is not None or self.review is Review.WAITING
        return self.status is Status.DONE and made

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
    """A worker; each start has a new random id."""

    id: str
    host: str
    process: int
    queues: str
    """Joined by commas."""
    device: str
    started_at: float
    heartbeat_at: float
    boot: str | None
    uptime: float | None
    trouble: str | None
    """Why its device cannot be used; None if it can, as far as is known."""
    trouble_kind: ErrorKind | None
    trouble_at: float | None
    """Since when."""
    held_queues: str | None
    """The queues of which no job is claimed until `held_until`, joined by commas; then one is tried.
    None are held, but there is trouble, while lite takes the steps of a GPU that cannot be used."""
    held_until: float | None


@dataclass(frozen=True, kw_only=True)
class Process(_Row):
    """A process beside the workers; its row is removed when it ends as it was asked to."""

    name: str
    """watcher, maintenance, "gallery NAME", or "worker-N" of an `up` if it does not keep running."""
    host: str
    process: int
    heartbeat_at: float
    boot: str | None
    uptime: float | None
    trouble: str | None
    """Why it, or the process before it, ended; None if it has run for a while."""
    trouble_at: float | None


@dataclass(frozen=True, kw_only=True)
class Gallery(_Row):
    """The state of a gallery at its watcher's last check."""

    name: str
    host: str
    root: Path
    output: Path
    filesystem: str
    """Kind: ext4, nfs, …"""
    identity: str | None
    """`filesystems.identity` of its folder; None before it was first online."""
    watching: str
    """events, or polling and the reason; "not yet" before it was first online."""
    online: bool
    reason: str | None
    """Why it is offline, and what to do."""
    scanned_at: float | None
    """End of the last full scan; None until the first one has ended."""
    scan_seconds: float | None
    photos: int | None
    settings: dict[str, Any] | None
    """Its settings as they were last applied; None before it was first online."""
    rules: dict[str, Any] | None
    """What the last full scan ignored, as `ignore_rules.recorded` gives it, and the identity of its
    folder."""
    updated_at: float
    trouble: str | None
    """Why its output cannot be written to; None if it can, as far as is known."""
    trouble_kind: ErrorKind | None
    trouble_at: float | None
    """Since when."""
    held_until: float | None
    """No job is claimed until then; then one tries the output again."""
    real_root: Path | None
    """`root` without symbolic links, when it was last online."""
    device: str | None
    """`filesystems.Location` of its folder at that time."""
    device_path: Path | None


@dataclass(frozen=True, kw_only=True)
class Pause(_Row):
    """A pause: no job of its scope is claimed while it lasts."""

    scope: str
    """all, category or gallery."""
    name: str
    until: float | None
    """None if it lasts until `photomend resume`."""
    since: float


@dataclass(frozen=True, kw_only=True)
class Event(_Row):
    """One line of a job's history."""

    id: int
    job_id: int
    at: float
    claim: int
    event: str


@dataclass(frozen=True, kw_only=True)
class Followup(_Row):
    """What an app that shows photos is still to be told of a result, or has been told."""

    id: int
    app: str
    """immich or photoprism."""
    gallery: str
    output: Path
    """The result, relative to the output root; for PhotoPrism its folder."""
    job_id: int
    """The newest job that had this result."""
    source: Path
    """The photo of that job, relative to the gallery."""
    serial: int
    """Increases with each change of the result."""
    due_at: float | None
    """None when the app knows all."""
    since: float
    """When the result changed."""
    attempts: int
    error: str | None
    """Why it waits."""
    held_until: float | None
    """Until when the process that works on it may take; then another one does."""
    known: dict[str, Any] | None
    """The ids that the app gave; None until it was told all of this result."""
