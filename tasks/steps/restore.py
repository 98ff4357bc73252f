"""The second step: mend the photo with the chain of its category, and publish the result.

A result that is to wait for the owner's word is put into the state folder, and published when it is
kept.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from storage import (
    atomic_files,
    output_folder,
    photos,
    private_files,
    publishing,
    waiting_results,
)
from storage.beneath import Beneath
from storage.database.records import Job
from storage.enums import Category, Decision, LeastChange, Review
from storage.errors import TooLarge
from storage.formats.turn import Turn
from storage.metadata.provenance import Provenance
from storage.photos import Image, Photo
from storage.settings import settings
from storage.text import printable
from storage.waiting_results import Waiting
from storage.wishes import Wish
from tasks import previews
from tasks.mend import Engine, Mended, mend
from tasks.receipt import provenance, with_copy
from tasks.steps import full_results, paths, reuse
from tasks.steps.publication import SOURCE_SHA256, publish
from tasks.verdict import Verdict
from tasks.worker import runtime

log = logging.getLogger(__name__)


def restore(job: Job) -> None:
    """Publish the restored photo in the output tree, if the rules allow it and the guard accepts it."""
    if reason := _why_not(job):
        return reuse.finish_without_result(job, Decision.LEFT_ALONE, reason)
    if paths.ruling(job).waits and job.review is not Review.KEPT:
        return _let_wait(job)
    relative = paths.reserve(runtime.jobs(), job)
    output = paths.output(job, relative)
    publishing.remove_temporaries(output)
    if _published(job, output):
        return _finish(job, relative, reason="published before its claim ended")
    if turn := _publish_waiting(job, relative):
        return _finish(job, relative, turn)
    photo = photos.read(paths.source(job), paths.limits())
    mended = _mend(job, photo)
    if mended.decision is not Decision.RESTORED:
        return _finish_without_result(job, photo, mended)
    replaced = reuse.check_replaceable(job, output, relative)
    receipt, result = _receipt(job, photo, mended), photo.with_image(mended.image)
    written = publish(
        job, relative, lambda new: photos.write(result, new, _mark(job, receipt), paths.limits()),
        receipt, source_sha256=photo.source_sha256, replaced=replaced,
    )  # fmt: skip
    previews.draw_result(job.id, photo, mended.image)
    _finish(job, relative, written.turn)
    log.info("job %d restored as %s -> %s", job.id, job.category, printable(relative))
    return None


def _let_wait(job: Job) -> None:
    """Mend the photo and let its result wait for the owner's word, if the guard accepts it.

    A result of this job that was published before stays until then.
    """
    photo, limits = photos.read(paths.source(job), paths.limits()), paths.limits()
    output_folder.require_room(settings().state_dir, photo.source_bytes, limits.min_free_bytes)
    mended = _mend(job, photo)
    if mended.decision is not Decision.RESTORED:
        return _finish_without_result(job, photo, mended)
    receipt = _set_aside(job, photo, mended, mended.image)
    paths.end_hold(job)
    reuse.remove_older_results(job)
    runtime.jobs().finish(job, Decision.RESTORED, review=Review.WAITING, receipt=receipt)
    log.info("job %d restored as %s; the result waits for a review", job.id, job.category)
    return None


def _finish_without_result(job: Job, photo: Photo, mended: Mended) -> None:
    """End the claim without a published result; one that the owner wants to see all the same waits."""
    receipt, review = mended.record, None
    if mended.refused is not None:
        receipt, review = _set_aside(job, photo, mended, mended.refused), Review.WAITING
    reuse.finish_without_result(job, mended.decision, mended.reason, receipt=receipt, review=review)


def _set_aside(job: Job, photo: Photo, mended: Mended, image: Image) -> dict[str, Any]:
    """Write a result into the state folder, and return the receipt that names it."""
    receipt, name = _receipt(job, photo, mended), f"{job.id}{photos.output_suffix(job.source)}"
    with waiting_results.writing(settings().state_dir, name) as file:
        written = photos.write(photo.with_image(image), file, _mark(job, receipt), paths.limits())
    previews.draw_result(job.id, photo, image)
    waiting = Waiting(name, written.sha256, mended.reason if mended.refused is not None else None)
    return with_copy(receipt, written) | waiting.to_entry()


def _publish_waiting(job: Job, relative: Path) -> Turn | None:
    """Publish the result that the owner kept; return the turn that it made, None if it is not there."""
    file = waiting_results.file(settings().state_dir, job)
    if job.review is not Review.KEPT or file is None:
        return None
    receipt, source = job.receipt or {}, paths.source(job)
    replaced = reuse.check_replaceable(job, paths.output(job, relative), relative)
    mark = _mark(job, receipt)
    return publish(
        job, relative, lambda new: photos.refreshed(source, file, new, mark, paths.limits()), receipt,
        source_sha256=publishing.sha256(source), replaced=replaced,
    ).turn  # fmt: skip


def _why_not(job: Job) -> str | None:
    """Return which rule leaves the photo alone, perhaps since it was classified; None if none does."""
    assert job.category is not None
    ruling = paths.ruling(job)
    return ruling.why_off or (ruling.why_not(job.category) if job.wish is None else None)


def _finish(job: Job, relative: Path, turn: Turn | None = None, reason: str | None = None) -> None:
    """End the claim of a job whose result is published: its sidecar comes, older results go.

    `turn` is what the result made of the photo; None if an earlier claim published it.
    """
    reuse.copy_sidecar(job, relative, turn)
    reuse.remove_older_results(job, kept=relative)
    runtime.jobs().finish(job, Decision.RESTORED, reason)


def _published(job: Job, output: Beneath) -> bool:
    """Return whether an earlier claim recorded its result and gave it its name, then died.

    The receipt of a result that waits is there before that, and so may be an older result.
    """
    recorded = job.receipt is not None and SOURCE_SHA256 in job.receipt and job.sha256 is not None
    return recorded and publishing.sha256(output) == job.sha256


def _mend(job: Job, photo: Photo) -> Mended:
    """Run the chain of the job's category, and the guard."""
    assert job.category is not None
    category, faces = job.category, paths.ruling(job).faces
    chain = full_results.chain(
        job, photo, faces=faces, load=lambda: runtime.chain(category, faces=faces)
    )
    _check_result_size(photo, chain.scale)
    least = settings().least_change if job.wish is None else LeastChange.ANY
    wish = Wish.of(job)
    engine = Engine(
        runtime.classifier, lambda _: chain, least, paths.strength(job),
        shows_refused=wish is not None and wish.even_if_worse,
    )  # fmt: skip
    verdict = Verdict.from_json(job.scores or {}, jpeg_quality=photo.jpeg_quality)
    return mend(photo.image, engine, verdict=verdict, wraps=photo.wraps)


def _check_result_size(photo: Photo, scale: int) -> None:
    height, width = photo.image.shape[:2]
    megapixels, most = height * width * scale**2 / 1e6, paths.limits().max_pixels / 1e6
    if megapixels > most:
        raise TooLarge(
            f"{scale} times as large it would have {megapixels:.0f} megapixels, and "
            f"max_megapixels = {most:.0f}; set enlarge in [paper] to less"
        )


def _receipt(job: Job, photo: Photo, mended: Mended) -> dict[str, Any]:
    receipt = mended.record
    if job.category is Category.REFLECTION and settings().paper.keep_reflection:
        receipt["reflection"] = str(_kept_reflection(job, photo.image - mended.image))
    return receipt


def _kept_reflection(job: Job, removed: photos.Image) -> Path:
    """Write what was taken away of a photo, and return the file."""
    file = settings().state_dir / "reflections" / f"{job.id}.png"
    private_files.make_folder(file.parent)
    pixels = np.rint(255 * np.clip(removed, 0, 1)).astype(np.uint8)
    with atomic_files.replacing(file) as temporary:
        Pictures.fromarray(pixels).save(temporary, "PNG")
    return file


def _mark(job: Job, receipt: Mapping[str, Any]) -> Provenance:
    return provenance(job, str(job.category), receipt, generative=bool(receipt.get("generative")))
