"""`make try`: mend sample photos or a gallery of the user, and draw them before and after.

The sample photos are part of scikit-image, under free licences. Copies of them are degraded; their
names do not reveal how.
"""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from skimage import data

from daemon.reports import contact_sheet, words
from daemon.supervising import up
from storage import database, jail, photos
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Decision, Degradation
from storage.formats.safe_open import Limits
from storage.photos import Image
from storage.settings import settings
from storage.settings_file import PREFIX
from tasks.evaluation.metrics import psnr
from tasks.imaging.degrade import degrade

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
KINDS = (None, *Degradation)
MAX_PAIRS = 12
"""Maximum number of photos that are drawn before and after."""
LINE = "{:<13} {:<24} {:<17} {:<14} {}"
SEED = 2


@dataclass(frozen=True)
class Sample:
    """A photo of the sample gallery: its original and its degradation, None if clean."""

    photograph: str
    kind: Degradation | None
    original: Image


def run(gallery: Path | None, folder: Path) -> int:
    """Run photomend on a gallery, or on sample photos if it is None; return the exit code."""
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[variable]
    os.environ[PREFIX + "CONFIG"] = os.devnull
    folder = folder.resolve()
    with jail.used():
        if gallery is None:
            return _run_on_samples(folder)
        gallery = gallery.expanduser().resolve()
        return _run_on_gallery(gallery, folder / "own" / gallery.name)


def _run_on_samples(folder: Path) -> int:
    for name in ("gallery", "mended", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    samples = _write_samples(folder / "gallery")
    os.environ |= {PREFIX + "SETTLE_SECONDS": "0.5", PREFIX + "MIN_FREE_MEGABYTES": "50"}
    print(f"{len(samples)} sample photos are in {folder / 'gallery'}")
    code = _mend(folder / "gallery", folder)
    _report(samples, folder / "mended")
    _show_pairs(folder)
    return code


def _run_on_gallery(gallery: Path, folder: Path) -> int:
    """Mend the photos of a gallery, with results and state in `folder`."""
    code = _mend(gallery, folder)
    print(f"the mended copies are in {folder / 'mended'}; {gallery} was not changed")
    _show_pairs(folder)
    return code


def _mend(gallery: Path, folder: Path) -> int:
    os.environ[PREFIX + "STATE_DIR"] = str(folder / "state")
    settings.cache_clear()
    return up.run(gallery, folder / "mended", once=True)


def _write_samples(gallery: Path) -> dict[str, Sample]:
    """Write each photograph clean and with three degradations; return the samples by file name."""
    gallery.mkdir(parents=True)
    pairs = [
        (photograph, KINDS[number])
        for turn, photograph in enumerate(PHOTOGRAPHS)
        for number in sorted({0, *((turn + step) % len(Degradation) + 1 for step in (0, 2, 3))})
    ]
    random.Random(SEED).shuffle(pairs)
    samples = {}
    for number, (photograph, kind) in enumerate(pairs, 1):
        original = getattr(data, photograph)().astype(np.float32) / np.float32(255)
        name = f"photo-{number:02}.jpg"
        image = original if kind is None else degrade(original, kind, number)
        coded = np.rint(image * 255).astype(np.uint8)
        Picture.fromarray(coded).save(gallery / name, quality=95)
        samples[name] = Sample(photograph, kind, original)
    return samples


def _report(samples: dict[str, Sample], mended: Path) -> None:
    """Print what was found in each photo, what was decided, and the PSNR against the original."""
    print(LINE.format("photo", "degradation", "found", "result", "PSNR in dB"))
    for job in _jobs():
        sample = samples[str(job.source)]
        print(
            LINE.format(
                str(job.source), f"{sample.photograph}, {sample.kind or 'none'}",
                words.found(job) or "-", words.short(job), _gain(job, sample.original, mended),
            )
        )  # fmt: skip


def _gain(job: Job, original: Image, mended: Path) -> str:
    if job.output is None:
        return ""
    before = psnr(_image(settings().gallery(job.gallery).path / job.source), original)
    return f"{before:.1f} -> {psnr(_image(mended / job.output), original):.1f}"


def _show_pairs(folder: Path) -> None:
    pairs = list(islice(_pairs(folder / "mended"), MAX_PAIRS))
    if pairs:
        contact_sheet.write(pairs, folder / "sheet.jpg")
        print(f"before (left) and after (right): {folder / 'sheet.jpg'}")
    else:
        print("no photo was mended; this shows why:")
        print(f"PHOTOMEND_STATE_DIR={folder / 'state'} .venv/bin/photomend jobs")


def _pairs(mended: Path) -> Iterator[contact_sheet.Strip]:
    for job in _jobs():
        if job.decision is Decision.RESTORED and job.output is not None:
            before = _image(settings().gallery(job.gallery).path / job.source)
            after = _image(mended / job.output)
            if before.shape == after.shape:
                title, headings = f"{job.source}: {words.done(job)}", ("before", "after")
                yield contact_sheet.Strip(title, headings, (before, after))


def _image(path: Path) -> Image:
    return photos.read(path.resolve(), Limits.of(settings())).image


def _jobs() -> list[Job]:
    """Return the jobs, sorted by the paths of their photos."""
    engine = database.open_engine(settings().database)
    found = [job for job in search.jobs(engine, Filter()) if job.gone_at is None]
    engine.dispose()
    return sorted(found, key=lambda job: (job.source, job.id))
