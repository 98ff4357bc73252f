"""Keep the full results of chains, so that another strength of a photo needs no network again.

They are exact to 16 bits, and take 6 bytes a pixel. So they are kept only of photos that the owner
asked for, who may want another strength next.
"""

import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import atomic_files, private_files
from storage.database.records import Job
from storage.enums import EngineName
from storage.photos import Image, Photo
from storage.settings import settings
from tasks.chains import Chain
from tasks.engines import engine_of
from tasks.imaging.light import Plane
from tasks.receipt import Receipt
from tasks.verdict import Verdict

log = logging.getLogger(__name__)

TOP = np.float32(65535)
MEGA = 1_000_000


@dataclass(frozen=True)
class Kept:
    """A chain that returns the full result of an earlier run."""

    made: Image
    text: Plane | None
    notes: dict[str, Any]
    scale: int

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Return the result, and note the steps that made it in `receipt`."""
        receipt.steps += self.notes["steps"]
        receipt.generative, receipt.text = self.notes["generative"], self.text
        receipt.from_full_result = True
        return self.made


@dataclass(frozen=True)
class Keeping:
    """A chain whose full result is kept."""

    chain: Chain
    keep: Callable[[Image, Receipt], None]

    @property
    def scale(self) -> int:
        """Factor between the sides of the image and of the result."""
        return self.chain.scale

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Run the chain and keep its result."""
        made = self.chain(image, verdict, receipt)
        self.keep(made, receipt)
        return made


def chain(job: Job, photo: Photo, *, faces: bool, load: Callable[[], Chain]) -> Chain:
    """Return the chain for a photo: the kept result of an earlier run, or the chain that `load` loads.

    The result of the latter is kept if the owner asked for the photo.
    """
    place = _folder() / f"{job.id}-{_key(job, photo, faces)}.npz"
    if (kept := _read(place)) is not None:
        return kept
    loaded = load()
    if job.wish is None:
        return loaded
    return Keeping(loaded, lambda made, receipt: _keep(place, made, receipt, loaded.scale))


def _folder() -> Path:
    return settings().state_dir / "full-results"


def _key(job: Job, photo: Photo, faces: bool) -> str:
    """Return a hash of all that a chain's result depends on."""
    assert job.category is not None
    engine = engine_of(job.category)
    facts = [
        version("photomend"), job.content_hash, photo.orientation, photo.wraps, job.category, faces,
        job.scores, photo.jpeg_quality, engine,
        repr(settings().paper) if engine is EngineName.PAPER else None,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def _read(place: Path) -> Kept | None:
    """Return a kept result; None if there is none, or it cannot be read."""
    try:
        with np.load(place, allow_pickle=False) as found:
            made, text, notes = found["made"], found["text"], json.loads(str(found["notes"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read, and is made again: %s", place, error)
        return None
    with suppress(OSError):
        os.utime(place)  # the oldest are removed first
    return Kept(_image(made), _image(text) if text.size else None, notes, notes["scale"])


def _keep(place: Path, made: Image, receipt: Receipt, scale: int) -> None:
    """Keep a result, if there is room for it and it is one; remove others of its job and the oldest."""
    size = 2 * made.size
    if not np.isfinite(made).all() or made.min() < 0 or made.max() > 1:
        return
    try:
        private_files.make_folder(place.parent)
        for other in place.parent.glob(f"{place.name.partition('-')[0]}-*"):
            other.unlink(missing_ok=True)
        if _make_room(place.parent, size):
            notes = {"steps": receipt.steps, "generative": receipt.generative, "scale": scale}
            text = _coded(receipt.text) if receipt.text is not None else np.zeros(0, np.uint16)
            with atomic_files.replacing(place) as temporary, temporary.open("wb") as file:
                np.savez(file, made=_coded(made), text=text, notes=json.dumps(notes))
    except OSError as error:
        log.warning("the full result of %s is not kept: %s", place.stem, error)


def _image(coded: NDArray[np.uint16]) -> Image:
    return coded.astype(np.float32) / TOP


def _coded(values: Image | Plane) -> NDArray[np.uint16]:
    return np.asarray(np.rint(values * TOP), np.uint16)


def _make_room(folder: Path, size: int) -> bool:
    """Remove the oldest results until one of `size` bytes fits; return whether it does."""
    most = settings().full_results_megabytes * MEGA
    files = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)
    used = sum(file.stat().st_size for file in files)
    while files and used + size > most:
        used -= files[0].stat().st_size
        files.pop(0).unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free - size
    return used + size <= most and free >= settings().min_free_megabytes * MEGA
