"""Compare the results of engines side by side, as figure 5 of the paper does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from daemon.reports import contact_sheet, words
from storage import photos
from storage.enums import Category, Decision, EngineName
from storage.formats.safe_open import Limits
from storage.photos import Image
from storage.settings import settings
from tasks import loading
from tasks.engines import missing
from tasks.evaluation.run import of_size
from tasks.mend import Mended, mend


@dataclass(frozen=True)
class EngineResult:
    """What an engine found and did, as `photomend compare` prints it."""

    path: str
    engine: EngineName
    category: Category
    score: float
    decision: Decision
    reason: str
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A photo and the results of the engines."""

    before: Image
    after: Sequence[Image]
    """One image of each engine, at the photo's own size."""
    results: Sequence[EngineResult]


def engines() -> list[EngineName]:
    """Return the engines whose weights are available."""
    paper = settings().paper
    paper_ready = not any(missing(step, paper) for step in paper.steps)
    return [EngineName.LITE, *([EngineName.PAPER] if paper_ready else [])]


def compare(path: Path, names: Sequence[EngineName]) -> Comparison:
    """Mend a photo with each engine as a worker would; write nothing.

    Raises:
        UnreadablePhoto, TooLarge, OSError: the photo cannot be read.
        WeightsMissing, WeightsWrong, ClassifierUnavailable: an engine cannot work.

    """
    photo = photos.read(path.resolve(), Limits.of(settings()))
    after, results = [], []
    for name in names:
        engine, started = _loaded(name), time.perf_counter()
        mended = mend(photo.image, engine, jpeg_quality=photo.jpeg_quality, wraps=photo.wraps)
        after.append(of_size(mended.image, photo.image))
        seconds = round(time.perf_counter() - started, 2)
        results.append(_result(path, name, mended, seconds))
    return Comparison(photo.image, after, results)


def _result(path: Path, name: EngineName, mended: Mended, seconds: float) -> EngineResult:
    category = mended.verdict.category
    score = round(mended.verdict.scores[category], 3)
    return EngineResult(
        str(path), name, category, score, mended.decision, mended.reason or "", seconds
    )


_loaded = cache(loading.engine)


def draw(compared: Sequence[Comparison], file: Path) -> None:
    """Draw before and after, a row for each photo and a column for each engine."""
    contact_sheet.write([_strip(each) for each in compared], file)


def _strip(each: Comparison) -> contact_sheet.Strip:
    headings = ("before", *map(_heading, each.results))
    title = Path(each.results[0].path).name
    return contact_sheet.Strip(title, headings, (each.before, *each.after), len(each.after))


def _heading(result: EngineResult) -> str:
    """Return what an engine found and did, such as "after, lite: shaken, mended"."""
    found, decision = words.CATEGORIES[result.category], words.DECISIONS[result.decision]
    return f"after, {result.engine}: {found}, {decision}"
