"""Write a result and publish it, so that a kill at any moment loses and doubles nothing.

The hash of the result is recorded, then the file is renamed. Each claim first removes the temporary
files of earlier claims. So a worker that was frozen between the two steps finds no file to rename when
it comes back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from storage import file_attributes, publishing
from storage.database.records import Job
from storage.metadata import sidecar, sidecar_copies
from storage.photos import Written
from tasks.receipt import with_copy
from tasks.steps import paths
from tasks.worker import runtime

SOURCE_SHA256 = "source_sha256"
"""The entry of a receipt with the SHA-256 of the whole photo, metadata included."""


def publish(
    job: Job, relative: Path, write: Callable[[BinaryIO], Written], receipt: Mapping[str, Any],
    *, source_sha256: str | None, replaced: str | None,
) -> Written:  # fmt: skip
    """Publish what `write` writes as the result of a job whose claim lasts.

    `replaced` is the SHA-256 of the result that may be replaced; None if there is none.
    """
    output = paths.output(job, relative)
    with publishing.draft(output, job.id, job.claims) as draft:
        with paths.writing(job, relative):
            written = write(draft.file)
        file_attributes.keep(paths.source(job), draft.file)
        whole = with_copy(receipt, written) | {SOURCE_SHA256: source_sha256}
        whole |= sidecar_copies.recorded(receipt, sidecar.hashes(paths.source(job), written.turn))
        runtime.jobs().record(job, relative, written.sha256, whole)
        paths.publish(job, draft, relative, replaced)
    return written
