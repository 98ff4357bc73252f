"""Explain why a file was or was not mended, and what happens to it next."""

import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from daemon.console import session, targets
from daemon.console.output import span
from daemon.console.targets import Place
from daemon.reports import pauses
from daemon.watching import arrivals, ignore_rules
from storage import fingerprints, rules
from storage.beneath import Beneath
from storage.database import conditions, holds, search, status
from storage.database.records import Job
from storage.enums import AT_ONCE, Decision, Review, Status
from storage.errors import DecoderDied, DecodingFailed, TooLarge, UnreadablePhoto
from storage.rules import Ruling
from storage.settings import settings
from storage.text import command


class Rule(StrEnum):
    """The rule that decides what happens to a file."""

    NO_GALLERY = "no gallery"
    RESULT = "result"
    OFFLINE = "offline"
    IGNORED = "ignored"
    RULED = "rule"
    NO_PHOTO = "no photo"
    GONE = "gone"
    JOB = "job"
    NEW = "new"
    FOLDER = "folder"


@dataclass(frozen=True)
class Explanation:
    """The rule that decides, its facts, and what happens now to the file."""

    path: str
    rule: Rule
    now: str
    facts: list[str] = field(default_factory=list)


def explain(path: Path) -> Explanation:
    """Return why the file at `path` was or was not mended."""
    place = targets.place(path)
    if place is None:
        return _outside(path)
    facts = [f"it is {place.source} in the gallery {place.gallery}"]
    rule, now = _decide(place, facts)
    return Explanation(str(path), rule, now, facts)


def _outside(path: Path) -> Explanation:
    """Explain a file that is in no gallery: perhaps it is a result."""
    for gallery, _, output in targets.roots():
        found = Path(os.path.realpath(path))
        if found.is_relative_to(os.path.realpath(output)):
            makers = search.makers(
                session.engine(), gallery, found.relative_to(os.path.realpath(output))
            )
            facts = [f"job {job.id} made it from {job.source}" for job in makers[:1]]
            facts = facts or [f"it is in the output of the gallery {gallery}, but no job made it"]
            return Explanation(str(path), Rule.RESULT, "nothing: results are not mended", facts)
    roots = ", ".join(f"{root.gallery} ({root.root})" for root in targets.roots()) or "none"
    facts = [f"it is in no gallery; the galleries of this machine: {roots}"]
    now = "nothing, unless its folder becomes a gallery: `photomend up FOLDER`, or in the settings"
    return Explanation(str(path), Rule.NO_GALLERY, now, facts)


def _decide(place: Place, facts: list[str]) -> tuple[Rule, str]:
    """Return the rule and what happens now; add its facts to `facts`."""
    gallery = targets.gallery(place.gallery)
    photo = Beneath(Path(os.path.realpath(gallery.path)), place.source)
    path = photo.path
    versions = search.versions(session.engine(), place.gallery, place.source)
    facts += [_version(job) for job in versions]
    row = next(
        (g for g in status.galleries_known(session.engine()) if g.name == place.gallery), None
    )
    if row is not None and not row.online:
        facts.append(f"the gallery is offline: {row.reason}")
        return Rule.OFFLINE, "nothing until the gallery is online again"
    if (reason := ignore_rules.why_ignored(gallery, place.source)) is not None:
        facts.append(reason)
        return Rule.IGNORED, "nothing: it is ignored"
    if not photo.exists():
        facts.append("the file does not exist")
        return Rule.GONE, "nothing; its result, if there is one, is kept"
    if (reason := ignore_rules.why_no_photo(path)) is not None:
        facts.append(f"it is {reason}")
        return Rule.NO_PHOTO, "nothing"
    ruling = _ruling(place.gallery, place.source)
    if ruling.rule is not None:
        facts.append(_ruled(ruling))
    if (reason := ruling.why_off) is not None:
        return Rule.RULED, f"nothing: {reason}"
    fingerprint = fingerprints.of(photo.status())
    exact = (job for job in versions if job.fingerprint == fingerprint)
    job = next(exact, None) or arrivals.known_as(versions, fingerprint)
    if job is not None:
        return Rule.JOB, _next_step(job, photo, ruling)
    scanned = row is not None and row.scanned_at is not None
    return Rule.NEW, _next_step_of_new(ruling, photo, facts, scanned=scanned)


def _ruling(gallery: str, source: Path) -> Ruling:
    return rules.ruling(settings().rules, gallery, targets.gallery(gallery), source)


def _ruled(ruling: Ruling) -> str:
    """Return what the rule that matches a photo says."""
    assert ruling.rule is not None
    rule = ruling.rule
    parts = [f'mode = "{rule.mode}"']
    for name in ("categories", "strength", "faces", "allow", "publish"):
        value = getattr(rule, name)
        if value not in (None, ()):
            parts.append(f"{name} = {json.dumps(value)}")
    return f"{ruling.name} of the settings decides: {', '.join(parts)}"


def why_never(job: Job) -> str | None:
    """Return why the photo of a job is not mended even if its owner asks for it; None if it is."""
    photo = Beneath(Path(os.path.realpath(targets.gallery(job.gallery).path)), job.source)
    if not photo.exists():
        return "it is gone"
    return _ruling(job.gallery, job.source).why_off or _why_never_read(photo)


def _why_never_read(photo: Beneath) -> str | None:
    """Return what of the photo itself keeps it from being mended even if its owner asks for it."""
    from storage import eligibility

    reason = _left_alone(photo, eligibility.ASKED_FOR)
    return None if reason is None else _sentence(reason)


def _version(job: Job) -> str:
    parts = [str(job.status), job.decision, job.reason, job.error]
    return f"job {job.id}, for version {job.fingerprint}: {', '.join(filter(None, parts))}"


def _next_step(job: Job, photo: Beneath, ruling: Ruling) -> str:
    """Return what happens next to the job of the file's current version."""
    match job.status:
        case Status.RUNNING:
            return f"a worker is processing it ({job.queue})"
        case Status.QUEUED:
            return _waits(job)
        case Status.FAILED:
            return f"nothing; `photomend retry {job.id}` queues it again"
        case Status.CANCELLED:
            return f"nothing; `photomend retry {job.id}` queues it again"
        case Status.DONE if job.review is Review.WAITING and job.decision is Decision.RESTORED:
            return f"its result waits for you; `photomend keep {job.id}` publishes it"
        case Status.DONE if job.decision is Decision.LEFT_ALONE:
            return _of_left_alone(job, photo, ruling)
        case Status.DONE:
            again = f"`photomend retry {job.id} --from-scratch` processes it again"
            anyway = f"{_mend_anyway(photo)}; " if job.decision is not Decision.RESTORED else ""
            return f"nothing until the photo changes; {anyway}{again}"


def _of_left_alone(job: Job, photo: Beneath, ruling: Ruling) -> str:
    """Return why a photo is left alone now, and what to type if it may be mended."""
    if (reason := _why_never_read(photo)) is not None:
        return f"nothing: {reason}"
    guess = _left_alone(photo, ruling.allowed)
    if guess is None and arrivals.is_left(job):
        return f"nothing; `{command('photomend', 'add', of=photo)}` queues it"
    reason = guess or job.reason or ""
    return f"nothing: {_sentence(reason)}; {_mend_anyway(photo)}"


def _mend_anyway(photo: Beneath) -> str:
    return f"`{command('photomend', 'mend', of=photo)}` mends it anyway"


def _waits(job: Job) -> str:
    """Return for what a queued job waits."""
    state = status.summary(session.engine())
    scopes = {("all", ""), ("category", job.queue), ("gallery", job.gallery)}
    if any((pause.scope, pause.name) in scopes for pause in state.pauses):
        return "it is paused; `photomend resume` ends the pause"
    own = [pause for pause in state.pauses if pause.scope in pauses.OF_MACHINE]
    if own and job.rank != AT_ONCE:
        return f"it {pauses.line(own[0])}"
    held = next((g for g in state.galleries if g.name == job.gallery and g.trouble_at), None)
    if held is not None:
        tried = span(conditions.left(held.held_until, state.now, holds.MAX_PAUSE_SECONDS))
        return f"its gallery waits, and tries again in {tried}: {held.trouble}"
    if pause := conditions.left(job.due_at, state.now, conditions.LONGEST_PAUSE_SECONDS):
        return f"it is retried in {span(pause)}; `photomend retry {job.id}` retries it now"
    queues = {queue for worker in state.workers for queue in worker.queues.split(",")}
    if job.queue not in queues:
        return f"it waits, but no worker serves {job.queue}; start one: photomend work {job.queue}"
    return f"it waits in the queue {job.queue}"


def _left_alone(photo: Beneath, allowed: Collection[str]) -> str | None:
    """Return why the file would be left alone or cannot be read; None if it would be mended."""
    from storage import eligibility, inspection, jail
    from storage.formats.safe_open import Limits

    try:
        with jail.used(), inspection.opened(photo, Limits.of(settings())) as seen:
            return eligibility.left_alone(seen, allowed)
    except (UnreadablePhoto, TooLarge, DecoderDied, DecodingFailed, OSError) as error:
        return f"unreadable: {error}"


def _next_step_of_new(ruling: Ruling, photo: Beneath, facts: list[str], *, scanned: bool) -> str:
    changed_at = photo.status().st_mtime
    age_seconds = time.time() - changed_at
    facts.append("this version of the file is not recorded yet")
    if (reason := _left_alone(photo, ruling.allowed)) is not None:
        facts.append(_sentence(reason))
        return "it is recorded, and left alone or failed for this reason"
    if 0 <= age_seconds < settings().settle_seconds:
        return f"it is queued once it has not changed for {settings().settle_seconds:g} s"
    if not scanned and changed_at < ruling.gallery.since:
        return (
            f'the first full scan leaves it alone as backlog (backlog = "{ruling.gallery.backlog}"); '
            f"`{command('photomend', 'add', of=photo)}` queues it"
        )
    return "the next scan queues it, if the watcher is running; see `photomend status`"


def _sentence(reason: str) -> str:
    """Return why a photo is left alone as a sentence."""
    return f"it is {reason}" if reason.startswith(("a ", "an ", "too ")) else reason
