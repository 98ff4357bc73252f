"""The rule for what has arrived: which photos that a scan finds are new, old, or known already.

A photo is new if it arrived. It did not if it is known: by its path, by its path and size if it had
vanished, or because a photo with its size and mtime has vanished elsewhere. What is known and was
decided without reading it (the backlog, what its owner cancelled, what was ignored) stays as it is,
whatever changed. What waits as backlog does so by the rule of the gallery where it is now. What was
read is queued, and its content decides. All that the first scan finds is
old, and so is what a change of the settings shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.watching.scanner import NewPhoto
from storage import fingerprints
from storage.database.galleries import BACKLOG_REASON, CANCELLED_BY_OWNER, IGNORED
from storage.database.records import Job
from storage.enums import OLD, Decision, Status


@dataclass
class Arrivals:
    """What becomes of the photos of one folder; fingerprints by name."""

    new: dict[str, str] = field(default_factory=dict)
    backlog: dict[str, str] = field(default_factory=dict)
    """Old photos, and those that changed or moved while they waited as backlog."""
    known: list[tuple[Job, str, str]] = field(default_factory=list)
    """The job that takes this name and fingerprint."""


def sort(
    photos: Mapping[str, NewPhoto],
    versions: Mapping[str, Sequence[Job]],
    vanished: Mapping[str, Sequence[Job]],
) -> Arrivals:
    """Decide what becomes of the photos of one folder.

    `versions` are the jobs of each path, newest first, and `vanished` the jobs of photos that each
    may have been elsewhere.
    """
    found, taken = Arrivals(), set[int]()
    if not versions and not vanished:  # such as in a first scan, which finds a whole library
        found.backlog = {name: p.fingerprint for name, p in photos.items() if p.old}
        found.new = {name: p.fingerprint for name, p in photos.items() if not p.old}
        return found
    for name, photo in photos.items():
        mine = versions.get(name, ())
        job = known_as(mine, photo.fingerprint)
        if job is not None:
            found.known.append((job, name, photo.fingerprint))
            continue
        job = _present(mine) or _moved(vanished.get(name, ()), photo.fingerprint, taken)
        if job is None:
            (found.backlog if photo.old else found.new)[name] = photo.fingerprint
        elif is_left(job):
            found.known.append((job, name, photo.fingerprint))
        elif job.status is Status.QUEUED and job.rank in OLD:
            found.backlog[name] = photo.fingerprint
        else:
            found.new[name] = photo.fingerprint
    return found


def known_as(versions: Sequence[Job], fingerprint: str) -> Job | None:
    """Return the job that a photo keeps which is now like this; None if a scan queues it.

    `versions` are the jobs of its path, newest first.
    """
    if same := _same(versions, fingerprint):
        return same
    newest = versions[0] if versions and is_left(versions[0]) else None
    if newest is None or newest.gone_at is None:
        return newest
    restored = fingerprints.size(newest.fingerprint) == fingerprints.size(fingerprint)
    return newest if restored else None


def is_left(job: Job) -> bool:
    """Return whether a job was decided without reading its photo, by the settings or the owner."""
    if job.status is Status.CANCELLED:
        return job.error == CANCELLED_BY_OWNER
    reason = job.reason or ""
    return job.decision is Decision.LEFT_ALONE and (
        reason == BACKLOG_REASON or reason.startswith(IGNORED)
    )


def _moved(candidates: Sequence[Job], fingerprint: str, taken: set[int]) -> Job | None:
    """Return the vanished photo that this one is; each is found once."""
    job = _same([job for job in candidates if job.id not in taken], fingerprint)
    if job is not None:
        taken.add(job.id)
    return job


def _same(jobs: Sequence[Job], fingerprint: str) -> Job | None:
    same = (job for job in jobs if fingerprints.same_file(job.fingerprint, fingerprint))
    return next(same, None)


def _present(versions: Sequence[Job]) -> Job | None:
    """Return the newest version of a photo that has not vanished."""
    return versions[0] if versions and versions[0].gone_at is None else None
