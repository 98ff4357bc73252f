"""Decide a job from an earlier one with the same content, or from a result that is there already.

A photo that was only tagged, moved or copied has the content hash of a finished job. If the database
was lost, the metadata of the result name the photo and its content hash.
"""

import logging
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from storage import photos, preview_files, publishing
from storage.beneath import Beneath
from storage.database import conditions, output_names, search
from storage.database.records import Job
from storage.database.reviews import REJECTED
from storage.enums import ASKED, Category, Decision, LeastChange, Review, Strength
from storage.errors import OutputTaken
from storage.formats.turn import Turn
from storage.metadata import sidecar, sidecar_copies
from storage.metadata.provenance import place_of
from storage.settings import settings
from storage.text import printable
from tasks.imaging.visibility import VISIBLE
from tasks.receipt import provenance
from tasks.steps import paths, remembered
from tasks.steps.publication import SOURCE_SHA256, publish
from tasks.worker import runtime

log = logging.getLogger(__name__)


def decide(job: Job) -> bool:
    """End the claim if an earlier job or result decides it; return whether it did.

    The job's content hash must be set. A job that a person asked for is computed again.
    """
    if job.rank in ASKED:
        return False
    same = search.same_content(runtime.jobs().engine, job, str(job.content_hash))
    if any(each.review is Review.WAITING and each.source == job.source for each in same):
        return False
    for earlier in (each for each in same if _still_holds(job, each)):
        if earlier.decision is not None and earlier.decision is not Decision.RESTORED:
            finish_without_result(
                replace(job, wish=earlier.wish),
                earlier.decision,
                earlier.reason,
                scores=earlier.scores,
                category=earlier.category,
                receipt=earlier.receipt,
            )
            _share_previews(job, earlier)
            return True
        if _reuse_result(job, earlier):
            _share_previews(job, earlier)
            return True
    return _use_existing_result(job) or (not same and _keep_rejected(job))


def _share_previews(job: Job, earlier: Job) -> None:
    with suppress(OSError):  # some file systems have no hard links
        preview_files.share(settings().state_dir, earlier.id, job.id)


def with_earlier_wish(job: Job) -> Job:
    """Return a job with the wish of an earlier version of its photo that had the same content."""
    if job.wish is not None:
        return job
    same = search.same_content(runtime.jobs().engine, job, str(job.content_hash))
    wishes = [each.wish for each in same if each.source == job.source and each.wish is not None]
    return replace(job, wish=wishes[0]) if wishes else job


def _still_holds(job: Job, earlier: Job) -> bool:
    """Return whether the present settings would decide the same for a job as for an earlier one."""
    if earlier.reason == REJECTED:
        return True
    if earlier.review in (Review.WAITING, Review.DELETED, Review.DELETING):
        return False
    wanted = paths.strength(replace(job, wish=earlier.wish))
    made = (earlier.receipt or {}).get("strength", Strength.NORMAL if earlier.receipt else wanted)
    mended = earlier.decision not in (Decision.CLEAN, Decision.UNSURE)
    excluded = mended and earlier.category and paths.ruling(job).why_not(earlier.category)
    if made != wanted or (excluded and earlier.wish is None):
        return False
    return _is_as_visible(earlier)


def _is_as_visible(earlier: Job) -> bool:
    """Return whether an earlier decision would be the same with the present `least_change`."""
    if earlier.wish is not None:
        return True
    change = (earlier.receipt or {}).get("guard", {}).get("visible_change", VISIBLE)
    if change >= VISIBLE:
        return True
    unwanted = {LeastChange.ANY: Decision.CLEAN, LeastChange.VISIBLE: Decision.RESTORED}
    return earlier.decision is not unwanted[settings().least_change]


def finish_without_result(
    job: Job, decision: Decision, reason: str | None = None, **values: Any
) -> None:
    """Remove the results of this photo's older versions, and end the claim without a result.

    In this order, so that the next claim goes on with it if this process is killed in between.
    """
    jobs = runtime.jobs()
    remove_older_results(job)
    if job.output is not None:
        _remove_result(job, job.output)
    jobs.finish(
        job, decision, reason, content_hash=job.content_hash, pixels=job.pixels, wish=job.wish,
        **conditions.NO_OUTPUT, **values,
    )  # fmt: skip
    log.info("job %d: %s%s", job.id, decision, f", {reason}" if reason else "")


def remove_older_results(job: Job, kept: Path | None = None) -> None:
    """Remove the results of this photo's older versions, except one that has the name `kept`."""
    jobs = runtime.jobs()
    for old in search.older(jobs.engine, job):
        if old.output is not None and (old.output == kept or _remove_result(old, old.output)):
            jobs.forget_output(old)


def _remove_result(job: Job, output: Path) -> bool:
    """Remove a result and the copies of its sidecars, unless it was changed; return whether it is gone."""
    result = paths.output(job, output)
    if not publishing.remove(result, job.sha256):
        return False
    sidecar_copies.remove(result, job.receipt)
    return True


def _reuse_result(job: Job, earlier: Job) -> bool:
    """Publish the result of an earlier job for this one, with the photo's present metadata."""
    if earlier.output is None or earlier.sha256 is None:
        return False
    jobs, result = runtime.jobs(), paths.output(earlier, earlier.output)
    is_other = earlier.source != job.source
    moved = is_other and paths.source_gone(jobs, earlier)
    if is_other and not moved and paths.ruling(job).waits:
        return False
    if moved and not result.exists():
        result = _moved_along(job, earlier) or result
    # It is this job's own if an earlier claim published it in place and then ended.
    found = publishing.sha256(result)
    if found not in {earlier.sha256, job.sha256} - {None}:
        if earlier.source == job.source and result.exists():
            raise OutputTaken(
                f"its result {printable(earlier.output)} was changed by its owner and stays"
            )
        return False
    source_sha256 = publishing.sha256(paths.source(job))
    if earlier.source == job.source and _is_up_to_date(job, earlier, result, source_sha256):
        jobs.finish(
            job, Decision.RESTORED, "its result is there, and the photo has not changed",
            wish=earlier.wish, category=earlier.category, scores=earlier.scores, receipt=earlier.receipt,
            content_hash=job.content_hash, pixels=job.pixels,
            output=earlier.output, sha256=earlier.sha256,
        )  # fmt: skip
        jobs.forget_output(earlier)
        return True
    relative = paths.reserve(jobs, job)
    output = paths.output(job, relative)
    in_place = output.exists() and os.path.samestat(output.status(), result.status())
    replaced = found if in_place else check_replaceable(job, output, relative)
    publishing.remove_temporaries(output)
    mark = provenance(job, str(earlier.category), {})
    written = publish(
        job, relative,
        lambda file: photos.refreshed(paths.source(job), result, file, mark, paths.limits()),
        earlier.receipt or {}, source_sha256=source_sha256, replaced=replaced,
    )  # fmt: skip
    copy_sidecar(job, relative, written.turn)
    jobs.finish(
        job, Decision.RESTORED, f"the result of {printable(earlier.source)}, the same photo",
        category=earlier.category, scores=earlier.scores, wish=earlier.wish,
        content_hash=job.content_hash, pixels=job.pixels,
    )  # fmt: skip
    here = in_place or earlier.source == job.source
    gone = not here and moved and publishing.remove(result, earlier.sha256)
    if gone:
        sidecar_copies.remove(result, earlier.receipt)
    if here or gone:
        jobs.forget_output(earlier)
    log.info("job %d reuses the result of job %d, the same photo", job.id, earlier.id)
    return True


def _is_up_to_date(job: Job, earlier: Job, result: Beneath, source_sha256: str | None) -> bool:
    """Return whether a result has all that the photo and its sidecars hold now."""
    made_of = (earlier.receipt or {}).get(SOURCE_SHA256)
    return (
        made_of is not None
        and made_of == source_sha256
        and sidecar.are_copied(paths.source(job), result)
    )


def _moved_along(job: Job, earlier: Job) -> Beneath | None:
    """Return the result of a photo that was moved, if its owner moved it to its new place, too."""
    template, suffix = paths.gallery(job).template, photos.output_suffix(job.source)
    for relative in publishing.candidates(job.source, template, suffix):
        result = paths.output(job, relative)
        if publishing.sha256(result) == earlier.sha256:
            return result
    return None


def copy_sidecar(job: Job, relative: Path, turn: Turn | None = None) -> None:
    """Copy the sidecars of a photo beside its published result, before its claim ends.

    `turn` is what the result made of the photo; None if that was published before this claim.
    """
    source, result = paths.source(job), paths.output(job, relative)
    if turn is None:
        turn = photos.turn_of(source, result, paths.limits())
    sidecar.copy_sidecar(source, result, turn)


def _keep_rejected(job: Job) -> bool:
    """End the claim if the owner rejected the result of this photo before the database was lost."""
    if (rejected := remembered.rejected(job)) is None:
        return False
    finish_without_result(job, Decision.KEPT_ORIGINAL, REJECTED, **rejected)
    return True


def _use_existing_result(job: Job) -> bool:
    """Use a result that is there already: it was made before the database was lost."""
    template, suffix = paths.gallery(job).template, photos.output_suffix(job.source)
    for relative in publishing.candidates(job.source, template, suffix):
        output = paths.output(job, relative)
        mark = photos.ours(output) if output.is_file() else None
        if mark is None or mark.content_hash != job.content_hash:
            continue
        if mark.place != place_of(job.gallery, job.source) or mark.category not in {*Category}:
            continue
        sha256 = publishing.sha256(output)
        if sha256 == "" or not photos.untouched(output):
            raise OutputTaken(
                f"its result {printable(relative)} was changed by its owner and stays"
            )
        if sha256 is None or not output_names.reserve(runtime.jobs().engine, job, relative):
            continue
        copy_sidecar(job, relative)
        kept = remembered.is_kept(job)
        runtime.jobs().finish(
            job, Decision.RESTORED, "its result was there already", output=relative,
            sha256=sha256, category=Category(mark.category), wish=job.wish,
            content_hash=job.content_hash, pixels=job.pixels, review=Review.KEPT if kept else None,
        )  # fmt: skip
        log.info("job %d: its result was there already", job.id)
        return True
    return False


def check_replaceable(job: Job, output: Beneath, relative: Path) -> str | None:
    """Return the SHA-256 of the unchanged result of this photo at `output`; None if it is free.

    Raises:
        OutputTaken: it is another's file, or its owner changed it.

    """
    found = publishing.sha256(output)
    older = search.older(runtime.jobs().engine, job)
    if found is None or found in {job.sha256, *(old.sha256 for old in older)}:
        return found
    mark = photos.ours(output) if found else None
    is_ours = mark is not None and mark.place == place_of(job.gallery, job.source)
    if not is_ours or not photos.untouched(output):
        raise OutputTaken(
            f"{printable(relative)} in the output folder is not ours, or was changed by its owner; "
            "it stays"
        )
    return found
