"""Measure the costs of photomend without its networks: `make bench` prints and writes bench.json.

Other programs on the machine disturb absolute times. Therefore some figures are ratios to a
reference that is measured in the same run. The goal of a figure is printed beside it.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
FOLDERS, FILES = 100, 1000
Figures = dict[str, float]


def main() -> None:
    """Run all measurements, print the figures and their goals, and write bench.json."""
    figures: Figures = {}
    for measure in (queue, arrivals, scans, command_line, decoding, photos):
        print(f"… {measure.__name__}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder, home(Path(folder)) as settings:
            figures |= measure(Path(folder), settings)
    for name, value in figures.items():
        print(f"{name:<48} {value:>12.4g}   {GOALS.get(name, '')}")
    Path("bench.json").write_text(json.dumps(figures, indent=1) + "\n")


GOALS = {
    "overhead per job, ms": "< 10",
    "from close of a file to its job, without settling, p99 ms": "< 100",
    "rescan of 100,000, times find": "<= 3",
    "first scan of 100,000, times find": "<= 8",
    "first scan of 100,000, peak MB": "<= 300",
    "photos read by the scans": "0",
    "idle watcher, % of a core": "< 0.5",
    "idle watcher, PSS MB": "< 120",
    "status, times the import": "<= 1.3",
    "status query with 100,000 jobs, ms": "<= 50",
    "Redis with 100,000 waiting jobs, MB": "< 20",
    "12 megapixels, read in a jail, times without": "<= 1.2",
}


@contextmanager
def home(folder: Path) -> Iterator[dict[str, str]]:
    """Create a gallery, a database and a Redis; yield the environment variables for them."""
    from storage import database

    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import Redis

    (folder / "gallery").mkdir()
    gallery = {"path": str(folder / "gallery"), "output": str(folder / "output")}
    redis = Redis(folder)
    redis.start()
    environment = os.environ | {
        "PHOTOMEND_STATE_DIR": str(folder / "state"),
        "PHOTOMEND_GALLERIES": json.dumps({"g": gallery | {"backlog": "all"}}),
        "PHOTOMEND_REDIS_URL": redis.url,
        "PHOTOMEND_CONFIG": "/dev/null",
        "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
        "PHOTOMEND_SETTLE_SECONDS": "1",
    }
    database.migrate(url(folder))
    try:
        yield environment
    finally:
        redis.stop()


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'state/jobs.db'}"


def engine_of(folder: Path):
    from storage import database

    return database.open_engine(url(folder))


@contextmanager
def running(environment: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the photomend command inside the `with`."""
    process = subprocess.Popen(
        [BIN / "photomend", *command], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(happened: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)


def queue(folder: Path, environment: dict[str, str]) -> Figures:
    """Process photos with a chain that copies its input in memory."""
    number = 400
    engine = engine_of(folder)
    for index in range(number):
        (folder / "gallery" / f"{index}.jpg").write_bytes(b"")
    with_bench_engine = environment | {"BENCH": "1", "PYTHONPATH": str(ROOT / "tests/bench_engine")}
    with_bench_engine["PHOTOMEND_MAINTENANCE_SECONDS"] = "0.2"
    with_bench_engine["PHOTOMEND_LEAST_CHANGE"] = "any"  # its chain changes nothing

    def count(status: str) -> int:
        with engine.connect() as connection:
            query = f"SELECT count(*) FROM jobs WHERE status = '{status}'"
            return int(connection.exec_driver_sql(query).scalar_one())

    queues = ("classify", "super-resolution", "reflection", "motion-blur")
    with running(with_bench_engine, "watch"):
        until(lambda: count("queued") == number)
        with running(with_bench_engine, "work", *queues):
            until(lambda: count("done") == number)
    with engine.connect() as connection:
        query = "SELECT sum(seconds), max(finished_at) - min(claimed_at) FROM jobs"
        seconds, _ = connection.exec_driver_sql(query).one()
        span = connection.exec_driver_sql(
            "SELECT max(at) - min(at) FROM history WHERE event LIKE 'claimed%' OR event LIKE 'rest%'"
        ).scalar_one()
    return {
        "overhead per job, ms": seconds / number * 1000,
        "time per job with its two notifications, ms": span / number * 1000,
    }


def arrivals(folder: Path, environment: dict[str, str]) -> Figures:
    """Measure the time from a file's close to its job, without the settle time."""
    from storage.database import galleries

    engine = engine_of(folder)
    waits = []
    with running(environment, "watch"):
        until(lambda: (row := galleries.get(engine, "g")) and row.scanned_at)
        for index in range(60):
            name = f"{index}.jpg"
            (folder / "gallery" / name).write_bytes(b"photo")
            closed = time.time()
            until(lambda name=name: name in galleries.known(engine, "g", Path()), 60)
            with engine.connect() as connection:
                created = connection.exec_driver_sql("SELECT max(created_at) FROM jobs")
                waits.append(created.scalar_one() - closed - 1.0)
    waits.sort()
    return {
        "from close of a file to its job, without settling, p50 ms": statistics.median(waits)
        * 1000,
        "from close of a file to its job, without settling, p99 ms": waits[-1] * 1000,
    }


def scans(folder: Path, environment: dict[str, str]) -> Figures:
    """Scan 100,000 photos, scan them again without a change, then watch idly."""
    for number in range(FOLDERS):
        (folder / "gallery" / str(number)).mkdir()
        for index in range(FILES):
            photo = folder / "gallery" / str(number) / f"IMG_{index:05}.jpg"
            photo.write_bytes(b"photo")
            os.utime(photo, (1e9 + index, 1e9 + index))
    command = ["find", str(folder / "gallery"), "-type", "f", "-printf", "%s %T@ %p\\n"]

    def find() -> float:
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begun

    find()
    reference = min(find() for _ in range(3))
    measured = subprocess.run(
        [sys.executable, __file__, "scan", str(folder)],
        env=environment, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    first, again, peak, read = json.loads(measured.stdout)
    idle = _idle(folder, environment)
    return {
        "find over 100,000, s": reference,
        "first scan of 100,000, s": first,
        "first scan of 100,000, times find": first / reference,
        "first scan of 100,000, peak MB": peak,
        "rescan of 100,000, s": again,
        "rescan of 100,000, times find": again / reference,
        "photos read by the scans": read,
        **idle,
    }


def _idle(folder: Path, environment: dict[str, str]) -> Figures:
    from storage.database import galleries, search

    engine = engine_of(folder)
    idle = environment | {"PHOTOMEND_SETTLE_SECONDS": "5"}
    with running(idle, "watch") as watcher:
        until(lambda: (row := galleries.get(engine, "g")) and row.scanned_at)
        time.sleep(15)  # maintenance has sent its notifications
        processes = [psutil.Process(watcher.pid), *psutil.Process(watcher.pid).children(True)]

        def used() -> float:
            return sum(t.user + t.system for t in (p.cpu_times() for p in processes))

        before, begun = used(), time.monotonic()
        time.sleep(40)
        share = (used() - before) / (time.monotonic() - begun)
        memory = sum(p.memory_full_info().pss for p in processes)
        until(lambda: search.due(engine, "classify", 1))
    import redis

    client = redis.Redis(unix_socket_path=str(folder / "redis.sock"))
    return {
        "idle watcher, % of a core": share * 100,
        "idle watcher, PSS MB": memory / 1e6,
        "Redis with 100,000 waiting jobs, MB": client.info("memory")["used_memory"] / 1e6,
    }


def scan_twice(folder: Path) -> None:
    """Scan the gallery twice in this process; print seconds, peak memory and photos read."""
    import resource

    from daemon.watching.ignore_rules import Rules
    from daemon.watching.scanner import FullScan, Scanner
    from storage.database import galleries

    engine, seconds = engine_of(folder), []
    root = str(folder / "gallery")
    scanner = Scanner(
        root, Rules(), lambda name: galleries.known(engine, "g", name), settle_seconds=0
    )
    for expected in (FOLDERS * FILES, 0):
        begun, added = time.perf_counter(), 0
        scanner.full_scan = FullScan()
        for found in scanner.scan(time.monotonic()):
            photos = {name: photo.fingerprint for name, photo in found.settled.items()}
            added += len(galleries.add(engine, "g", Path(found.folder), photos))
        seconds.append(time.perf_counter() - begun)
        if added != expected:
            raise AssertionError(f"{added} photos were found, not {expected}")
    read = sum(
        entry.stat().st_atime_ns != entry.stat().st_mtime_ns
        for number in range(FOLDERS)
        for entry in os.scandir(f"{root}/{number}")
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps([*seconds, peak, read]))


def command_line(folder: Path, environment: dict[str, str]) -> Figures:
    """Compare `photomend status` with 100,000 jobs to the import of its libraries."""
    from storage.database import galleries, status

    engine = engine_of(folder)
    for number in range(FOLDERS):
        galleries.add(engine, "g", Path(str(number)), {f"{i}.jpg": "1" for i in range(FILES)})

    def took(*command: str) -> float:
        best = 9.0
        for _ in range(9):
            before = os.times()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            after = os.times()
            spent = after.children_user - before.children_user
            best = min(best, spent + after.children_system - before.children_system)
        return best

    bare = took(sys.executable, "-c", "import typer, rich, sqlalchemy")
    took_status = took(str(BIN / "photomend"), "status")
    begun = time.perf_counter()
    status.summary(engine)
    return {
        "import of typer, rich, sqlalchemy, s": bare,
        "status with 100,000 jobs, s": took_status,
        "status, times the import": took_status / bare,
        "status query with 100,000 jobs, ms": (time.perf_counter() - begun) * 1000,
    }


def decoding(folder: Path, environment: dict[str, str]) -> Figures:
    """Read a JPEG of 12 megapixels in a jail and without one; processor time of both processes."""
    import numpy as np
    from PIL import Image
    from skimage import data

    from storage import jail, photos
    from storage.formats.safe_open import Limits

    pixels = np.ascontiguousarray(np.tile(data.astronaut(), (6, 8, 1))[:3000, :4000])
    path, limits = folder / "photo.jpg", Limits(10**9, 10**9, 0)
    Image.fromarray(pixels).save(path, quality=92)

    def least(work: Callable[[], object], *processes: psutil.Process) -> float:
        def used() -> float:
            return sum(sum(process.cpu_times()[:2]) for process in processes)

        times = []
        for _ in range(9):
            before = used()
            for _ in range(5):  # the kernel counts in hundredths of a second
                work()
            times.append((used() - before) / 5)
        return min(times)

    here = psutil.Process()
    direct = least(lambda: photos.read(path, limits), here)
    with jail.used() as process:
        begun = time.perf_counter()
        process.confinement()
        started = time.perf_counter() - begun
        jailed = least(lambda: photos.read(path, limits), here, psutil.Process(process.pid))
    return {
        "12 megapixels, read, s": direct,
        "12 megapixels, read in a jail, times without": jailed / direct,
        "start of a jail, s": started,
    }


def photos(folder: Path, environment: dict[str, str]) -> Figures:
    """Mend a photo of 12 megapixels for each category, each in a process of its own."""
    figures: Figures = {}
    for kind in ("noise", "reflection", "motion"):
        measured = subprocess.run(
            [sys.executable, __file__, "mend", kind],
            env=environment, stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        seconds, peak = json.loads(measured.stdout)
        figures[f"12 megapixels, {kind}, s"] = seconds
        figures[f"12 megapixels, {kind}, peak MB"] = peak
    return figures


def mend(kind: str) -> None:
    """Classify and restore a photo of 12 megapixels; print seconds and peak memory."""
    import resource

    import cv2
    import numpy as np
    from skimage import data

    from storage.enums import Category, Degradation
    from tasks.imaging.degrade import degrade
    from tasks.lite.classifier import Lite
    from tasks.lite.engine import lite_chain
    from tasks.receipt import Receipt

    photo = np.tile(data.astronaut(), (6, 8, 1))[:3000, :4000]
    image = degrade(photo.astype(np.float32) / np.float32(255), Degradation(kind), 1)
    cv2.setNumThreads(2)
    begun = time.perf_counter()
    verdict = Lite()(image)
    category = {
        "noise": Category.SUPER_RESOLUTION,
        "reflection": Category.REFLECTION,
        "motion": Category.MOTION_BLUR,
    }[kind]
    lite_chain(category)(image, verdict, Receipt())
    seconds = time.perf_counter() - begun
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["scan", folder]:
            scan_twice(Path(folder))
        case ["mend", kind]:
            mend(kind)
        case _:
            main()
