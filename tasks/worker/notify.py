"""The bell of a queue: a message that there is work, which may get lost, come late or twice."""

import logging
from functools import cache
from urllib.parse import unquote

from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from storage.enums import CLASSIFY
from storage.settings import settings
from tasks.worker.app import app

log = logging.getLogger(__name__)


def ring(queue: str, job_id: int) -> bool:
    """Ring for the job, unless enough bells wait; False if Redis does not answer.

    One that cannot ring now is rung by the keeper.
    """
    try:
        if waiting(queue) < settings().max_pending_notifications:
            name = "classify" if queue == CLASSIFY else "restore"
            app.send_task(name, [job_id], queue=queue)
    except (OperationalError, RedisError) as error:
        log.warning("job %d is queued, but the bell of %s does not ring: %s", job_id, queue, error)
        return False
    return True


def waiting(queue: str) -> int:
    """Return how many bells wait in Redis for a worker of `queue`."""
    return int(_redis().llen(queue))


@cache
def _redis() -> "Redis":
    """Return a client of our own: kombu's pool is broken by a restart of Redis."""
    scheme, colon, rest = settings().broker.partition("://")
    if scheme == "redis+socket":  # kombu's word, with a quoted path
        return Redis(unix_socket_path=unquote(rest.partition("?")[0]), socket_timeout=30)
    return Redis.from_url(scheme + colon + rest, socket_timeout=30)
