"""Notice that Celery's loop takes no notifications any more, though Redis has some.

That was seen when Redis ended at an unlucky moment. Only a new process helps.
"""

import time

from redis.exceptions import RedisError

from storage.settings import settings
from tasks.worker import redis_client, runtime, transport

SHORTEST_SECONDS = 30.0
"""Least time in which a worker must take a notification: its child may be starting, on a slow disk."""


class Delivery:
    """Whether this worker takes the notifications of its queues."""

    def __init__(self) -> None:
        self._since: float | None = None
        """When the first of the notifications that wait now was seen."""

    def has_stopped(self, *, working: bool) -> bool:
        """Return whether notifications have waited for long while this worker took none."""
        took = self._since is not None and transport.took_since(self._since)
        if working or took or not self._waiting():
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        longest = max(3 * settings().worker_timeout_seconds, SHORTEST_SECONDS)
        return self._since is not None and time.monotonic() - self._since > longest

    def _waiting(self) -> bool:
        try:
            counts = [
                redis_client.client(redis_client.TRIAL_SECONDS).llen(redis_client.key(queue))
                for queue in runtime.queues()
            ]
        except (RedisError, OSError):
            return False  # Redis is away
        return any(counts)
