"""Same photo, same work: what is known of a photo's coded image already decides its job.

A photo that was only tagged, moved or copied has the content hash of a finished job; one whose
job was lost with the database has an output that says so in its metadata.
"""

import logging
from pathlib import Path
from typing import Any

from storage import photos, publishing
from storage.database import search
from storage.database.records import Job
from storage.enums import ASKED_FOR, Category, Decision
from storage.errors import OutputTaken
from storage.metadata import sidecar
from tasks.receipt import provenance
from tasks.steps import paths
from tasks.worker import runtime

log = logging.getLogger(__name__)


def settle(job: Job) -> bool:
    """End the claim if what is known decides the job; its content hash must be set.

    What a person asks for is done again.
    """
    if job.rank == ASKED_FOR:
        return False
    for twin in search.same_content(runtime.jobs().engine, job, str(job.content_hash)):
        if twin.decision is not None and twin.decision is not Decision.RESTORED:
            finish(job, twin.decision, twin.reason, scores=twin.scores, category=twin.category)
            return True
        if _share(job, twin):
            return True
    return _adopt(job)


def finish(job: Job, decision: Decision, reason: str | None = None, **values: Any) -> None:
    """End the claim without a result; that of an older version of the photo goes with it."""
    jobs = runtime.jobs()
    jobs.finish(
        job, decision, reason, output=None, sha256=None,
        content_hash=job.content_hash, pixels=job.pixels, **values,
    )  # fmt: skip
    log.info("job %d: %s%s", job.id, decision, f", {reason}" if reason else "")
    mine = [job] if job.sha256 is not None else []
    for old in [*mine, *search.older(jobs.engine, job)]:
        if old.output is not None and publishing.remove(paths.output(old, old.output), old.sha256):
            jobs.forget_output(old)


def _share(job: Job, twin: Job) -> bool:
    """Give the job the result of its finished twin, with the metadata it has now."""
    if twin.output is None or twin.sha256 is None:
        return False
    jobs, theirs = runtime.jobs(), paths.output(twin, twin.output)
    if publishing.sha256(theirs) != twin.sha256:
        if twin.source == job.source and theirs.exists():
            raise OutputTaken(f"its result {twin.output} was changed by its owner and stays")
        return False
    moved = twin.source != job.source and not paths.source(twin).exists()
    relative = paths.reserve(jobs, job)
    output = paths.output(job, relative)
    check_replaceable(job, output, relative)
    temporary = publishing.temporary(output, job.id, job.claims)
    publishing.sweep(output)
    try:
        mark = provenance(job, str(twin.category), {})
        sha256 = photos.refreshed(paths.source(job), theirs, temporary, mark, paths.limits())
        photos.keep_times_and_mode(paths.source(job), temporary)
        jobs.record(job, relative, sha256, twin.receipt or {})
        publishing.publish(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    sidecar.copy_sidecar(paths.source(job), output)
    jobs.finish(
        job, Decision.RESTORED, f"the result of {twin.source}, the same photo",
        category=twin.category, scores=twin.scores,
        content_hash=job.content_hash, pixels=job.pixels,
    )  # fmt: skip
    if twin.source == job.source or (moved and publishing.remove(theirs, twin.sha256)):
        jobs.forget_output(twin)
    log.info("job %d: restored like job %d, the same photo", job.id, twin.id)
    return True


def _adopt(job: Job) -> bool:
    """Take up a result that lies there already, made before the database was lost."""
    known = paths.gallery(job)
    suffix = photos.output_suffix(known.path / job.source)
    for relative in publishing.candidates(job.source, known.template, suffix):
        output = known.output_root / relative
        mark = photos.ours(output) if output.is_file() else None
        if mark is None or mark.content_hash != job.content_hash:
            continue
        if mark.source != str(job.source) or mark.gallery != job.gallery:
            continue
        if not photos.untouched(output):
            raise OutputTaken(f"its result {relative} was changed by its owner and stays")
        sha256 = publishing.sha256(output)
        if sha256 is None or not runtime.jobs().reserve(job, relative):
            continue
        runtime.jobs().finish(
            job, Decision.RESTORED, "its result was there already", output=relative,
            sha256=sha256, category=Category(mark.category),
            content_hash=job.content_hash, pixels=job.pixels,
        )  # fmt: skip
        log.info("job %d: its result was there already", job.id)
        return True
    return False


def check_replaceable(job: Job, output: Path, relative: Path) -> None:
    """Raise unless nothing lies at `output`, or only what we made of this photo.

    Raises:
        OutputTaken: it is another's file, or its owner changed it.

    """
    found = publishing.sha256(output)
    older = search.older(runtime.jobs().engine, job)
    if found is None or found in {job.sha256, *(old.sha256 for old in older)}:
        return
    mark = photos.ours(output)
    if mark is None or mark.source != str(job.source) or not photos.untouched(output):
        raise OutputTaken(
            f"{relative} in the output folder is not ours, or was changed by its owner; it stays"
        )
