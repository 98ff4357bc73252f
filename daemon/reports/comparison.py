"""`photomend compare`: what each engine makes of photos, side by side, as in figure 5 of the paper."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from daemon.reports import contact_sheet
from storage import photos
from storage.enums import QUEUES, Category, Decision, EngineName
from storage.formats.safe_open import Limits
from storage.photos import Image
from storage.settings import settings
from tasks import loading
from tasks.engines import missing
from tasks.evaluation.run import of_size
from tasks.mend import Mended, mend


@dataclass(frozen=True)
class Shown:
    """What an engine found and did, as it is printed."""

    path: str
    engine: EngineName
    category: Category
    score: float
    decision: Decision
    reason: str
    seconds: float


@dataclass(frozen=True)
class Compared:
    """A photo and what the engines made of it."""

    before: Image
    after: Sequence[Image]
    """At the photo's own size, whatever an engine was asked for."""
    shown: Sequence[Shown]


def engines() -> list[EngineName]:
    """Return the engines that have all that they need."""
    known = settings().paper
    ready = not any(missing(step, known) for step in QUEUES)
    return [EngineName.LITE, *([EngineName.PAPER] if ready else [])]


def compare(path: Path, names: Sequence[EngineName]) -> Compared:
    """Let each engine do with a photo as a worker would; nothing is written.

    Raises:
        UnreadablePhoto, TooLarge, OSError: the photo cannot be read.
        WeightsMissing, WeightsWrong, ClassifierAway: an engine cannot work.

    """
    photo = photos.read(path, Limits.of(settings()))
    after, shown = [], []
    for name in names:
        engine, begun = _loaded(name), time.perf_counter()
        mended = mend(photo.image, engine, jpeg_quality=photo.jpeg_quality)
        after.append(of_size(mended.image, photo.image))
        seconds = round(time.perf_counter() - begun, 2)
        shown.append(_shown(path, name, mended, seconds))
    return Compared(photo.image, after, shown)


def _shown(path: Path, name: EngineName, mended: Mended, seconds: float) -> Shown:
    category = mended.verdict.category
    score = round(mended.verdict.scores[category], 3)
    return Shown(str(path), name, category, score, mended.decision, mended.reason or "", seconds)


_loaded = cache(loading.engine)


def draw(compared: Sequence[Compared], file: Path) -> None:
    """Draw before and after, a row for each photo and a column for each engine."""
    contact_sheet.write([_strip(each) for each in compared], file)


def _strip(each: Compared) -> contact_sheet.Strip:
    told = ", ".join(f"{one.engine} {one.decision}" for one in each.shown)
    title = f"{Path(each.shown[0].path).name}: before, {told}"
    return contact_sheet.Strip(title, (each.before, *each.after), results=len(each.after))
