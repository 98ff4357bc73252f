"""Kill everything that `photomend up` starts, at random, while photos pass: `make chaos`.

Prints a table: kills by process and by the step they hit; then what was lost, doubled or left
behind, which must all be 0. The seed is printed, so that a run can be had again.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import redis
import sqlalchemy as sa
from PIL import Image
from skimage import data
from sqlalchemy.exc import SQLAlchemyError

from storage import database, publishing
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Degradation, Status
from storage.errors import DatabaseOlder
from tasks.imaging.degrade import degrade

BIN = Path(sys.executable).parent
SIDE = 256
KINDS = [*Degradation, None]
CLAIM_SECONDS = 20.0
"""So long a blow that is meant for a claim waits for one."""
SETTLE_SECONDS = 600.0
"""So long the photos may take to be done once nothing is killed any more."""
SETTINGS = {
    "SETTLE": 0.3,
    "HEARTBEAT": 0.3,
    "WORKER_TIMEOUT": 5,
    "MAINTENANCE": 0.5,
    "RETRY_PAUSE": 0.1,
    "STOP": 8,
    "ARRIVING": 1,
}


@dataclass
class Campaign:
    """One run: what was killed, and what became of the photos."""

    kills: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    running_claims_hit: int = 0
    photos: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    partial: int = 0
    changed_originals: int = 0
    temporary_files: int = 0
    seconds: float = 0.0

    @property
    def harm(self) -> int:
        """All that must be 0."""
        return (
            self.lost + self.doubled + self.partial + self.changed_originals + self.temporary_files
        )


def take_photos(folder: Path, number: int, chance: random.Random) -> None:
    """Put a spoilt or a clean crop of a photograph into the gallery, whole or slowly."""
    sources = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    photo = sources[number % len(sources)]
    top = chance.randrange(photo.shape[0] - SIDE)
    left = chance.randrange(photo.shape[1] - SIDE)
    image = photo[top : top + SIDE, left : left + SIDE].astype(np.float32) / np.float32(255)
    kind = KINDS[number % len(KINDS)]
    if kind is not None:
        image = degrade(image, kind, number)
    path = folder / f"{number % 7}" / f"IMG_{number:04}.jpg"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((image * 255).round().astype(np.uint8)).save(path, quality=93)


def campaign(folder: Path, photos: int, kills: int, hits: int, seed: int) -> Campaign:
    """Run `photos` past at least `kills` kills, of which `hits` hit a running claim."""
    chance, result, begun = random.Random(seed), Campaign(), time.monotonic()
    gallery = folder / "gallery"
    gallery.mkdir()
    up = Up(folder)
    originals: dict[Path, str | None] = {}
    next_photo = 0
    while (
        len(originals) < photos
        or sum(result.kills.values()) < kills
        or result.running_claims_hit < hits
    ):
        wanted = min(photos, photos * (sum(result.kills.values()) + 1) // max(kills, 1) + 1)
        for _ in range(max(wanted - next_photo, up.ended(next_photo))):
            take_photos(gallery, next_photo, chance)
            next_photo += 1
        originals = {path: publishing.sha256(path) for path in gallery.rglob("*.jpg")}
        up.strike(chance, result)
    up.settle(len(originals))
    _judge(result, up, originals)
    up.stop()
    result.temporary_files = len(list(publishing.temporaries(folder / "output")))
    result.seconds = time.monotonic() - begun
    return result


class Up:
    """A `photomend up` that is started again when it was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PHOTOMEND_")
        } | {
            "PHOTOMEND_STATE_DIR": str(folder / "state"),
            "PHOTOMEND_CONFIG": "/dev/null",
            "PHOTOMEND_MAX_ATTEMPTS": "1000",
            "PHOTOMEND_WORKERS": "2",
            "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
            **{f"PHOTOMEND_{name}_SECONDS": str(value) for name, value in SETTINGS.items()},
        }
        self.engine: sa.Engine | None = None
        self.start()

    def start(self) -> None:
        """Start `photomend up` and wait until its database is there."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "photomend", "up", self.folder / "gallery", "--output", self.folder / "output"],
                env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def rows(self) -> list[Job]:
        """Return all jobs, none while there is no database yet."""
        try:
            if self.engine is None:
                file = self.folder / "state/jobs.db"
                if not file.exists():
                    return []
                self.engine = database.open_engine(f"sqlite:///{file}")
            return search.jobs(self.engine, Filter())
        except (SQLAlchemyError, DatabaseOlder):
            return []

    def ended(self, number: int) -> bool:
        """Return whether the jobs of so many photos are there and none is under way."""
        rows = self.rows()
        under_way = {Status.QUEUED, Status.RUNNING} & {job.status for job in rows}
        return len({job.source for job in rows}) >= number and not under_way

    def strike(self, chance: random.Random, result: Campaign) -> None:
        """Kill one process, or take everything out of Redis; every second blow hits a claim."""
        self.revive()
        prey = self._working() if chance.random() < 0.5 else []
        if not prey:
            time.sleep(chance.uniform(0.2, 1.2))
            prey = list(self._family())
        kinds = sorted({kind for kind, _ in prey})
        if kinds == ["up"] and chance.random() < 0.9:
            return  # it has just begun; if it were killed each time, nothing else would happen
        kind = chance.choice(kinds)
        process = chance.choice([process for found, process in prey if found == kind])
        if kind == "redis" and chance.random() < 0.5:
            with suppress(redis.RedisError):
                redis.Redis(unix_socket_path=str(self.folder / "state/redis.sock")).flushall()
                result.kills["redis emptied"] += 1
            return
        hit = next((job for job in self._running() if _is_of(process, job)), None)
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
        result.kills[kind] += 1
        result.steps["no claim" if hit is None else hit.category or "classify"] += 1
        result.running_claims_hit += hit is not None

    def revive(self) -> None:
        """Start it again if it was killed."""
        if self.process.poll() is not None:
            self.start()

    def _running(self) -> list[Job]:
        return [job for job in self.rows() if job.status is Status.RUNNING]

    def _working(self) -> list[tuple[str, psutil.Process]]:
        """Wait a while for a claim; return the processes that stand above it, and its own."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            if running := self._running():
                return [(k, p) for k, p in self._family() if any(_is_of(p, j) for j in running)]
            time.sleep(0.05)
        return []

    def _family(self):
        """Yield what `up` started: the kind and the process."""
        yield "up", psutil.Process(self.process.pid)
        mark = str(self.folder / "state")
        for process in psutil.process_iter(["cmdline"]):
            try:
                line = " ".join(process.info["cmdline"] or [])
                if process.environ().get("PHOTOMEND_STATE_DIR") != mark and mark not in line:
                    continue
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if kind := _kind(line):
                yield kind, process

    def settle(self, number: int) -> None:
        """Let everything run undisturbed until all photos are done."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and not self.ended(number):
            self.revive()
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=90)
        if self.engine is not None:
            self.engine.dispose()


def _kind(line: str) -> str | None:
    words = {
        "redis": "redis", "spawn_main": "worker's child", "semaphore_tracker": "semaphore tracker",
        " work ": "worker", " watch": "watcher", "daemon.watching.gallery_process": "gallery's process",
    }  # fmt: skip
    return next((kind for word, kind in words.items() if word in line), None)


def _is_of(process: psutil.Process, job: Job) -> bool:
    """Return whether `process` works on the job, or started the one that does."""
    try:
        return job.child in [process.pid, *(p.pid for p in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return False


def _judge(result: Campaign, up: Up, originals: dict[Path, str | None]) -> None:
    rows = up.rows()
    result.photos = len(originals)
    result.decisions = Counter(str(job.decision or job.error) for job in rows)
    done = [job for job in rows if job.status is Status.DONE]
    result.lost = len(originals) - len({job.source for job in done})
    restored = [job for job in done if job.decision == "restored"]
    output = up.folder / "output"
    named = {output / job.output: job.sha256 for job in restored if job.output}
    lying = {path for path in output.rglob("*") if path.is_file() and not path.name.startswith(".")}
    result.doubled = len(rows) - len({job.source for job in rows}) + len(lying - set(named))
    result.partial = sum(publishing.sha256(path) != sha256 for path, sha256 in named.items())
    for path in lying:
        with Image.open(path) as image:
            image.load()
    result.changed_originals = sum(publishing.sha256(p) != sha for p, sha in originals.items())


def main() -> None:
    """Run a campaign, print its table and fail if anything was harmed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--hits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    wishes = parser.parse_args()
    print(f"seed {wishes.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), wishes.photos, wishes.kills, wishes.hits, wishes.seed)
        if result.harm:
            print((Path(folder) / "log").read_text(errors="replace")[-5000:])
    show(result)
    Path("chaos.json").write_text(json.dumps(vars(result), indent=1) + "\n")
    sys.exit(bool(result.harm))


def show(result: Campaign) -> None:
    """Print the table."""
    for title, counted in (("kills of", result.kills), ("hit in", result.steps)):
        for name, number in sorted(counted.items()):
            print(f"{title:<10} {name:<20} {number:>6}")
    print(f"kills that hit a running claim {result.running_claims_hit:>7}")
    for name in ("photos", "lost", "doubled", "partial", "changed_originals", "temporary_files"):
        print(f"{name.replace('_', ' '):<30} {getattr(result, name):>7}")
    print(f"decisions {dict(result.decisions)}, {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
