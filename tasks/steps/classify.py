"""The first step: ask what is wrong with a photo and send it to the chain that mends it."""

import dataclasses
import logging

from storage import eligibility, inspection, photos
from storage.database.records import Job
from storage.enums import Decision
from tasks.steps import paths, reuse
from tasks.worker import notify, runtime

log = logging.getLogger(__name__)


def classify(job: Job) -> None:
    """Record the job's category and notify its queue, unless there is nothing to mend."""
    with inspection.opened(paths.source(job), paths.limits()) as seen:
        if reason := eligibility.left_alone(seen):
            return reuse.finish(job, Decision.LEFT_ALONE, reason)
        width, height = seen.size
        job = dataclasses.replace(job, content_hash=seen.content_hash, pixels=width * height)
        if reuse.settle(job):
            return None
        photo = photos.decoded(seen)
    verdict = runtime.classifier()(photo.image, jpeg_quality=photo.jpeg_quality)
    scores = verdict.to_json() | {"classifier": runtime.classifier().name}
    if (untouched := verdict.untouched) is not None:
        return reuse.finish(job, *untouched, scores=scores, category=verdict.category)
    runtime.jobs().classify(
        job, verdict.category, scores, content_hash=job.content_hash, pixels=job.pixels
    )
    log.info("job %d classified as %s", job.id, verdict.category)
    notify.send(verdict.category.value, job.id)
    return None
