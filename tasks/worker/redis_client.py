"""Our own client of Redis; it connects to the same database and in the same way as Celery."""

from functools import cache
from typing import Any

from redis import Redis
from redis.connection import ConnectionPool, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from storage import redis_address, redis_socket
from storage.settings import settings

SOCKET_SECONDS = 30.0
"""Longest wait for an answer of Redis."""
TRIAL_SECONDS = 5.0
"""Longest wait for the answer to a trial."""


class TrustedSocket(UnixDomainSocketConnection):
    """A connection to a unix socket that only we, root or the owner of its folder can have made."""

    def _connect(self) -> Any:
        if reason := redis_socket.why_not_trusted(self.path):
            raise RedisConnectionError(reason)
        return super()._connect()  # type: ignore[no-untyped-call]


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
        pool = ConnectionPool(TrustedSocket, path=address.socket, socket_timeout=seconds, **login)
        return Redis(connection_pool=pool)
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
