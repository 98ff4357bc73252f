"""Send and count notifications: messages that a queue has work, which may be lost, late or doubled."""

import logging

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from storage.enums import CLASSIFY
from storage.settings import settings
from tasks.worker import redis_client
from tasks.worker.app import app

log = logging.getLogger(__name__)


def send(queue: str, job_id: int) -> bool:
    """Notify a queue of a job, unless enough notifications wait; return False if Redis is away.

    Maintenance sends later what cannot be sent now.
    """
    try:
        if waiting(queue) < settings().max_pending_notifications:
            name = "classify" if queue == CLASSIFY else "restore"
            app.send_task(name, [job_id], queue=queue)
    except (OperationalError, RedisError) as error:
        log.warning("job %d is queued, but %s cannot be notified: %s", job_id, queue, error)
        return False
    return True


def waiting(queue: str) -> int:
    """Return the number of notifications that wait in Redis for a worker of `queue`."""
    return int(redis_client.client().llen(queue))
