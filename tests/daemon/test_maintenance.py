"""Maintenance on a real database, with real files and a real Redis."""

import hashlib
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from daemon import maintenance
from storage import preview_files, preview_requests, publishing, trash
from storage.database import galleries, search
from storage.database import workers as worker_rows
from storage.enums import CLASSIFY, PREVIEWS, QUEUES, Status
from tasks.worker.redis_client import key

RENEW = """
from daemon import maintenance
from storage.database.jobs import open_jobs
maintenance.renew_notifications(open_jobs())
maintenance.renew_notifications(open_jobs())
"""


def test_only_the_temporary_files_of_ended_claims_are_removed(home, jobs):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    running = jobs.claim("w", QUEUES, child=os.getpid(), seconds=300, seconds_per_megapixel=60)
    output = home / "output/2024/a.jpg"
    output.parent.mkdir(parents=True)
    output.write_bytes(b"a photo")
    with (
        publishing.draft(output, running.id, running.claims) as kept,
        publishing.draft(output, running.id, running.claims - 1),
        publishing.draft(output, 2, 1),
    ):
        (output.parent / ".photomend-0123456789ab-2-1.tmp").touch()  # as older versions named them
        maintenance.clean_up(jobs)
        assert {path.name for path in output.parent.iterdir()} == {kept.temporary, output.name}


def test_jobs_of_a_worker_without_heartbeat_are_released(home, jobs):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    jobs.claim("w", QUEUES, child=os.getpid(), seconds=300, seconds_per_megapixel=60)
    maintenance.release(jobs)
    assert search.get(jobs.engine, 1).status is Status.RUNNING
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workers SET uptime = uptime - 100")
    maintenance.release(jobs)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.attempts, job.error) == (Status.QUEUED, 1, "its worker was lost")


def test_each_due_job_gets_one_notification_up_to_the_maximum(home, jobs, redis_server):
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(5)})
    environment = os.environ | {
        "PHOTOMEND_REDIS_URL": redis_server.url, "PHOTOMEND_MAX_PENDING_NOTIFICATIONS": "3",
    }  # fmt: skip
    jobs.cancel([3, 4, 5])
    for expected in (2, 3):
        subprocess.run([sys.executable, "-P", "-c", RENEW], env=environment, cwd=home, check=True)
        assert redis_server.client.llen(key(CLASSIFY)) == expected
        jobs.retry([3, 4, 5])


DAYS = [(date.today() - timedelta(days=days)).isoformat() for days in (29, 31)]
RUN = """
from threading import Event
from daemon import maintenance
from storage.database.jobs import open_jobs
stop = Event()
clean_up = maintenance.clean_up
maintenance.clean_up = lambda jobs: (clean_up(jobs), stop.set())
maintenance.run(open_jobs(), stop)
"""


def test_previews_beyond_their_room_go_and_so_does_old_trash(home, jobs, redis_server):
    state, content = home / "state", b"a rejected result"
    preview_files.write(state, 7, "before", b"picture")
    days = home / "output" / trash.FOLDER
    kept, old = (days / day / f"7-{hashlib.sha256(content).hexdigest()}" for day in DAYS)
    for file in (kept, old):
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    environment = os.environ | {
        "PHOTOMEND_REDIS_URL": redis_server.url, "PHOTOMEND_PREVIEWS_MEGABYTES": "0",
        "PHOTOMEND_MAINTENANCE_SECONDS": "0.1",
    }  # fmt: skip
    subprocess.run([sys.executable, "-P", "-c", RUN], env=environment, cwd=home, check=True)
    assert preview_files.of(state, 7).before is None
    assert kept.exists() and not old.exists()


def test_requests_for_previews_get_new_notifications_and_old_ones_go(home, jobs, redis_server):
    state = home / "state"
    for job_id in (7, 8, 9):
        preview_requests.ask(state, job_id)
    os.utime(state / preview_requests.FOLDER / "9.wanted", (1, 1))
    environment = os.environ | {
        "PHOTOMEND_REDIS_URL": redis_server.url, "PHOTOMEND_MAINTENANCE_SECONDS": "0.1",
    }  # fmt: skip
    subprocess.run([sys.executable, "-P", "-c", RUN], env=environment, cwd=home, check=True)
    assert redis_server.client.lrange(key(PREVIEWS), 0, -1) == [b"9", b"8", b"7"]
    assert preview_requests.waiting(state) == [7, 8]
