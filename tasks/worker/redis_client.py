"""Our own client of Redis; it connects to the same database and in the same way as Celery."""

from functools import cache
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from storage import redis_address
from storage.settings import settings

SOCKET_SECONDS = 30.0
"""Longest wait for an answer of Redis."""
TRIAL_SECONDS = 5.0
"""Longest wait for the answer to a trial."""


@cache
def client(seconds: float = SOCKET_SECONDS) -> Redis:
    """Return a client; a restart of Redis breaks kombu's pool, and not this one."""
    address = redis_address.parse(settings().broker)
    login: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "db": address.database,
    }
    waits: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": min(seconds, TRIAL_SECONDS),
    }
    if address.master:
        own = {**dict(address.sentinel_login), **waits}
        sentinels = Sentinel(address.hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        master: Redis = sentinels.master_for(address.master, **login, **waits)  # type: ignore[no-untyped-call]
        return master
    if address.socket:
        return Redis(unix_socket_path=address.socket, socket_timeout=seconds, **login)
    return Redis.from_url(address.broker, **waits)


def key(name: str) -> str:
    """Return the key in Redis of a queue, or of something else of ours."""
    return redis_address.KEY_PREFIX + name


def trouble() -> str | None:
    """Return why no notification can be sent, None if one can: a trial writes a key for a minute.

    A Redis whose memory or disk is full answers all questions, and refuses what is written.
    """
    try:
        client(TRIAL_SECONDS).set(key("trial"), "1", ex=60)
    except (RedisError, OSError) as error:
        return str(error) or type(error).__name__
    return None
