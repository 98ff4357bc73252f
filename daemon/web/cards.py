"""What the page shows of a job: its words, its pictures and what may be done with it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.web import words
from storage import preview_files
from storage.database.records import Job
from storage.enums import Decision, Review, Status
from storage.preview_files import Previews

PICTURES = ("before", "after", "crop_before", "crop_after")
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
    if job.decision is Decision.RESTORED:
        return ("keep", "reject", "mend")
    return ("reject", "mend") if job.review is Review.WAITING else ("mend",)


def of(state_dir: Path, job: Job) -> Card:
    """Return the card of a job."""
    files = preview_files.of(state_dir, job.id)
    present = tuple(name for name in PICTURES if getattr(files, name) is not None)
    return Card(job, present, _percent(files))


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
    shown["pictures"] = {name: f"{root}/pictures/{job.id}/{name}.webp" for name in card.pictures}
    return shown


def number(text: str | None) -> int | None:
    """Return the number of a job that a browser names; None if it is none."""
    return int(text) if text and _NUMBER.fullmatch(text) else None


def _percent(files: Previews) -> tuple[float, float, float, float] | None:
    if files.box is None:
        return None
    x, y, width, height = (round(100 * min(max(part, 0.0), 1.0), 2) for part in files.box)
    return x, y, width, height
