"""Kill and disturb processes of `photomend up` at random while it mends photos: `make chaos`.

Prints the seed, with which a run can be repeated; the number of kills by process and by step, and of
other disturbances; and the numbers of lost, duplicate and damaged files, which must all be 0.
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

from daemon.supervising import redis_server
from storage import database, publishing
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import QUEUES, Decision, Degradation, Status
from storage.errors import DatabaseOlder
from tasks.imaging.degrade import degrade
from tasks.worker.redis_client import key

sys.path.insert(0, str(Path(__file__).parent))
from disturbances import Disturbances
from wall_clock import FAKETIME, MISSING, Clock

BIN = Path(sys.executable).parent
SIDE = 256
KINDS = [*Degradation, None]
INSIDE = "INSIDE_NAMESPACE" in os.environ
"""Whether disks may be mounted, which nothing outside this process and its children sees."""
DISTURBED = 0.4
"""Probability of a disturbance beside a kill."""
CLAIM_SECONDS = 20.0
"""Longest wait for a running claim, before a kill that should hit one."""
STEP_SECONDS = 2.5
"""About how long a claim lasts; one is killed at a random moment of it."""
SETTLE_SECONDS = 1800.0
"""Longest time until all photos are done after the last kill."""
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
class Result:
    """The kills of one run, and their effects on the photos."""

    kills: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    disturbances: Counter[str] = field(default_factory=Counter)
    running_claims_hit: int = 0
    photos: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    left_alone: int = 0
    lost: int = 0
    duplicates: int = 0
    incomplete: int = 0
    changed_originals: int = 0
    temporary_files: int = 0
    seconds: float = 0.0

    @property
    def damage(self) -> int:
        """The sum of all numbers that must be 0."""
        return (
            self.lost
            + self.left_alone
            + self.duplicates
            + self.incomplete
            + self.changed_originals
            + self.temporary_files
        )


def add_photo(folder: Path, number: int, rng: random.Random) -> None:
    """Save a crop of a photograph, degraded or clean, in the gallery."""
    sources = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    photo = sources[number % len(sources)]
    top = rng.randrange(photo.shape[0] - SIDE)
    left = rng.randrange(photo.shape[1] - SIDE)
    image = photo[top : top + SIDE, left : left + SIDE].astype(np.float32) / np.float32(255)
    kind = KINDS[number % len(KINDS)]
    if kind is not None:
        image = degrade(image, kind, number)
    path = folder / f"{number % 7}" / f"IMG_{number:04}.jpg"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((image * 255).round().astype(np.uint8)).save(path, quality=93)


def run(folder: Path, photos: int, kills: int, hits: int, seed: int) -> Result:
    """Mend `photos` with at least `kills` kills, of which at least `hits` hit a running claim."""
    rng, result, started = random.Random(seed), Result(), time.monotonic()
    gallery = folder / "gallery"
    gallery.mkdir()
    clock = Clock(folder / "clock") if FAKETIME else None
    disturbances = Disturbances(folder / "output", clock, mount=INSIDE)
    result.disturbances = disturbances.counted
    up = Up(folder, clock)
    originals: dict[Path, str | None] = {}
    next_photo = 0
    while (
        len(originals) < photos
        or sum(result.kills.values()) < kills
        or result.running_claims_hit < hits
    ):
        wanted = min(photos, photos * (sum(result.kills.values()) + 1) // max(kills, 1) + 1)
        for _ in range(max(wanted - next_photo, up.is_done(next_photo))):
            add_photo(gallery, next_photo, rng)
            next_photo += 1
        originals = {path: publishing.sha256(path) for path in gallery.rglob("*.jpg")}
        if rng.random() < DISTURBED:
            disturbances.one(rng, up.processes())
        up.kill_one(rng, result)
        _print_progress(result, up, len(originals))
    disturbances.end()
    up.wait_until_done(len(originals))
    _check(result, up, originals)
    up.stop()
    result.temporary_files = len(list(publishing.temporaries(folder / "output")))
    disturbances.unmount()
    result.seconds = time.monotonic() - started
    return result


def _print_progress(result: Result, up: "Up", photos: int) -> None:
    """Print how far the run is, on one line of a terminal."""
    done = sum(job.status is Status.DONE for job in up.rows())
    kills, hits = sum(result.kills.values()), result.running_claims_hit
    line = f"{kills} kills, {hits} of a running claim, {done} of {photos} photos done"
    print(f"… {line}", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


class Up:
    """A `photomend up` that is started again after a kill."""

    def __init__(self, folder: Path, clock: Clock | None) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PHOTOMEND_")
        } | {
            "PHOTOMEND_STATE_DIR": str(folder / "state"),
            "PHOTOMEND_CONFIG": "/dev/null",
            "PHOTOMEND_MAX_ATTEMPTS": "1000",
            "PHOTOMEND_WORKERS": "2",
            "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
            "PHOTOMEND_GIVE_WAY": '{"nice": 0, "io_priority": "normal"}',
            **{f"PHOTOMEND_{name}_SECONDS": str(value) for name, value in SETTINGS.items()},
            **(clock.environment | {"PATH": self._path_of_redis()} if clock else {}),
        }
        self.engine: sa.Engine | None = None
        self.start()

    def _path_of_redis(self) -> str:
        """Return a PATH in which Redis has the real clock: libfaketime blocks its allocator."""
        wrapper = self.folder / "bin/redis-server"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {redis_server.executable()} "$@"\n')
        wrapper.chmod(0o755)
        return f"{wrapper.parent}:{os.environ['PATH']}"

    def start(self) -> None:
        """Start `photomend up`."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "photomend", "up", self.folder / "gallery", "--output", self.folder / "output",
                 "--backlog", "all"],
                env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def rows(self) -> list[Job]:
        """Return all jobs; none before the database exists."""
        try:
            if self.engine is None:
                file = self.folder / "state/jobs.db"
                if not file.exists():
                    return []
                self.engine = database.open_engine(f"sqlite:///{file}")
            return search.jobs(self.engine, Filter())
        except (SQLAlchemyError, DatabaseOlder):
            return []

    def is_done(self, number: int) -> bool:
        """Return whether this many photos have jobs and all jobs have ended."""
        rows = self.rows()
        under_way = {Status.QUEUED, Status.RUNNING} & {job.status for job in rows}
        return len({job.source for job in rows}) >= number and not under_way

    def kill_one(self, rng: random.Random, result: Result) -> None:
        """Kill one process, or empty Redis; every second kill is aimed at a running claim."""
        self.restart_if_ended()
        targets = self._claim_processes(rng) if rng.random() < 0.5 else []
        if not targets:
            time.sleep(rng.uniform(0.2, 1.2))
            targets = list(self._processes())
        kinds = sorted({kind for kind, _ in targets})
        if kinds == ["up"] and rng.random() < 0.9:
            return  # it has just started; let it start other processes
        kind = rng.choice(kinds)
        process = rng.choice([process for found, process in targets if found == kind])
        if kind == "redis" and rng.random() < 0.5:
            with suppress(redis.RedisError):
                client = redis.Redis(unix_socket_path=str(self.folder / "state/redis.sock"))
                client.delete(*map(key, QUEUES))
                result.kills["redis emptied"] += 1
            return
        hit = next((job for job in self._running() if _runs(process, job)), None)
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
        result.kills[kind] += 1
        result.steps["no claim" if hit is None else hit.category or "classify"] += 1
        result.running_claims_hit += hit is not None

    def restart_if_ended(self) -> None:
        """Start it again if it has ended."""
        if self.process.poll() is not None:
            self.start()

    def _running(self) -> list[Job]:
        return [job for job in self.rows() if job.status is Status.RUNNING]

    def _claim_processes(self, rng: random.Random) -> list[tuple[str, psutil.Process]]:
        """Wait for a running claim; return its process and the parents of that process."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            if self._running():
                time.sleep(rng.uniform(0, STEP_SECONDS))
                running = self._running()
                return [(k, p) for k, p in self._processes() if any(_runs(p, j) for j in running)]
            time.sleep(0.05)
        return []

    def processes(self) -> list[psutil.Process]:
        """Return `up` and all processes that it started."""
        return [process for _, process in self._processes()]

    def _processes(self):
        """Yield the kind and the process of `up` and of all that it started."""
        yield "up", psutil.Process(self.process.pid)
        state = str(self.folder / "state")
        for process in psutil.process_iter(["cmdline"]):
            try:
                line = " ".join(process.info["cmdline"] or [])
                if process.environ().get("PHOTOMEND_STATE_DIR") != state and state not in line:
                    continue
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if kind := _kind(line):
                yield kind, process

    def wait_until_done(self, number: int) -> None:
        """Wait, without kills, until all photos are done."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and not self.is_done(number):
            self.restart_if_ended()
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


def _runs(process: psutil.Process, job: Job) -> bool:
    """Return whether `process` runs the job, or is a parent of the process that does."""
    try:
        return job.child in [process.pid, *(p.pid for p in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return False


def _check(result: Result, up: Up, originals: dict[Path, str | None]) -> None:
    rows = up.rows()
    result.photos = len(originals)
    result.decisions = Counter(str(job.decision or job.error) for job in rows)
    done = [job for job in rows if job.status is Status.DONE]
    result.left_alone = sum(job.decision is Decision.LEFT_ALONE for job in done)
    result.lost = len(originals) - len({job.source for job in done})
    restored = [job for job in done if job.decision == "restored"]
    output = up.folder / "output"
    recorded = {output / job.output: job.sha256 for job in restored if job.output}
    files = {path for path in output.rglob("*") if path.is_file() and not path.name.startswith(".")}
    result.duplicates = len(rows) - len({job.source for job in rows}) + len(files - set(recorded))
    result.incomplete = sum(publishing.sha256(path) != sha256 for path, sha256 in recorded.items())
    for path in files:
        with Image.open(path) as image:
            image.load()
    result.changed_originals = sum(publishing.sha256(p) != sha for p, sha in originals.items())


def main() -> None:
    """Run with kills, print the table, and exit with 1 if there was damage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--hits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    if not INSIDE:
        _enter_namespace()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.photos, options.kills, options.hits, options.seed)
        if result.damage:
            print((Path(folder) / "log").read_text(errors="replace")[-5000:])
    show(result)
    Path("chaos.json").write_text(json.dumps(vars(result), indent=1) + "\n")
    sys.exit(bool(result.damage))


def _enter_namespace() -> None:
    """Start this program again where it may mount disks; return if that is not allowed."""
    if FAKETIME is None:
        print(f"the clock is not stepped: {MISSING}")
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        print("the disk of the output is not disturbed: user namespaces are not allowed here")
        return
    sys.stdout.flush()
    environment = os.environ | {"INSIDE_NAMESPACE": "1"}
    os.execvpe("unshare", ["unshare", "-rm", sys.executable, *sys.argv], environment)


def show(result: Result) -> None:
    """Print the table."""
    for title, counted in (
        ("kills of", result.kills),
        ("hit in", result.steps),
        ("disturbed", result.disturbances),
    ):
        for name, number in sorted(counted.items()):
            print(f"{title:<10} {name:<20} {number:>6}")
    print(f"kills that hit a running claim {result.running_claims_hit:>7}")
    for name in (
        "photos",
        "lost",
        "left_alone",
        "duplicates",
        "incomplete",
        "changed_originals",
        "temporary_files",
    ):
        print(f"{name.replace('_', ' '):<30} {getattr(result, name):>7}")
    print(f"decisions {dict(result.decisions)}, {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
