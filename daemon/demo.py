"""`make try`: mend real photographs in a scratch gallery, or one's own, and show before and after.

The photographs come with scikit-image, under free licences; the program spoils copies of them and
names them so that nothing tells the classifier how.
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

from daemon.reports import contact_sheet
from daemon.supervising import up
from storage import database, photos
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Decision, Degradation
from storage.formats.safe_open import Limits
from storage.photos import Image
from storage.settings import PREFIX, settings
from tasks.evaluation.metrics import psnr
from tasks.imaging.degrade import degrade

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
KINDS = (None, *Degradation)
PAIRS = 12
LINE = "{:<13} {:<24} {:<17} {:<14} {}"
SEED = 2


@dataclass(frozen=True)
class Spoilt:
    """What a photo of the scratch gallery is in truth."""

    photograph: str
    kind: Degradation | None
    truth: Image


def run(gallery: Path | None, folder: Path) -> int:
    """Try photomend out on one's own gallery, or on a scratch one; return the exit code."""
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[variable]
    os.environ[PREFIX + "CONFIG"] = os.devnull
    folder = folder.resolve()
    if gallery is None:
        return _on_photographs(folder)
    gallery = gallery.expanduser().resolve()
    return _on_own(gallery, folder / "own" / gallery.name)


def _on_photographs(folder: Path) -> int:
    for name in ("gallery", "mended", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    spoilt = _spoil(folder / "gallery")
    os.environ |= {PREFIX + "SETTLE_SECONDS": "0.5", PREFIX + "MIN_FREE_MEGABYTES": "50"}
    print(f"{len(spoilt)} photos lie in {folder / 'gallery'}; photomend is not told what they lack")
    code = _mend(folder / "gallery", folder)
    _report(spoilt, folder / "mended")
    _show_pairs(folder)
    return code


def _on_own(gallery: Path, folder: Path) -> int:
    """Mend one's own photos, with results and records in the scratch folder."""
    code = _mend(gallery, folder)
    print(f"the mended copies lie in {folder / 'mended'}; nothing was written into {gallery}")
    _show_pairs(folder)
    return code


def _mend(gallery: Path, folder: Path) -> int:
    os.environ[PREFIX + "STATE_DIR"] = str(folder / "state")
    settings.cache_clear()
    return up.run(gallery, folder / "mended", once=True)


def _spoil(gallery: Path) -> dict[str, Spoilt]:
    """Fill the scratch gallery: each photograph clean and in three ways spoilt, in no order."""
    gallery.mkdir(parents=True)
    wanted = [
        (photograph, KINDS[number])
        for turn, photograph in enumerate(PHOTOGRAPHS)
        for number in sorted({0, *((turn + step) % len(Degradation) + 1 for step in (0, 2, 3))})
    ]
    random.Random(SEED).shuffle(wanted)
    made = {}
    for number, (photograph, kind) in enumerate(wanted, 1):
        truth = getattr(data, photograph)().astype(np.float32) / np.float32(255)
        name = f"photo-{number:02}.jpg"
        image = truth if kind is None else degrade(truth, kind, number)
        coded = np.rint(image * 255).astype(np.uint8)
        Picture.fromarray(coded).save(gallery / name, quality=95)
        made[name] = Spoilt(photograph, kind, truth)
    return made


def _report(spoilt: dict[str, Spoilt], mended: Path) -> None:
    """Print what was done to each photo, what was found and how near it came to the truth."""
    print(LINE.format("photo", "truth", "found", "decided", "PSNR in dB"))
    for job in _jobs():
        truth = spoilt[str(job.source)]
        print(
            LINE.format(
                str(job.source), f"{truth.photograph}, {truth.kind or 'not spoilt'}",
                job.category or "-", job.decision or job.status, _gain(job, truth.truth, mended),
            )
        )  # fmt: skip


def _gain(job: Job, truth: Image, mended: Path) -> str:
    if job.output is None:
        return ""
    before = psnr(_image(settings().gallery(job.gallery).path / job.source), truth)
    return f"{before:.1f} -> {psnr(_image(mended / job.output), truth):.1f}"


def _show_pairs(folder: Path) -> None:
    pairs = list(islice(_pairs(folder / "mended"), PAIRS))
    if pairs:
        contact_sheet.write(pairs, folder / "sheet.jpg")
        print(f"before (left) and after (right): {folder / 'sheet.jpg'}")
    else:
        print("no photo needed mending, or none could be: photomend says why with `make try`'s")
        print(f"records: PHOTOMEND_STATE_DIR={folder / 'state'} .venv/bin/photomend jobs")


def _pairs(mended: Path) -> Iterator[contact_sheet.Strip]:
    for job in _jobs():
        if job.decision is Decision.RESTORED and job.output is not None:
            before = _image(settings().gallery(job.gallery).path / job.source)
            after = _image(mended / job.output)
            if before.shape == after.shape:
                yield contact_sheet.Strip(f"{job.source}: {job.category}", (before, after))


def _image(path: Path) -> Image:
    return photos.read(path, Limits.of(settings())).image


def _jobs() -> list[Job]:
    """Return the jobs of this trial by the names of their photos."""
    engine = database.open_engine(settings().database)
    found = [job for job in search.jobs(engine, Filter()) if job.gone_at is None]
    engine.dispose()
    return sorted(found, key=lambda job: (job.source, job.id))
