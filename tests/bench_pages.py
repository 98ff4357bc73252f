"""Measure how long each screen of the page takes with 100,000 jobs, beside a running worker."""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import psutil
import sqlalchemy as sa

from storage.database import counts, galleries
from storage.database.tables import history, jobs
from storage.enums import Category, Decision, ErrorKind, Review, Status

BIN = Path(sys.executable).parent
JOBS, FAILED, FOLDER_FILES, ROUNDS = 100_000, 7_000, 1000, 15
RECEIPT = {
    "steps": [{"step": "restore the whole image", "seconds": 0.4}],
    "guard": {f"figure_{n}": 0.1234 for n in range(16)}
    | {"visible_change": 3.9, "kept_share": 1.0},
}
SCORES = {"severities": {"noise": 0.99, "softness": 0.2, "motion": 0.1}, "confident": True}
PAGES = {
    "now": "/",
    "review, new": "/review",
    "review, all": "/review?show=all",
    "review, far down": "/review?show=all&under=5000",
    "review, failed": "/review?show=failed",
    "review, unsure of a category": "/review?show=unsure&category=reflection",
    "review, kept": "/review?show=kept",
    "review, of a gallery without any": "/review?show=new&gallery=none",
    "review, of a category without any new": "/review?show=new&category=motion-blur",
    "review, of a day": "/review?show=all&since=2024-02-01&until=2024-02-02",
    "photo": "/photo/50000",
    "opened": "/review/50000",
    "problems": "/problems",
    "settings": "/settings",
    "API, jobs": "/api/v1/jobs?limit=50",
    "API, status": "/api/v1/status",
}


def fill(engine: sa.Engine) -> None:
    """Record jobs of all kinds: most are done, the newest of the mended were all reviewed."""
    for number in range(JOBS // FOLDER_FILES):
        names = {f"{i}.jpg": "1" for i in range(FOLDER_FILES)}
        galleries.add(engine, "g", Path(str(number)), names)
    with engine.begin() as connection:
        for share, values in _kinds():
            lowest, highest = (int(part * JOBS) for part in share)
            here = sa.and_(jobs.c.id > lowest, jobs.c.id <= highest)
            connection.execute(sa.update(jobs).where(here).values(values))
        start = sa.literal(1_704_067_200.0)
        connection.execute(sa.update(jobs).values(created_at=start + jobs.c.id * 60))
        connection.execute(
            sa.insert(history),
            [{"job_id": 50_000, "claim": 1, "event": f"event {n}"} for n in range(30)],
        )
    counts.fold(engine)  # as maintenance does


def _kinds() -> list[tuple[tuple[float, float], dict[str, object]]]:
    done = {"status": Status.DONE, "scores": SCORES, "receipt": RECEIPT, "pixels": 12_000_000}
    done |= {"finished_at": time.time() - 100, "claims": 2, "seconds": 3.0}
    mended = done | {"decision": Decision.RESTORED, "category": Category.SUPER_RESOLUTION}
    failed = {"status": Status.FAILED, "error_kind": ErrorKind.CRASHED, "error": "it died"}
    unsure = done | {"decision": Decision.UNSURE, "category": Category.CLEAN}
    clean = done | {"decision": Decision.CLEAN, "category": Category.CLEAN}
    edge = FAILED / JOBS
    return [
        ((0, edge), failed), ((edge, 0.3), clean), ((0.3, 0.4), unsure), ((0.4, 0.6), mended),
        ((0.6, 0.95), mended | {"review": Review.KEPT}),
    ]  # fmt: skip


def measure(folder: Path, environment: dict[str, str], engine: sa.Engine) -> dict[str, float]:
    """Return the milliseconds of each screen: the median and the longest of some rounds."""
    fill(engine)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    own = environment | {"PHOTOMEND_WEB": json.dumps({"address": address})}
    server = subprocess.Popen([BIN / "photomend", "web"], env=own, stdout=subprocess.DEVNULL)
    stop = threading.Event()
    worker = threading.Thread(target=_work, args=(engine, stop))
    try:
        _until_answers(f"http://{address}/login")
        worker.start()
        return _times(f"http://{address}", psutil.Process(server.pid))
    finally:
        stop.set()
        worker.join()
        server.terminate()
        server.wait()


def _work(engine: sa.Engine, stop: threading.Event) -> None:
    """Claim and end jobs, as fast as many workers would."""
    from storage.database import workers
    from storage.database.jobs import Jobs
    from storage.enums import QUEUES

    table = Jobs(engine, pause_seconds=1, max_attempts=3)
    workers.heartbeat(engine, "w", "h", 1, QUEUES, "cpu")
    while not stop.wait(0.02):
        job = table.claim("w", QUEUES, child=os.getpid(), seconds=300, seconds_per_megapixel=60)
        if job is not None:
            table.finish(job, Decision.CLEAN, category=Category.CLEAN, scores=SCORES)


def _until_answers(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def _times(address: str, server: psutil.Process) -> dict[str, float]:
    """Measure each page: its time, and the processor time of the server, which no load changes."""
    figures = {}
    for name, path in PAGES.items():
        took = []
        urllib.request.urlopen(address + path).read()
        used = sum(server.cpu_times()[:2])
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            urllib.request.urlopen(address + path).read()
            took.append(1000 * (time.perf_counter() - begun))
        figures[f"page {name}, median ms"] = statistics.median(took)
        figures[f"page {name}, longest ms"] = max(took)
        spent = sum(server.cpu_times()[:2]) - used
        figures[f"page {name}, processor ms"] = 1000 * spent / ROUNDS
    return figures
