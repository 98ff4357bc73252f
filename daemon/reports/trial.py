"""Mend a random sample of a folder, write nothing into it, and estimate what all of it would cost."""

import math
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from daemon.reports import contact_sheet
from daemon.watching import listing
from storage import eligibility, fingerprints, photos
from storage.beneath import Beneath
from storage.enums import Decision, EngineChoice, EngineName
from storage.errors import DecoderDied, DecodingFailed, TooLarge, UnreadablePhoto
from storage.formats.safe_open import Limits
from storage.inspection import Inspection
from storage.photos import Image
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from tasks import loading
from tasks.evaluation.run import of_size
from tasks.imaging.crops import changed_cell
from tasks.mend import Engine, mend

Z = 1.96
"""Standard deviations on each side of an interval that holds the truth 19 times of 20."""
MEGA, GIGA = 1e6, 1e9


class Candidate(NamedTuple):
    """A photo that may be drawn for the sample."""

    year: int
    size: int
    source: str
    """Relative to the gallery."""


@dataclass(frozen=True)
class Tried:
    """What became of one photo of the sample."""

    source: str
    outcome: str
    """A decision, "left alone" or "unreadable"."""
    category: str = ""
    reason: str = ""
    seconds: float = 0.0
    megapixels: float = 0.0
    size: int = 0


@dataclass(frozen=True)
class Pair:
    """The part of a restored photo that changed most, before and after."""

    tried: Tried
    before: Image
    after: Image


@dataclass(frozen=True)
class Estimate:
    """What mending all photos would take, judged by the sample."""

    photos: int
    sampled: int
    outcomes: dict[str, int]
    categories: dict[str, tuple[float, float, float]]
    """Of each mended category: its share of the photos, and the ends of its interval."""
    mended: tuple[float, float, float]
    seconds: float
    """Of one worker for all photos."""
    workers: int
    hours: float
    megapixels: float
    """Of all photos that are decoded."""
    gigabytes: float
    """Of the copies, each counted as large as its photo."""


def candidates(gallery: GallerySettings, below: str = "") -> list[Candidate]:
    """Return the photos in a folder of a gallery and below it, as the watcher finds them."""
    return [_candidate(*found) for found in listing.photos(gallery, below)]


def _candidate(source: Path, fingerprint: str) -> Candidate:
    year = time.localtime(fingerprints.modified_at(fingerprint)).tm_year
    return Candidate(year, int(fingerprints.size(fingerprint)), str(source))


def draw(found: Sequence[Candidate], count: int, seed: int) -> list[Candidate]:
    """Draw a sample in which years and file sizes are as frequent as among all photos.

    Sorted by year and size, the photos are taken at equal distances from a random start; so each
    photo is equally likely.
    """
    ordered, count = sorted(found), min(count, len(found))
    if not count:
        return []
    distance = len(ordered) / count
    start = random.Random(seed).random() * distance
    return [ordered[min(int(start + n * distance), len(ordered) - 1)] for n in range(count)]


def attempt(gallery: GallerySettings, sample: Sequence[Candidate]) -> Iterator[Pair | Tried]:
    """Mend each photo of the sample in memory as a worker would; yield a pair if it is restored."""
    lite = settings().engine == EngineChoice.LITE
    engine = loading.engine(EngineName.LITE if lite else EngineName.PAPER)
    engine.classifier()  # its loading counts for no photo
    root = Path(os.path.realpath(gallery.path))
    for each in sample:
        started = time.perf_counter()
        try:
            yield _attempt(Beneath(root, Path(each.source)), each, engine, started)
        except (UnreadablePhoto, TooLarge, DecoderDied, DecodingFailed, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            yield Tried(each.source, "unreadable", "", reason, time.perf_counter() - started)


def _attempt(photo: Beneath, each: Candidate, engine: Engine, started: float) -> Pair | Tried:
    with closing(Inspection(photo, Limits.of(settings()))) as seen:
        if reason := eligibility.left_alone(seen):
            return Tried(each.source, "left alone", "", reason, time.perf_counter() - started)
        read = photos.decoded(seen)
    mended = mend(read.image, engine, jpeg_quality=read.jpeg_quality, wraps=read.wraps)
    height, width = read.image.shape[:2]
    tried = Tried(
        each.source, str(mended.decision), str(mended.verdict.category), mended.reason or "",
        time.perf_counter() - started, width * height / MEGA, each.size,
    )  # fmt: skip
    if mended.decision is not Decision.RESTORED:
        return tried
    after = of_size(mended.image, read.image)
    cell = changed_cell(read.image, [after], contact_sheet.CELL)
    return Pair(tried, read.image[cell].copy(), after[cell].copy())


def estimate(tried: Sequence[Tried], count: int, workers: int) -> Estimate:
    """Estimate what all `count` photos would take."""
    scale = count / max(len(tried), 1)
    restored = [each for each in tried if each.outcome == Decision.RESTORED]
    kinds = Counter(each.category for each in restored)
    seconds = scale * sum(each.seconds for each in tried)
    return Estimate(
        count, len(tried), dict(Counter(each.outcome for each in tried)),
        {kind: share(number, len(tried)) for kind, number in kinds.most_common()},
        share(len(restored), len(tried)), seconds, workers, seconds / workers / 3600,
        scale * sum(each.megapixels for each in tried),
        scale * sum(each.size for each in restored) / GIGA,
    )  # fmt: skip


def share(part: int, whole: int) -> tuple[float, float, float]:
    """Return a share and the ends of its interval (Wilson's)."""
    if not whole:
        return 0.0, 0.0, 1.0
    p, z2 = part / whole, Z * Z / whole
    middle = (p + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(p * (1 - p) / whole + z2 / whole / 4) / (1 + z2)
    return p, max(0.0, middle - half), min(1.0, middle + half)


def as_record(found: Estimate, tried: Sequence[Tried]) -> dict[str, Any]:
    """Return the JSON object of a trial."""
    return {**asdict(found), "sample": [asdict(each) for each in tried]}
