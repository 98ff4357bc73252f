"""The second step: mend the photo with the chain of its category, and publish the result.

Publishing has two steps: the hash of the result is recorded, then the file is renamed. Each
restoration first removes the temporary files of earlier claims. So a worker that was frozen between
the two steps finds no file to rename when it comes back.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from storage import atomic_files, file_attributes, photos, private_files, publishing
from storage.beneath import Beneath
from storage.database.records import Job
from storage.enums import Category, Decision, LeastChange
from storage.errors import TooLarge
from storage.formats.turn import Turn
from storage.photos import Photo, Written
from storage.settings import settings
from storage.text import printable
from tasks.mend import Engine, Mended, mend
from tasks.receipt import provenance, with_copy
from tasks.steps import full_results, paths, reuse
from tasks.verdict import Verdict
from tasks.worker import runtime

log = logging.getLogger(__name__)


def restore(job: Job) -> None:
    """Publish the restored photo in the output tree, if the rules allow it and the guard accepts it."""
    if reason := _why_not(job):
        return reuse.finish_without_result(job, Decision.LEFT_ALONE, reason)
    jobs = runtime.jobs()
    relative = paths.reserve(jobs, job)
    output = paths.output(job, relative)
    publishing.remove_temporaries(output)
    if _published(job, output):
        return _finish(job, relative, reason="published before its claim ended")
    photo = photos.read(paths.source(job), paths.limits())
    mended = _mend(job, photo)
    if mended.decision is not Decision.RESTORED:
        return reuse.finish_without_result(
            job, mended.decision, mended.reason, receipt=mended.record
        )
    receipt = mended.record
    replaced = reuse.check_replaceable(job, output, relative)
    if job.category is Category.REFLECTION and settings().paper.keep_reflection:
        receipt["reflection"] = str(_kept_reflection(job, photo.image - mended.image))
    written = _publish(job, photo.with_image(mended.image), relative, receipt, replaced)
    _finish(job, relative, written.turn)
    log.info("job %d restored as %s -> %s", job.id, job.category, printable(relative))
    return None


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
    """Return whether an earlier claim recorded its result and gave it its name, then died."""
    recorded = job.receipt is not None and job.sha256 is not None
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
    engine = Engine(runtime.classifier, lambda _: chain, least, paths.strength(job))
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


def _kept_reflection(job: Job, removed: photos.Image) -> Path:
    """Write what was taken away of a photo, and return the file."""
    file = settings().state_dir / "reflections" / f"{job.id}.png"
    private_files.make_folder(file.parent)
    pixels = np.rint(255 * np.clip(removed, 0, 1)).astype(np.uint8)
    with atomic_files.replacing(file) as temporary:
        Pictures.fromarray(pixels).save(temporary, "PNG")
    return file


def _publish(
    job: Job, photo: Photo, relative: Path, receipt: dict[str, Any], replaced: str | None
) -> Written:
    mark = provenance(job, str(job.category), receipt, generative=bool(receipt["generative"]))
    with publishing.draft(paths.output(job, relative), job.id, job.claims) as draft:
        with paths.writing(job, relative):
            written = photos.write(photo, draft.file, mark, paths.limits())
        file_attributes.keep(paths.source(job), draft.file)
        receipt = with_copy(receipt, written) | {reuse.SOURCE_SHA256: photo.source_sha256}
        runtime.jobs().record(job, relative, written.sha256, receipt)
        paths.publish(job, draft, relative, replaced)
    return written
