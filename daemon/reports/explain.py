"""Why a file was or was not mended, by which rule, and what would happen to it now."""

import os
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from daemon.console import session, targets
from daemon.console.output import span
from daemon.console.targets import Place
from daemon.watching import ignore_rules
from storage import fingerprints
from storage.database import search, status
from storage.database.records import Job
from storage.enums import Decision, Status
from storage.errors import TooLarge, UnreadablePhoto
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import printable


class Rule(StrEnum):
    """What decides about a file."""

    NO_GALLERY = "no gallery"
    RESULT = "result"
    OFFLINE = "offline"
    IGNORED = "ignored"
    NO_PHOTO = "no photo"
    GONE = "gone"
    JOB = "job"
    NEW = "new"


@dataclass(frozen=True)
class Explanation:
    """The rule that decides, the facts behind it, and what would happen now."""

    path: str
    rule: Rule
    now: str
    facts: list[str] = field(default_factory=list)


def explain(path: Path) -> Explanation:
    """Return why the file at `path` was or was not mended."""
    here = targets.place(path)
    if here is None:
        return _outside(path)
    facts = [f"it is {here.source} in the gallery {here.gallery}"]
    rule, now = _decide(here, facts)
    return Explanation(str(path), rule, now, facts)


def _outside(path: Path) -> Explanation:
    for gallery, _, output in targets.roots():
        found = Path(os.path.realpath(path))
        if found.is_relative_to(os.path.realpath(output)):
            makers = search.makers(
                session.engine(), gallery, found.relative_to(os.path.realpath(output))
            )
            facts = [f"job {job.id} made it of {job.source}" for job in makers[:1]]
            facts = facts or [f"it lies in the output of {gallery}, but no job made it"]
            return Explanation(str(path), Rule.RESULT, "nothing: results are not mended", facts)
    roots = ", ".join(f"{root.gallery} ({root.root})" for root in targets.roots()) or "none"
    facts = [f"it lies in no gallery; galleries here: {roots}"]
    now = "nothing; watch its folder with `photomend up FOLDER` or [galleries.…] in the settings"
    return Explanation(str(path), Rule.NO_GALLERY, now, facts)


def _decide(here: Place, facts: list[str]) -> tuple[Rule, str]:
    """Return what decides and what would happen, and add the facts on the way there."""
    gallery = targets.gallery(here.gallery)
    path = Path(os.path.realpath(gallery.path)) / here.source
    versions = search.versions(session.engine(), here.gallery, here.source)
    facts += [_version(job) for job in versions]
    row = next(
        (g for g in status.galleries_known(session.engine()) if g.name == here.gallery), None
    )
    if row is not None and not row.online:
        facts.append(f"the gallery is offline: {row.reason}")
        return Rule.OFFLINE, "nothing until the gallery is there again; then its photos are mended"
    if (reason := ignore_rules.why_ignored(gallery, here.source)) is not None:
        facts.append(reason)
        return Rule.IGNORED, "nothing: it is ignored"
    if not os.path.lexists(path):
        facts.append("the file is not there")
        return Rule.GONE, "nothing; its result, if it has one, stays"
    if (reason := ignore_rules.why_no_photo(path)) is not None:
        facts.append(f"it is {reason}")
        return Rule.NO_PHOTO, "nothing"
    fingerprint = fingerprints.of(path.stat())
    job = next((job for job in versions if job.fingerprint == fingerprint), None)
    if job is not None:
        return Rule.JOB, _next_of(job, path)
    scanned = row is not None and row.scanned_at is not None
    return Rule.NEW, _next_of_new(gallery, path, facts, scanned=scanned)


def _version(job: Job) -> str:
    line = f"job {job.id}, for {job.fingerprint}, is {job.status}"
    if job.decision is not None:
        line += f": {job.decision}" + (f", {job.reason}" if job.reason else "")
    if job.error is not None:
        line += f": {job.error}"
    return line


def _next_of(job: Job, path: Path) -> str:
    """Return what happens next to a job of the file as it is now."""
    match job.status:
        case Status.RUNNING:
            return f"a worker has it: {job.queue}"
        case Status.QUEUED:
            return _waits(job)
        case Status.FAILED:
            return f"nothing; `photomend retry {job.id}` tries again"
        case Status.CANCELLED:
            return f"nothing; `photomend retry {job.id}` queues it again"
        case Status.DONE if job.decision is Decision.LEFT_ALONE:
            reason = _left_alone(path)
            again = f"`photomend add {printable(path)}` asks for it"
            return f"nothing: it is {reason}" if reason else f"nothing of itself; {again}"
        case Status.DONE:
            return (
                "nothing: the decision stands until the photo changes, or you say "
                f"`photomend retry {job.id} --from-scratch`"
            )


def _waits(job: Job) -> str:
    seen = status.summary(session.engine())
    scopes = {("all", ""), ("category", job.queue), ("gallery", job.gallery)}
    if any((pause.scope, pause.name) in scopes for pause in seen.pauses):
        return "it waits, because it is paused; `photomend resume` goes on"
    if job.due_at > seen.now:
        return (
            f"it is tried again in {span(job.due_at - seen.now)}; "
            f"`photomend retry {job.id}` tries at once"
        )
    queues = {queue for worker in seen.workers for queue in worker.queues.split(",")}
    if job.queue not in queues:
        return f"it waits, but no worker serves {job.queue}: photomend work {job.queue}"
    return f"it waits for its turn in {job.queue}"


def _left_alone(path: Path) -> str | None:
    """Return why the photo would be left alone, or not be read, as it is now."""
    from storage import eligibility, inspection
    from storage.formats.safe_open import Limits

    try:
        with inspection.opened(path, Limits.of(settings())) as seen:
            return eligibility.left_alone(seen)
    except (UnreadablePhoto, TooLarge, OSError) as error:
        return f"not to be read: {error}"


def _next_of_new(gallery: GallerySettings, path: Path, facts: list[str], *, scanned: bool) -> str:
    changed_at = path.stat().st_mtime
    still = time.time() - changed_at
    facts.append("this version of it is not known yet")
    if (reason := _left_alone(path)) is not None:
        facts.append(f"it is {reason}")
        return "it would be recorded and left alone, or fail, for that reason"
    if 0 <= still < settings().settle_seconds:
        return f"it is queued once it has not changed for {settings().settle_seconds:g} s"
    if not scanned and changed_at < gallery.since:
        return (
            f'the first full scan will count it as backlog (backlog = "{gallery.backlog}") and leave '
            f"it alone; `photomend add {printable(path)}` mends it"
        )
    return "the next scan will queue it, if the watcher runs; see `photomend status`"
