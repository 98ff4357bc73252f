"""Plain words for what was found in a photo, what was done, why it waits, and what helps."""

from dataclasses import dataclass

from storage.database.records import Job
from storage.enums import Category, Decision, Degradation, ErrorKind, Review, Status, Strength
from storage.text import printable
from tasks.verdict import TREATED

FAULTS = {
    Degradation.NOISE: "noise",
    Degradation.COMPRESSION: "traces of compression",
    Degradation.SOFTNESS: "softness",
    Degradation.MOTION: "shake",
    Degradation.REFLECTION: "a reflection",
}
CATEGORIES = {
    Category.SUPER_RESOLUTION: "noise, softness or compression",
    Category.REFLECTION: "reflection",
    Category.MOTION_BLUR: "shaken",
    Category.CLEAN: "nothing wrong",
}
DECISIONS = {
    Decision.RESTORED: "mended",
    Decision.CLEAN: "good as it is",
    Decision.UNSURE: "unsure",
    Decision.KEPT_ORIGINAL: "original kept",
    Decision.LEFT_ALONE: "left alone",
}
STATUSES = {
    Status.QUEUED: "waits",
    Status.RUNNING: "being mended",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.DONE: "done",
}
REVIEWS = {
    Review.WAITING: "waits for your word",
    Review.KEPT: "kept",
    Review.REJECTED: "rejected",
}
STRENGTHS = {Strength.GENTLE: "gentle", Strength.NORMAL: "normal", Strength.STRONG: "strong"}

FOUND_SEVERITY = 0.5
"""Smallest severity that is named."""
_DEGREES = ((0.9, "strong"), (0.6, "clear"), (0.0, "slight"))
"""Severities, and how they are called."""
_CHANGES = ((3.0, "strongly"), (1.5, "visibly"), (0.0, "slightly"))
"""Visible changes, in units of what a person just notices, and how they are called."""


@dataclass(frozen=True)
class Advice:
    """What an error means, and what a person can do."""

    title: str
    advice: str


ADVICE = {
    ErrorKind.UNREADABLE: Advice(
        "The file cannot be read as a photo",
        "Open it in another program. If it is broken there too, copy it again from the camera or "
        "a backup. A whole file is found by itself.",
    ),
    ErrorKind.TOO_LARGE: Advice(
        "The photo is larger than the settings allow",
        "Raise max_megapixels or max_megabytes in the settings if the memory allows it, then try again.",
    ),
    ErrorKind.CRASHED: Advice(
        "The process that mended the photo crashed",
        "Try again. If it crashes again, please report the photo's format and size.",
    ),
    ErrorKind.DEADLINE: Advice(
        "It took too long",
        "Try again when the machine has less to do, or raise deadline_seconds in the settings.",
    ),
    ErrorKind.WORKER_LOST: Advice(
        "The worker was lost while it mended the photo",
        "Try again. If it happens often, look at the machine's memory and log.",
    ),
    ErrorKind.MEMORY: Advice(
        "The memory was too small",
        "Close other programs, or lower workers in the settings, then try again.",
    ),
    ErrorKind.ERROR: Advice(
        "An unexpected error",
        "Try again. If it comes back, please report it with the text of the error.",
    ),
    ErrorKind.ARRIVING: Advice(
        "The photo is still being copied", "Nothing to do: it is tried again by itself."
    ),
    ErrorKind.OFFLINE: Advice(
        "The gallery or its output is offline",
        "Connect the disk or mount the share; then it goes on by itself.",
    ),
    ErrorKind.DISK_FULL: Advice(
        "The disk of the results is full", "Make room on it; then it goes on by itself."
    ),
    ErrorKind.READ_ONLY: Advice(
        "The folder of the results cannot be written to",
        "Give photomend's user the right to write there; then it goes on by itself.",
    ),
    ErrorKind.GPU_LOST: Advice(
        "The GPU does not answer", "See `photomend doctor`. It is tried again by itself."
    ),
    ErrorKind.GPU_BUSY: Advice(
        "Other programs use the GPU's memory", "Close them; it is tried again by itself."
    ),
    ErrorKind.MACHINE: Advice(
        "Something on this machine did not work",
        "See `photomend doctor`. It is tried again by itself.",
    ),
    ErrorKind.STOPPED: Advice(
        "photomend was stopped while it mended the photo",
        "Nothing to do: it is the next to be tried.",
    ),
}
"""For each kind of error, what a person reads."""


def found(job: Job) -> list[str]:
    """Return the faults that were found, the worst first: "strong noise".

    Of a photo that was mended, those that its chain treats: a shaken one often looks reflected, too.
    """
    severities = dict((job.scores or {}).get("severities", {}))
    if job.decision is Decision.CLEAN:
        return []
    if job.decision is not Decision.UNSURE and job.category in TREATED:
        severities = {fault: severities.get(fault, 0.0) for fault in TREATED[job.category]}
    ordered = sorted(severities.items(), key=lambda item: -_number(item[1]))
    return [
        f"{_degree(_number(severity))} {_fault(name)}"
        for name, severity in ordered
        if _number(severity) >= FOUND_SEVERITY
    ]


def done(job: Job) -> str:
    """Return what was done as a sentence: "Noise removed, strongly"."""
    if job.decision is not Decision.RESTORED or job.category is None:
        return _not_done(job)
    guard = (job.receipt or {}).get("guard", {})
    change = _number(guard.get("visible_change", 0.0))
    how = next(word for least, word in _CHANGES if change >= least)
    kept = _number(guard.get("kept_share", 1.0))
    part = "" if kept >= 0.995 else f"; the guard kept it in {kept:.0%} of the photo"
    return f"{_removed(job)}, {how}{part}"


def _removed(job: Job) -> str:
    """Return what was removed: the faults of the category that were found."""
    severities = (job.scores or {}).get("severities", {})
    treated = TREATED.get(job.category or Category.CLEAN, ())
    faults = [f for f in treated if _number(severities.get(f, 0.0)) >= FOUND_SEVERITY]
    names = [FAULTS[fault] for fault in faults or treated[:1]]
    text = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{text[:1].upper()}{text[1:]} removed"


def _not_done(job: Job) -> str:
    reason = f": {job.reason}" if job.reason else ""
    match job.decision:
        case Decision.CLEAN:
            return f"Nothing to mend{reason}"
        case Decision.UNSURE:
            return f"Not touched, because photomend was not sure{reason}"
        case Decision.KEPT_ORIGINAL:
            return f"The original was kept{reason}"
        case Decision.LEFT_ALONE:
            return f"Left alone{reason}"
    error = f": {job.error}" if job.error else ""
    return f"{STATUSES[job.status].capitalize()}{error}"


def state(job: Job) -> str:
    """Return where a photo stands, in a word or two."""
    if job.review in (Review.KEPT, Review.REJECTED):
        return REVIEWS[job.review]
    if job.status is not Status.DONE or job.decision is None:
        return STATUSES[job.status]
    if job.review is Review.WAITING:
        return REVIEWS[job.review]
    return DECISIONS[job.decision]


def wish(job: Job) -> str:
    """Return what the owner asked for; "" if nothing."""
    wanted = job.wish or {}
    parts = [f"as {wanted['category']}"] if wanted.get("category") else []
    parts += [f"strength {wanted['strength']}"] if wanted.get("strength") else []
    parts += ["even if it looks worse"] if wanted.get("even_if_worse") else []
    return printable(", ".join(parts))


def _fault(name: str) -> str:
    try:
        return FAULTS[Degradation(name)]
    except ValueError:
        return printable(name)


def _degree(severity: float) -> str:
    return next(word for least, word in _DEGREES if severity >= least)


def _number(value: object) -> float:
    """Return a number of a row; 0 for what is none, as another program may have written it."""
    return float(value) if isinstance(value, int | float) else 0.0
