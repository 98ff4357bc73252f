"""What a result says of its making, from a job and the receipt of its restoration."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from storage.database.tables import Job
from storage.photos import Provenance


def of(
    job: Job, category: str, receipt: Mapping[str, Any], *, generative: bool = False
) -> Provenance:
    """Return the provenance of a result of `job`, whose content hash is known."""
    steps = receipt.get("steps", [])
    return Provenance(
        gallery=job.gallery, source=str(job.source), content_hash=job.content_hash or "",
        job_id=job.id, claim=job.claims, category=category,
        software=f"photomend {version('photomend')}", generative=generative,
        mended_at=datetime.now(UTC), steps=", ".join(str(step["step"]) for step in steps),
    )  # fmt: skip
