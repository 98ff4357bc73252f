"""Measure the costs of photomend without its networks: `make bench` prints and writes bench.json.

With the name of one measurement, such as `million_photos`, it takes this one only.

Other programs on the machine disturb absolute times. Therefore some figures are ratios to a
reference that is measured in the same run. The goal of a figure is printed beside it.
"""

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterable, Iterator
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
    sys.path.insert(0, str(ROOT / "tests"))
    named = [globals()[name] for name in sys.argv[1:]]
    for measure in named or (
        openings,
        queue,
        arrivals,
        scans,
        million_jobs,
        pages,
        workers,
        decoding,
        photos,
    ):
        print(f"… {measure.__name__}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder, home(Path(folder)) as settings:
            figures |= measure(Path(folder), settings)
    for name, value in figures.items():
        print(f"{name:<48} {value:>12.4g}   {GOALS.get(name, '')}")
    Path("bench.json").write_text(json.dumps(figures, indent=1) + "\n")


GOALS = {
    "opening a file below a root, µs": "<= 20",
    "overhead per job, ms": "< 10",
    "from close of a file to its job, without settling, p99 ms": "< 100",
    "rescan of 100,000, times find": "<= 3",
    "first scan of 100,000, times find": "<= 8",
    "first scan of 100,000, peak MB": "<= 300",
    "photos read by the scans": "0",
    "idle watcher, % of a core": "< 0.5",
    "idle watcher, PSS MB": "< 120",
    "ten times the photos, times the first scan": "<= 11",
    "ten times the photos, times the scan without changes": "<= 11",
    "ten times the photos, times the memory": "<= 2",
    "status with 1,000,000 jobs, times the import": "<= 1.3",
    "claim with 1,000,000 jobs, ms": "<= 2",
    "claim behind 1,000,000 jobs that are not due, ms": "<= 2",
    "claim behind 1,000,000 jobs that are offline, ms": "<= 2",
    "slowest page of 1,000,000 jobs, ms": "<= 100",
    "page review, new, median ms": "<= 100",
    "Redis with 100,000 waiting jobs, MB": "< 20",
    "12 megapixels, read in a jail, times without": "<= 1.2",
}


@contextmanager
def home(folder: Path, postgres: str | None = None) -> Iterator[dict[str, str]]:
    """Create a gallery, a database and a Redis; yield the environment variables for them."""
    from conftest import Redis

    from storage import database

    (folder / "gallery").mkdir()
    gallery = {"path": str(folder / "gallery"), "output": str(folder / "output")}
    redis = Redis(folder)
    redis.start()
    environment = os.environ | {
        "PHOTOMEND_STATE_DIR": str(folder / "state"),
        "PHOTOMEND_GALLERIES": json.dumps({"g": gallery | {"backlog": "all"}}),
        "PHOTOMEND_REDIS_URL": redis.url,
        "PHOTOMEND_DATABASE_URL": postgres or url(folder),
        "PHOTOMEND_CONFIG": "/dev/null",
        "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
        "PHOTOMEND_GIVE_WAY": '{"nice": 0, "io_priority": "normal"}',
        "PHOTOMEND_SETTLE_SECONDS": "1",
    }
    database.migrate(postgres or url(folder))
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


def openings(folder: Path, environment: dict[str, str]) -> Figures:
    """Open a file three folders below the gallery, by its path and without following a link."""
    from storage import system_calls
    from storage.beneath import Beneath

    photo = Beneath(folder / "gallery", Path("2024/may/4/cat.jpg"))
    photo.path.parent.mkdir(parents=True)
    photo.path.write_bytes(b"photo")

    def took(act: Callable[[], object]) -> float:
        return min(timeit.repeat(act, timer=time.thread_time, number=200, repeat=100)) / 200 * 1e6

    figures = {
        "os.open of the same file, µs": took(lambda: os.close(os.open(photo.path, os.O_RDONLY))),
        "opening a file below a root, µs": took(lambda: photo.open().close()),
    }
    has_openat2 = system_calls.has_openat2
    system_calls.has_openat2 = lambda: False
    figures["opening it without openat2, µs"] = took(lambda: photo.open().close())
    system_calls.has_openat2 = has_openat2
    return figures


def queue(folder: Path, environment: dict[str, str]) -> Figures:
    """Process photos with a chain that copies its input in memory."""
    number = 400
    engine = engine_of(folder)
    for index in range(number):
        (folder / "gallery" / f"{index}.jpg").write_bytes(b"")
    with_bench_engine = environment | {"BENCH": "1", "PYTHONPATH": str(ROOT / "tests/bench_engine")}
    with_bench_engine["PHOTOMEND_MAINTENANCE_SECONDS"] = "0.2"
    with_bench_engine["PHOTOMEND_LEAST_CHANGE"] = "any"  # its chain changes nothing
    with_bench_engine["PHOTOMEND_PREVIEWS_MEGABYTES"] = "0"

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
    _fill(folder, range(FOLDERS))
    command = ["find", str(folder / "gallery"), "-type", "f", "-printf", "%s %T@ %p\\n"]

    def find() -> float:
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begun

    find()
    reference = min(find() for _ in range(3))
    first, again, peak, read = _scanned(folder, environment, FOLDERS)
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


def million_photos(folder: Path, environment: dict[str, str]) -> Figures:
    """Compare the scans of 1,000,000 photos with those of 100,000, in minutes; asked for by name."""
    _fill(folder, range(FOLDERS))
    first, again, peak, _ = _scanned(folder, environment, FOLDERS)
    with engine_of(folder).begin() as connection:
        for table in ("jobs", "counted"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    _fill(folder, range(FOLDERS, 10 * FOLDERS))
    first_of_all, again_of_all, peak_of_all, _ = _scanned(folder, environment, 10 * FOLDERS)
    return {
        "first scan of 1,000,000, s": first_of_all,
        "first scan of 1,000,000, peak MB": peak_of_all,
        "ten times the photos, times the first scan": first_of_all / first,
        "ten times the photos, times the scan without changes": again_of_all / again,
        "ten times the photos, times the memory": peak_of_all / peak,
    }


def _fill(folder: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        (folder / "gallery" / str(number)).mkdir()
        for index in range(FILES):
            photo = folder / "gallery" / str(number) / f"IMG_{index:05}.jpg"
            photo.write_bytes(b"photo")
            os.utime(photo, (1e9 + index, 1e9 + index))


def _scanned(folder: Path, environment: dict[str, str], folders: int) -> list[float]:
    """Scan twice in another process; return seconds of both, peak memory and photos read."""
    measured = subprocess.run(
        [sys.executable, __file__, "scan", str(folder), str(folders)],
        env=environment, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    found: list[float] = json.loads(measured.stdout)
    return found


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

        def woken() -> int:
            states = (s for p in processes for s in Path(f"/proc/{p.pid}/task").glob("*/status"))
            lines = (line for s in states for line in s.read_text().splitlines())
            return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))

        before, wakes, begun = used(), woken(), time.monotonic()
        time.sleep(40)
        seconds = time.monotonic() - begun
        share, wakes = (used() - before) / seconds, (woken() - wakes) / seconds
        memory = sum(p.memory_full_info().pss for p in processes)
        until(lambda: search.due(engine, "classify", 1))
    import redis

    client = redis.Redis(unix_socket_path=str(folder / "redis.sock"))
    return {
        "idle watcher, % of a core": share * 100,
        "idle watcher, wake-ups per second": wakes,
        "idle watcher, PSS MB": memory / 1e6,
        "Redis with 100,000 waiting jobs, MB": client.info("memory")["used_memory"] / 1e6,
    }


def scan_twice(folder: Path, folders: int) -> None:
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
    for expected in (folders * FILES, 0):
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
        for number in range(folders)
        for entry in os.scandir(f"{root}/{number}")
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps([*seconds, peak, read]))


def million_jobs(folder: Path, environment: dict[str, str]) -> Figures:
    """Claim, list and show the status of 1,000,000 jobs, the status beside a bare import."""
    from storage.database import galleries, search, status, time_left
    from storage.database.jobs import Jobs
    from storage.enums import QUEUES, Decision, Status

    engine = engine_of(folder)
    jobs = Jobs(engine, pause_seconds=1, max_attempts=3)
    for number in range(10 * FOLDERS):
        galleries.add(engine, "g", Path(str(number)), {f"{i}.jpg": "1" for i in range(FILES)})

    def least(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
        def took() -> float:
            begun = clock()
            call()
            return clock() - begun

        return min(took() for _ in range(9))

    def children() -> float:
        return sum(os.times()[2:4])

    def command(*words: str) -> Callable[[], object]:
        out = subprocess.DEVNULL
        return lambda: subprocess.run(words, env=environment, stdout=out, check=True)

    children_of_workers = itertools.count()  # one that has a claim would release it first

    def claim() -> None:
        child = next(children_of_workers)
        jobs.claim("w", QUEUES, child=child, seconds=300, seconds_per_megapixel=60)

    bare = least(command(sys.executable, "-c", "import typer, rich, sqlalchemy"), children)
    shown = least(command(str(BIN / "photomend"), "status"), children)
    pages = [
        search.Filter(), search.Filter(status=[Status.QUEUED]), search.Filter(gallery="g"),
        search.Filter(status=[Status.FAILED, Status.QUEUED]),
        search.Filter(decision=Decision.CLEAN), search.Filter(oversized=True),
    ]  # fmt: skip
    figures = {
        "import of typer, rich, sqlalchemy, s": bare,
        "status with 1,000,000 jobs, s": shown,
        "status with 1,000,000 jobs, times the import": shown / bare,
        "summary of 1,000,000 jobs, ms": least(lambda: status.summary(engine)) * 1000,
        "time left of 1,000,000 jobs, ms": least(lambda: time_left.estimate(engine)) * 1000,
        "claim with 1,000,000 jobs, ms": least(claim) * 1000,
        "slowest page of 1,000,000 jobs, ms": 1000
        * max(least(lambda page=page: search.jobs(engine, page, 51)) for page in pages),
        "page by a pattern that nothing matches, ms": 1000
        * least(lambda: search.jobs(engine, search.Filter(pattern="*/none-*.jpg"), 51)),
    }
    galleries.note(
        engine, "g", host="h", root=Path("/g"), output=Path("/o"), filesystem="ext4",
        watching="events", online=False,
    )  # fmt: skip
    galleries.add(engine, "other", Path(), {f"{number}.jpg": "1" for number in range(20)})
    figures["claim behind 1,000,000 jobs that are offline, ms"] = least(claim) * 1000
    galleries.note(engine, "g", online=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET due_at = due_at + 3000 WHERE gallery = 'g'")
    figures["claim behind 1,000,000 jobs that are not due, ms"] = least(claim) * 1000
    return figures


def pages(folder: Path, environment: dict[str, str]) -> Figures:
    """Measure each screen of the page with 100,000 jobs, beside a worker that claims and ends jobs."""
    import bench_pages

    return bench_pages.measure(folder, environment, engine_of(folder))


def workers(_folder: Path, _environment: dict[str, str]) -> Figures:
    """Measure jobs per second with 1 to 8 workers, beside plain Celery."""
    import bench_workers

    return bench_workers.measure()


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
        case ["scan", folder, folders]:
            scan_twice(Path(folder), int(folders))
        case ["mend", kind]:
            mend(kind)
        case _:
            main()
