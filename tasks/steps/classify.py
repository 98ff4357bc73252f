"""The first step: ask what is wrong with a photo and send it to the chain that mends it."""

import dataclasses
import logging
from typing import Any

from storage import photos
from storage.database.tables import Job
from storage.enums import Category, Decision
from tasks.steps import paths, reuse
from tasks.verdict import Verdict
from tasks.worker import runtime
from tasks.worker.notify import ring

log = logging.getLogger(__name__)


def classify(job: Job) -> None:
    """Record the job's category and ring for its chain, unless there is nothing to mend."""
    source, limits = paths.source(job), paths.limits()
    if reason := photos.left_alone(source, limits):
        return reuse.finish(job, Decision.LEFT_ALONE, reason)
    width, height = photos.size(source, limits)
    job = dataclasses.replace(job, content_hash=photos.content_hash(source), pixels=width * height)
    if reuse.settle(job):
        return None
    photo = photos.read(source, limits)
    verdict = runtime.classifier()(photo.image, jpeg_quality=photo.jpeg_quality)
    scores = _shown(verdict)
    if not verdict.confident or verdict.category is Category.CLEAN:
        return reuse.finish(job, *_untouched(verdict), scores=scores, category=verdict.category)
    runtime.jobs().classify(
        job, verdict.category, scores, content_hash=job.content_hash, pixels=job.pixels
    )
    log.info("job %d classified as %s", job.id, verdict.category)
    ring(verdict.category.value, job.id)
    return None


def _untouched(verdict: Verdict) -> tuple[Decision, str | None]:
    """Return the decision for a photo that no chain will touch."""
    if verdict.confident:
        return Decision.CLEAN, None
    category = verdict.category
    return Decision.UNSURE, f"perhaps {category} ({verdict.scores[category]:.2f})"


def _shown(verdict: Verdict) -> dict[str, Any]:
    return {
        "scores": {name.value: round(score, 4) for name, score in verdict.scores.items()},
        "severities": {name.value: round(s, 4) for name, s in verdict.severities.items()},
        "confident": verdict.confident,
        "classifier": runtime.classifier().name,
    }
