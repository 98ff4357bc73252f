"""The first step: classify a photo, and queue it for the chain of its category."""

import dataclasses
import logging
from typing import Any

from storage import eligibility, inspection, photos
from storage.database.records import Job
from storage.enums import CLASSIFY, Category, Decision, EngineName
from storage.photos import Photo
from storage.rules import Ruling
from storage.wishes import Wish
from tasks import previews
from tasks.engines import engine_of
from tasks.steps import paths, remembered, reuse
from tasks.verdict import Verdict
from tasks.worker import notify, runtime

log = logging.getLogger(__name__)


def classify(job: Job) -> None:
    """Record the job's category and notify its queue, or end the job if there is nothing to mend."""
    ruling = paths.ruling(job)
    if reason := ruling.why_off:
        return reuse.finish_without_result(job, Decision.LEFT_ALONE, reason)
    with inspection.opened(paths.source(job), paths.limits()) as inspected:
        job = remembered.with_wish(job, inspected)
        allowed = ruling.allowed if job.wish is None else eligibility.ASKED_FOR
        if reason := eligibility.left_alone(inspected, allowed):
            return reuse.finish_without_result(job, Decision.LEFT_ALONE, reason)
        width, height = inspected.size
        job = dataclasses.replace(job, content_hash=inspected.content_hash, pixels=width * height)
        if reuse.decide(job):
            return None
        photo = photos.decoded(inspected)
    previews.draw_photo(job.id, photo)
    return _classified(reuse.with_earlier_wish(job), photo, ruling)


def _classified(job: Job, photo: Photo, ruling: Ruling) -> None:
    """Record the verdict on a photo, or that it stays as it is."""
    verdict, wish = runtime.classifier()(photo.image, jpeg_quality=photo.jpeg_quality), Wish.of(job)
    scores = verdict.to_json() | {"classifier": runtime.classifier().name}
    if wish is not None:
        verdict, found = verdict.asked_for(wish.category), scores
        scores = found | verdict.to_json()
        scores |= {"found": found["scores"]} if scores != found else {}
    elif stays := untouched(verdict, ruling):
        return reuse.finish_without_result(job, *stays, scores=scores, category=verdict.category)
    kept: dict[str, Any] = {"content_hash": job.content_hash, "pixels": job.pixels}
    runtime.jobs().classify(job, verdict.category, scores, wish=job.wish, **kept)
    log.info("job %d classified as %s", job.id, verdict.category)
    notify.send(verdict.category.value, job.id)
    return None


def untouched(verdict: Verdict, ruling: Ruling) -> tuple[Decision, str | None] | None:
    """Return the decision for a photo that no chain may touch, and its reason; None if one may."""
    if verdict.untouched is not None and not _is_for_paper(verdict):
        return verdict.untouched
    reason = ruling.why_not(verdict.category)
    return (Decision.LEFT_ALONE, reason) if reason else None


def _is_for_paper(verdict: Verdict) -> bool:
    """Return whether a movement that the lite engine cannot mend goes to the paper engine."""
    engines = engine_of(CLASSIFY), engine_of(Category.MOTION_BLUR)
    return verdict.surely_moved and engines == (EngineName.LITE, EngineName.PAPER)
