"""Run one worker until it is stopped: a light parent and one spawned child."""

import os
from collections.abc import Sequence

from celery.signals import worker_shutting_down

from storage.enums import PREVIEWS
from tasks.worker import heartbeat, priority, redis_client, runtime
from tasks.worker.app import app


def serve(queues: Sequence[str]) -> int:
    """Serve `queues`, and that of previews, until a signal stops the worker; return the process's exit code."""
    heartbeat.note_nohup()
    priority.lower()
    runtime.become_worker(queues)
    keys = [redis_client.key(queue) for queue in (*queues, PREVIEWS)]
    worker = app.Worker(
        hostname=f"{runtime.worker()}@{os.uname().nodename}", queues=keys,
        quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True,
    )  # fmt: skip
    heartbeat.record()
    signals: list[str] = []

    def note(sig: str, **_: object) -> None:
        signals.append(sig)

    worker_shutting_down.connect(note, weak=False)
    try:
        worker.start()
    finally:
        heartbeat.end_claims()
    # Celery counts Ctrl-C as a failure.
    return 0 if signals == ["SIGINT"] else int(worker.exitcode or 0)
