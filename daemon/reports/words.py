"""Plain words for people: what was found in a photo and what was done, without categories.

Reasons and errors come from the database: print what is returned by `storage.text.printable`.
"""

from storage.database.records import Job
from storage.database.reviews import REJECTED
from storage.enums import Category, Decision, Degradation, Review, Status
from tasks.lite.limits import MIN_SEVERITY, MIN_SEVERITY_BESIDE
from tasks.verdict import TREATED

FAULTS = {
    Degradation.NOISE: "noise",
    Degradation.COMPRESSION: "blocks",
    Degradation.SOFTNESS: "soft",
    Degradation.MOTION: "shaken",
    Degradation.REFLECTION: "a reflection",
}
"""What a photo has or is."""
CATEGORIES = {
    Category.SUPER_RESOLUTION: "noise or softness",
    Category.REFLECTION: FAULTS[Degradation.REFLECTION],
    Category.MOTION_BLUR: FAULTS[Degradation.MOTION],
    Category.CLEAN: "nothing wrong",
}
"""What is found in a photo of a category if no severity says more."""
STATUSES = {
    Status.QUEUED: "waits",
    Status.RUNNING: "being mended",
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
DECISIONS = {
    Decision.RESTORED: "mended",
    Decision.CLEAN: "good as it is",
    Decision.UNSURE: "unsure",
    Decision.KEPT_ORIGINAL: "original kept",
    Decision.LEFT_ALONE: "left alone",
}

FOUND_SEVERITY = 0.5
"""Smallest severity that is named."""
_REMOVED = {
    Degradation.NOISE: "noise",
    Degradation.COMPRESSION: "blocks",
    Degradation.MOTION: "shake",
    Degradation.REFLECTION: "reflection",
}
"""What a chain removes; a soft photo is sharpened instead."""
_DEGREES = ((3.0, "strongly"), (1.5, "visibly"), (0.0, "slightly"))
"""Visible changes in CIEDE2000 (`tasks.imaging.visibility`), and how they are called."""


def faults(job: Job) -> list[Degradation]:
    """Return the faults that were found, the worst first: of its category only, if it has one.

    A shaken photo often looks as if it had a reflection, too.
    """
    if job.category is Category.CLEAN:
        return []
    severities = (job.scores or {}).get("severities", {})
    possible = TREATED[job.category] if job.category else tuple(Degradation)
    known = {fault: _number(severities.get(fault.value)) for fault in possible}
    seen = [fault for fault in possible if known[fault] >= FOUND_SEVERITY]
    return sorted(seen, key=lambda fault: -known[fault])


def found(job: Job) -> str:
    """Return what was found: "noise and blocks", "shaken", "nothing wrong"; "" if it is not known."""
    words = _faults(job)
    return f"perhaps {words}" if words and job.decision is Decision.UNSURE else words


def done(job: Job) -> str:
    """Return what was done: "noise removed, strongly", "left alone: a screenshot, by its name"."""
    match job.status:
        case Status.QUEUED if job.error:
            return f"waits: {job.error}"
        case Status.FAILED:
            return _with("failed", job.error)
        case Status.QUEUED | Status.RUNNING | Status.CANCELLED:
            return STATUSES[job.status]
        case Status.DONE:
            return _decided(job)


def short(job: Job) -> str:
    """Return where a photo stands, in a word or two."""
    if job.status is not Status.DONE or job.decision is None:
        return STATUSES[job.status]
    if job.review is Review.WAITING:
        return "to review"
    return "rejected" if _is_rejected(job) else DECISIONS[job.decision]


def _faults(job: Job) -> str:
    seen = faults(job)
    nouns = [FAULTS[fault] for fault in seen if fault is not Degradation.SOFTNESS]
    words = [_and(nouns)] if nouns else []
    words += [FAULTS[Degradation.SOFTNESS]] if Degradation.SOFTNESS in seen else []
    return ", ".join(words) or (CATEGORIES[job.category] if job.category else "")


def _decided(job: Job) -> str:
    match job.decision:
        case Decision.RESTORED:
            waits = "; it waits for your word" if job.review is Review.WAITING else ""
            return f"{_mended(job)}{_degree(job)}{waits}"
        case Decision.CLEAN:
            if job.category in (None, Category.CLEAN):
                return "nothing to mend"
            return _with("left as it was", f"mending changes {job.reason}" if job.reason else None)
        case Decision.UNSURE:
            return _with("left as it was", job.reason)
        case Decision.KEPT_ORIGINAL if _is_rejected(job):
            return "original kept: you rejected the result"
        case Decision.KEPT_ORIGINAL:
            seen = "; the result is for your eyes only" if job.review is Review.WAITING else ""
            return _with("original kept", job.reason) + seen
        case Decision.LEFT_ALONE:
            return _with("left alone", job.reason)
        case None:
            return STATUSES[Status.DONE]


def _mended(job: Job) -> str:
    """Return what was removed: each fault from the severity that the chain treats it from.

    The other chains treat their only fault in any case.
    """
    limits = MIN_SEVERITY | MIN_SEVERITY_BESIDE if job.category is Category.SUPER_RESOLUTION else {}
    severities = (job.scores or {}).get("severities", {})
    seen = [
        fault for fault in faults(job) if _number(severities.get(fault)) >= limits.get(fault, 0.0)
    ]
    removed = [_REMOVED[fault] for fault in seen if fault in _REMOVED]
    words = [f"{_and(removed)} removed"] if removed else []
    if Degradation.SOFTNESS in seen and Degradation.NOISE not in seen:  # it would bring noise back
        words.append("sharpened")
    return " and ".join(words) or DECISIONS[Decision.RESTORED]


def _degree(job: Job) -> str:
    """Return how visible the change is, after a comma; "" if it was not measured."""
    change = _number((job.receipt or {}).get("guard", {}).get("visible_change"))
    return f", {next(word for least, word in _DEGREES if change >= least)}" if change else ""


def _is_rejected(job: Job) -> bool:
    return job.review is Review.REJECTED or job.reason == REJECTED


def _with(words: str, reason: str | None) -> str:
    return f"{words}: {reason}" if reason else words


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _number(value: object) -> float:
    """Return a figure of a row; 0 for what is no figure, since other programs may write rows."""
    return float(value) if isinstance(value, int | float) and value >= 0 else 0.0
