"""Mend a random sample of a folder, write nothing into it, and estimate what all of it would cost."""

import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from daemon.reports import contact_sheet
from daemon.watching import listing
from storage import eligibility, fingerprints, photos, rules
from storage.beneath import Beneath
from storage.enums import Decision, EngineChoice, EngineName
from storage.errors import DecoderDied, DecodingFailed, TooLarge, UnreadablePhoto
from storage.formats.safe_open import Limits
from storage.inspection import Inspection
from storage.metadata.provenance import Provenance, place_of
from storage.photos import Image, Photo
from storage.rules import Ruling
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from tasks import loading, previews
from tasks.evaluation.run import of_size
from tasks.imaging.crops import changed_cell
from tasks.mend import Engine, Mended, mend
from tasks.steps.classify import untouched

Z = 1.96
"""Standard deviations on each side of an interval that holds the truth 19 times of 20."""
MEGA, GIGA = 1e6, 1e9


Ends = tuple[float, float]
"""The ends of an interval that holds the truth 19 times of 20; None if a single photo was tried, or all were."""


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
    """A decision or "unreadable"."""
    category: str = ""
    reason: str = ""
    seconds: float = 0.0
    megapixels: float = 0.0
    copy_bytes: int = 0
    """Size of the file that its copy would be; 0 if it gets none."""


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
    seconds_between: Ends | None
    workers: int
    hours: float
    megapixels: float
    """Of all photos that are decoded."""
    gigabytes: float
    """Of the copies."""
    gigabytes_between: Ends | None


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


def attempt(
    gallery: GallerySettings, sample: Sequence[Candidate],
    clock: Callable[[], float] = time.perf_counter, *, name: str = "",
) -> Iterator[Pair | Tried]:  # fmt: skip
    """Mend each photo of the sample in memory as a worker would; yield a pair if it is restored.

    `clock` returns the seconds that are counted; `name` is that of the gallery, for rules that hold
    in some galleries only.
    """
    lite = settings().engine == EngineChoice.LITE
    engine = loading.engine(EngineName.LITE if lite else EngineName.PAPER)
    engine.classifier()  # its loading counts for no photo
    root = Path(os.path.realpath(gallery.path))
    for each in sample:
        started = clock()
        try:
            ruling = rules.ruling(settings().rules, name, gallery, Path(each.source))
            tried, pair = _attempt(Beneath(root, Path(each.source)), engine, ruling)
            tried = replace(tried, source=each.source, seconds=clock() - started)
            yield Pair(tried, *pair) if pair else tried
        except (UnreadablePhoto, TooLarge, DecoderDied, DecodingFailed, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            yield Tried(each.source, "unreadable", "", reason, clock() - started)


def _attempt(
    photo: Beneath, engine: Engine, ruling: Ruling
) -> tuple[Tried, tuple[Image, Image] | None]:
    """Do with a photo all that a worker does, up to its copy and the pictures for the page.

    Return also the part that changed most, before and after, if it is restored.
    """
    if reason := ruling.why_off:
        return Tried("", str(Decision.LEFT_ALONE), "", reason), None
    with closing(Inspection(photo, Limits.of(settings()))) as seen:
        if reason := eligibility.left_alone(seen, ruling.allowed):
            return Tried("", str(Decision.LEFT_ALONE), "", reason), None
        content_hash = seen.content_hash
        read = photos.decoded(seen)
    drawn = settings().previews_megabytes > 0
    if drawn:
        previews.pictures(read, None)
    height, width = read.image.shape[:2]
    verdict = engine.classifier()(read.image, jpeg_quality=read.jpeg_quality)
    tried = Tried("", "", str(verdict.category), megapixels=width * height / MEGA)
    if (stays := untouched(verdict, ruling)) is not None:
        decision, reason = stays
        return replace(tried, outcome=str(decision), reason=reason or ""), None
    engine = replace(engine, strength=ruling.strength)
    mended = mend(read.image, engine, verdict=verdict, wraps=read.wraps)
    tried = replace(tried, outcome=str(mended.decision), reason=mended.reason or "")
    if mended.receipt.steps:
        photos.read(photo, Limits.of(settings()))  # the second step of a job reads it again
    if mended.decision is not Decision.RESTORED:
        return tried, None
    size = _coded_bytes(read, mended, content_hash)
    if drawn:
        previews.pictures(read, mended.image)
    after = of_size(mended.image, read.image)
    cell = changed_cell(read.image, [after], contact_sheet.CELL)
    return replace(tried, copy_bytes=size), (read.image[cell].copy(), after[cell].copy())


def _coded_bytes(photo: Photo, mended: Mended, content_hash: str) -> int:
    """Code a copy in memory and check it, as it is done before it is published; return its size."""
    origin = Provenance(
        place=place_of("", Path()), content_hash=content_hash, job_id=0, claim=0,
        category=str(mended.verdict.category), software="photomend", mended_at=datetime.now(UTC),
        generative=mended.receipt.generative, steps="",
    )  # fmt: skip
    copy = photos.coded(photo.with_image(mended.image), origin)
    photos.verify(copy, copy.data)
    return len(copy.data)


def estimate(tried: Sequence[Tried], count: int, workers: int) -> Estimate:
    """Estimate what all `count` photos would take."""
    scale = count / max(len(tried), 1)
    restored = [each for each in tried if each.outcome == Decision.RESTORED]
    kinds = Counter(each.category for each in restored)
    seconds, seconds_between = total([each.seconds for each in tried], count)
    copies, copies_between = total([each.copy_bytes / GIGA for each in tried], count)
    return Estimate(
        count, len(tried), dict(Counter(each.outcome for each in tried)),
        {kind: share(number, len(tried), count) for kind, number in kinds.most_common()},
        share(len(restored), len(tried), count), seconds, seconds_between, workers,
        seconds / workers / 3600, scale * sum(each.megapixels for each in tried),
        copies, copies_between,
    )  # fmt: skip


def share(part: int, whole: int, count: int) -> tuple[float, float, float]:
    """Return a share of a sample of `count` photos, and the ends of its interval (Wilson's).

    The interval of a sample of all photos is empty.
    """
    if not whole:
        return 0.0, 0.0, 1.0
    z = Z * math.sqrt(1 - whole / count)
    p, z2 = part / whole, z * z / whole
    middle = (p + z2 / 2) / (1 + z2)
    half = z * math.sqrt(p * (1 - p) / whole + z2 / whole / 4) / (1 + z2)
    return p, max(0.0, middle - half), min(1.0, middle + half)


def total(sample: Sequence[float], count: int) -> tuple[float, Ends | None]:
    """Estimate the sum over `count` photos by that over a sample; return also the ends of its interval."""
    if not sample:
        return 0.0, None
    middle, left = count * mean(sample), 1 - len(sample) / count
    if len(sample) < 2 or not left:
        return middle, None
    half = Z * count * stdev(sample) * math.sqrt(left / len(sample))
    return middle, (max(sum(sample), middle - half), middle + half)


def as_record(found: Estimate, tried: Sequence[Tried]) -> dict[str, Any]:
    """Return the JSON object of a trial."""
    return {**asdict(found), "sample": [asdict(each) for each in tried]}
