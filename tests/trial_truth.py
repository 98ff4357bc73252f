"""Compare the estimate of `photomend trial` with what mending all photos takes: `make trial-truth`.

Copies real photos of many sizes and formats into a gallery, tries a sample of them, then mends all with
`photomend up --once`. Both are measured in processor seconds of what mends the photos, a worker's child
and its jail: other programs on the machine slow down the two by different factors.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from daemon.reports import trial
from storage import database, jail
from storage.database.search import Filter, jobs
from storage.enums import Decision
from storage.jail.client import Jail
from storage.settings import PREFIX, settings
from storage.settings_gallery import GallerySettings

BIN = Path(sys.executable).parent
PHOTOS = Path(__file__).parents[1] / "../shared/photos"
SETS = (
    "clear/food_pd", "clear/photos_full", "clear/kodak", "research/refl_real", "research/refl_real20",
    "research/refl_location", "research/blur_real", "research/blur_kohler_scene12", "research/lq_real",
    "research/faces", "research/noise_polyu",
)  # fmt: skip
"""Real photos of 0.05 to 24 megapixels: JPEG, PNG and WebP, good and bad."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
YEARS = 10
MOST_OFF = 0.2
"""Largest difference between the estimated and the true time, as a share of the truth."""
PAUSE_SECONDS = 0.3
"""Pause between two readings of the processor time of the workers."""


def main() -> int:
    """Print the estimates beside the truth; return 1 if the time is too far off, or the rest out of its interval."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {
            PREFIX + "CONFIG": os.devnull, PREFIX + "STATE_DIR": str(home / "state"),
            PREFIX + "MIN_FREE_MEGABYTES": "50",
        }  # fmt: skip
        settings.cache_clear()
        gallery = _gallery(asked.photos, home / "gallery", asked.count)
        estimate = _estimated(gallery, asked.sample, asked.seed)
        print(json.dumps(estimate, indent=1), flush=True)
        truth = _mended(gallery)
    off = {name: estimate[name] / (truth[name] or 1.0) - 1 for name in ("seconds", "gigabytes")}
    print(json.dumps({"truth": truth, "off": off}, indent=1))
    _, low, high = estimate["mended"]
    least, most = estimate["gigabytes_between"] or (0.0, float("inf"))
    held = low <= truth["mended"] <= high and least <= truth["gigabytes"] <= most
    return int(abs(off["seconds"]) > MOST_OFF or not held)


def _gallery(photos: Path, folder: Path, count: int) -> GallerySettings:
    """Copy photos into a folder, as if they were of several years."""
    found = [
        path
        for name in SETS
        for path in sorted((photos / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    years = random.Random(0)
    for number, path in enumerate(found[:count]):
        copy = folder / path.relative_to(photos).parts[1] / f"{number:03}{path.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        at = time.time() - 86400 * (30 + 365 * years.randrange(YEARS))
        os.utime(copy, (at, at))
    return GallerySettings(folder)


def _estimated(gallery: GallerySettings, sample: int, seed: int) -> dict[str, Any]:
    found = trial.candidates(gallery)
    with jail.used() as process:
        tried = [
            each.tried if isinstance(each, trial.Pair) else each
            for each in trial.attempt(
                gallery, trial.draw(found, sample, seed), lambda: _used_by_trial(process)
            )
        ]
    estimate = trial.estimate(tried, len(found), 1)
    return {
        "photos": estimate.photos, "sampled": estimate.sampled, "mended": estimate.mended,
        "categories": estimate.categories,
        "seconds": estimate.seconds, "seconds_between": estimate.seconds_between,
        "gigabytes": estimate.gigabytes, "gigabytes_between": estimate.gigabytes_between,
    }  # fmt: skip


def _used_by_trial(process: Jail) -> float:
    """Return the processor seconds of this process and of its jail, if that has been started."""
    used = time.process_time()
    if process.pid is not None:
        with suppress(psutil.Error):
            used += sum(psutil.Process(process.pid).cpu_times()[:2])
    return used


def _mended(gallery: GallerySettings) -> dict[str, Any]:
    """Mend all photos, and return what it took."""
    up = subprocess.Popen([BIN / "photomend", "up", gallery.path, "--once"], stdout=sys.stderr)
    used: dict[int, float] = {}
    while up.poll() is None:
        with suppress(psutil.Error):
            used |= _used(psutil.Process(up.pid).children())
        time.sleep(PAUSE_SECONDS)
    engine = database.open_checked(settings().database)
    ended = jobs(engine, Filter(), 10**6)
    restored = [job for job in ended if job.decision is Decision.RESTORED]
    sizes = (p.stat().st_size for p in gallery.output_root.rglob("*") if p.suffix in SUFFIXES)
    kinds = Counter(str(job.category) for job in restored)
    return {
        "photos": len(ended), "mended": len(restored) / len(ended),
        "categories": {kind: number / len(ended) for kind, number in kinds.items()},
        "seconds": sum(used.values()), "gigabytes": sum(sizes) / 1e9,
        "seconds of jobs by the clock": sum(job.seconds for job in ended),
    }  # fmt: skip


def _used(processes: Iterable[psutil.Process]) -> dict[int, float]:
    """Return the processor seconds of the children of workers, and of their jails."""
    workers = (each for each in processes if "work" in each.cmdline())
    return {
        child.pid: sum(child.cpu_times()[:2])
        for worker in workers
        for child in worker.children(recursive=True)
    }


if __name__ == "__main__":
    sys.exit(main())
