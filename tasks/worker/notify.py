"""Send and count notifications: messages that a queue has work, which may be lost, late or doubled.

A notification is the id of a job. Whoever may write to Redis can send one, and no harm is done by it.
"""

import logging

from redis.exceptions import RedisError

from storage.settings import settings
from tasks.worker import redis_client

log = logging.getLogger(__name__)


def send(queue: str, job_id: int) -> bool:
    """Notify a queue of a job, unless enough notifications wait; return False if Redis is away.

    Maintenance sends later what cannot be sent now.
    """
    try:
        if waiting(queue) < settings().max_pending_notifications:
            redis_client.client().lpush(redis_client.key(queue), job_id)
    except (RedisError, OSError) as error:
        log.warning("the workers of %s cannot be notified of job %d: %s", queue, job_id, error)
        return False
    return True


def waiting(queue: str) -> int:
    """Return the number of notifications that wait in Redis for a worker of `queue`."""
    return int(redis_client.client().llen(redis_client.key(queue)))
