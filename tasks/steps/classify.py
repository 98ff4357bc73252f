"""The first step: classify a photo, and queue it for the chain of its category."""

import dataclasses
import logging

from storage import eligibility, inspection, photos
from storage.database.records import Job
from storage.enums import CLASSIFY, Category, Decision, EngineName
from tasks.engines import engine_of
from tasks.steps import paths, reuse
from tasks.verdict import Verdict
from tasks.worker import notify, runtime

log = logging.getLogger(__name__)


def classify(job: Job) -> None:
    """Record the job's category and notify its queue, or end the job if there is nothing to mend."""
    with inspection.opened(paths.source(job), paths.limits()) as inspected:
        if reason := eligibility.left_alone(inspected):
            return reuse.finish_without_result(job, Decision.LEFT_ALONE, reason)
        width, height = inspected.size
        job = dataclasses.replace(job, content_hash=inspected.content_hash, pixels=width * height)
        if reuse.decide(job):
            return None
        photo = photos.decoded(inspected)
    verdict = runtime.classifier()(photo.image, jpeg_quality=photo.jpeg_quality)
    scores = verdict.to_json() | {"classifier": runtime.classifier().name}
    if (untouched := verdict.untouched) is not None and not _is_for_paper(verdict):
        return reuse.finish_without_result(
            job, *untouched, scores=scores, category=verdict.category
        )
    runtime.jobs().classify(
        job, verdict.category, scores, content_hash=job.content_hash, pixels=job.pixels
    )
    log.info("job %d classified as %s", job.id, verdict.category)
    notify.send(verdict.category.value, job.id)
    return None


def _is_for_paper(verdict: Verdict) -> bool:
    """Return whether a movement that the lite engine cannot mend goes to the paper engine."""
    engines = engine_of(CLASSIFY), engine_of(Category.MOTION_BLUR)
    return verdict.surely_moved and engines == (EngineName.LITE, EngineName.PAPER)
