"""The receipt of a restoration, and the provenance that a copy gets from it.

A receipt holds the steps, the networks and the seconds.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from storage.metadata.provenance import Provenance, place_of

if TYPE_CHECKING:
    from storage.database.records import Job
    from storage.photos import Written
    from tasks.imaging.light import Plane


@dataclass
class Receipt:
    """The steps of one chain on one photo, in order, as plain JSON values."""

    steps: list[dict[str, object]] = field(default_factory=list)
    generative: bool = False
    """Whether a step may have invented content; it is written into the copy's metadata."""
    from_full_result: bool = False
    """Whether the steps ran for an earlier result, whose pixels were kept."""
    text: "Plane | None" = None
    """Mask of the text that a step found, for the guard; None if none looked for it."""

    @contextmanager
    def step(self, name: str, **facts: object) -> Iterator[dict[str, object]]:
        """Note a step that runs inside the `with`, its seconds and `facts` (weights, tiles, …).

        Gives the step's entry, so that facts known only afterwards can be added.
        """
        entry: dict[str, object] = {"step": name, **facts}
        begun = time.perf_counter()
        yield entry
        entry["seconds"] = round(time.perf_counter() - begun, 3)
        self.steps.append(entry)


def with_copy(receipt: Mapping[str, Any], written: "Written") -> dict[str, Any]:
    """Return a receipt with what is known of the copy: its size, and what was not carried over."""
    made = {name: value for name, value in receipt.items() if name != "dropped_metadata"}
    if written.receipt:
        made["copy"] = dict(written.receipt)
    if written.dropped:
        made["dropped_metadata"] = list(written.dropped)
    return made


def provenance(
    job: "Job", category: str, receipt: Mapping[str, Any], *, generative: bool = False
) -> Provenance:
    """Return the provenance of the result of a job whose content hash is set."""
    steps = receipt.get("steps", [])
    return Provenance(
        place=place_of(job.gallery, job.source), content_hash=job.content_hash or "",
        job_id=job.id, claim=job.claims, category=category,
        software=f"photomend {version('photomend')}", generative=generative,
        mended_at=datetime.now(UTC), steps=", ".join(str(step["step"]) for step in steps),
    )  # fmt: skip
