"""Whether a worker takes its notifications, with a real Redis."""

import time

import pytest

from storage.settings import settings
from tasks.worker import delivery, redis_client, runtime, transport
from tasks.worker.delivery import Delivery


@pytest.fixture
def waiting(home, redis_server, monkeypatch):
    """Make notifications wait in the queue of this worker."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "0.02")
    monkeypatch.setenv("PHOTOMEND_HEARTBEAT_SECONDS", "0.01")
    settings.cache_clear()
    redis_client.client.cache_clear()
    monkeypatch.setattr(delivery, "SHORTEST_SECONDS", 0.1)
    runtime.become_worker(["classify"])
    redis_server.client.lpush(redis_client.key("classify"), 1, 2)
    yield
    redis_client.client.cache_clear()


def stops(found: Delivery, *, taking: bool) -> bool:
    for _ in range(20):
        if taking:
            transport._taken_at[0] = time.monotonic()
        if found.has_stopped(working=False):
            return True
        time.sleep(0.02)
    return False


def test_a_worker_that_takes_no_notification_has_stopped(waiting):
    assert stops(Delivery(), taking=False)


def test_a_flood_of_notifications_is_no_reason_to_end(waiting):
    assert not stops(Delivery(), taking=True)
