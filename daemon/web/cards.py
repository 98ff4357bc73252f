"""What the page shows of a job: its words, its pictures and what may be done with it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.web import words
from storage import preview_files, preview_requests
from storage.database.records import Job
from storage.enums import Decision, Review, Status
from storage.preview_files import Previews
from storage.preview_requests import Request

PICTURES = preview_files.NAMES
"""Names of the pictures of a job."""
_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Card:
    """A job as the page shows it."""

    job: Job
    pictures: tuple[str, ...]
    """Names of the pictures that are there."""
    box: tuple[float, float, float, float] | None
    """Where most changed: x, y, width and height in percent of the photo."""
    version: int = 0
    """When the newest picture was drawn: part of their addresses, because browsers keep pictures."""
    request: Request | None = None
    """That a worker was asked to draw them; None if it was not, or has drawn them all."""

    @property
    def name(self) -> str:
        """The photo's name, without its folder."""
        return str(self.job.name)

    @property
    def has_both(self) -> bool:
        """Whether before and after can be compared."""
        return {"before", "after"} <= set(self.pictures)

    @property
    def has_crops(self) -> bool:
        """Whether the place where most changed can be compared."""
        return {"crop_before", "crop_after"} <= set(self.pictures)

    @property
    def in_lists(self) -> str:
        """The name of the picture that lists show; "" if there is none."""
        return next((name for name in ("small", "after", "before") if name in self.pictures), "")

    @property
    def is_pending(self) -> bool:
        """Whether a worker draws the pictures, or will."""
        return self.request is not None and self.request.is_pending

    @property
    def lacks_pictures(self) -> bool:
        """Whether a worker could draw more pictures of the photo than there are."""
        mended = self.job.decision is Decision.RESTORED or self.job.review is Review.WAITING
        whole = self.has_both and self.has_crops if mended else "before" in self.pictures
        return can_be_drawn(self.job) and not whole

    @property
    def tone(self) -> str:
        """The colour of the photo's state: good, bad, open or none."""
        if self.job.review is Review.KEPT:
            return "good"
        if self.job.review is Review.REJECTED or self.job.status is Status.FAILED:
            return "bad"
        if self.job.review is Review.WAITING or self.job.decision is Decision.UNSURE:
            return "open"
        return "none"

    @property
    def may(self) -> tuple[str, ...]:
        """What the owner may do now: keep, reject, undo, restore, mend, retry."""
        return allowed(self.job)


def can_be_drawn(job: Job) -> bool:
    """Return whether the pictures of a job can be drawn on request; those of others come by themselves."""
    return job.status in (Status.DONE, Status.FAILED, Status.CANCELLED)


def allowed(job: Job) -> tuple[str, ...]:
    """Return what the owner may do with a job."""
    if job.status in (Status.FAILED, Status.CANCELLED):
        return ("retry",)
    if job.status is not Status.DONE:
        return ("retry",) if job.error_kind is not None else ()
    if job.review is Review.KEPT:
        return ("undo", "mend")
    if job.review in (Review.REJECTED, Review.RESTORING):
        return ("restore", "mend")
    if job.review is Review.DELETED:
        return ("restore",)
    if job.decision is Decision.RESTORED:
        return ("keep", "reject", "mend")
    return ("reject", "mend") if job.review is Review.WAITING else ("mend",)


def of(state_dir: Path, job: Job) -> Card:
    """Return the card of a job."""
    files = preview_files.of(state_dir, job.id)
    present = tuple(name for name in PICTURES if getattr(files, name) is not None)
    request = preview_requests.of(state_dir, job.id)
    return Card(job, present, _percent(files), files.version, request)


def file(state_dir: Path, job_id: int, name: str) -> Path | None:
    """Return the file of a picture; None if there is none."""
    found: Path | None = getattr(preview_files.of(state_dir, job_id), name)
    return found


def to_json(card: Card, root: str) -> dict[str, Any]:
    """Return a job as `photomend show --json` prints it, with its words and pictures."""
    job = card.job
    shown = job.to_json() | {
        "found": words.found(job), "done": words.done(job), "state": words.state(job),
        "allowed": list(card.may), "box_percent": card.box,
    }  # fmt: skip
    shown["pictures"] = {name: address(card, root, name) for name in card.pictures}
    shown["drawing"] = {
        "pending": card.is_pending, "reason": card.request.reason if card.request else "",
    }  # fmt: skip
    return shown


def address(card: Card, root: str, name: str) -> str:
    """Return the address of a picture."""
    return f"{root}/pictures/{card.job.id}/{name}.webp?{card.version}"


def number(text: str | None) -> int | None:
    """Return the number of a job that a browser names; None if it is none."""
    return int(text) if text and _NUMBER.fullmatch(text) else None


def _percent(files: Previews) -> tuple[float, float, float, float] | None:
    if files.box is None:
        return None
    x, y, width, height = (round(100 * min(max(part, 0.0), 1.0), 2) for part in files.box)
    return x, y, width, height
