"""Words of the page, beside those of `daemon.reports.words`: what the owner said, and what helps."""

from dataclasses import dataclass

from daemon.reports import words
from storage.database.records import Job
from storage.enums import ErrorKind, Review, Strength
from storage.text import printable
from storage.wishes import Wish

CATEGORIES = words.CATEGORIES
REVIEWS = {
    Review.WAITING: "waits for your word",
    Review.KEPT: "kept",
    Review.REJECTED: "rejected",
    Review.REJECTING: "being rejected",
    Review.RESTORING: "being restored",
    Review.DELETING: "going to the trash with its photo",
    Review.DELETED: "in the trash, since its photo was deleted",
}
STRENGTHS = {Strength.GENTLE: "gentle", Strength.NORMAL: "normal", Strength.STRONG: "strong"}
GUARDED_SHARE = 0.995
"""Smallest share of a photo whose mending the guard kept that counts as all of it."""


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
        "Other programs use the GPU", "It is tried again by itself when they let it go."
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


def found(job: Job) -> str:
    """Return what was found, as a sentence begins: "Noise and blocks"; "" if nothing was."""
    return _sentence(words.found(job))


def done(job: Job) -> str:
    """Return what was done, as a sentence begins: "Noise removed, strongly"."""
    kept = (job.receipt or {}).get("guard", {}).get("kept_share")
    mended = job.output is not None and isinstance(kept, float) and kept < GUARDED_SHARE
    part = f"; the guard kept it in {kept:.0%} of the photo" if mended else ""
    return _sentence(words.done(job)) + part


def state(job: Job) -> str:
    """Return where a photo stands, in a word or two."""
    return words.short(job) if job.review is None else REVIEWS[job.review]


def wish(job: Job) -> str:
    """Return what the owner asked for; "" if nothing."""
    return printable(Wish.of(job) or "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
