"""Kombu's transport by Redis, which takes nothing of a notification but the number of a job.

Whoever may write to a Redis could otherwise name foreign tasks, a time after which a child is
killed, or a text that is inflated in memory. So each message that Celery gets is made here.
"""

import json
import logging
import time
import uuid
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis import Redis
from redis.exceptions import ResponseError

from storage.enums import CLASSIFY, PREVIEWS
from storage.text import printable
from tasks.worker import redis_client

log = logging.getLogger(__name__)

MAX_DIGITS = 19
"""Maximum number of digits of a job's id (64 bits)."""
SHOWN_BYTES = 40
"""Number of bytes of a foreign message that are logged."""
TASKS = {CLASSIFY: "classify", PREVIEWS: "draw"}
"""The tasks of queues; those of categories have `restore`."""

_taken_at, _warned = [float("-inf")], list[bool]()


def use() -> None:
    """Make Celery use this transport for all kinds of Redis."""
    ours = f"{__name__}:Transport"
    TRANSPORT_ALIASES.update(redis=ours, rediss=ours, sentinel=f"{__name__}:SentinelTransport")


def took_since(moment: float) -> bool:
    """Return whether this process took a notification after `moment` of the monotonic clock."""
    return _taken_at[0] > moment


class Client(Redis):
    """A client that reads a number where kombu expects a message."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the answer of Redis; that to BRPOP has a message of our own, or is None."""
        answer = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not answer:
            return answer
        queue, text = answer
        _taken_at[0] = time.monotonic()
        if not (text.isdigit() and len(text) <= MAX_DIGITS):
            _warn(queue, text)
            return None
        return queue, _message(int(text), queue.decode())


class _Doorbell:
    """What channels to one Redis and to sentinels have in common."""

    ack_emulation = False  # a notification may be lost, so none is kept in Redis or put back
    do_restore = False

    def _get_client(self) -> type[Redis]:
        return Client

    def _connparams(self: Any, asynchronous: bool = False) -> dict[str, Any]:
        given: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        if "path" in given:
            bases = (redis_client.TrustedSocket, given["connection_class"])
            given["connection_class"] = type("Socket", bases, {})
        return given

    def _queue_bind(self, *_: object) -> None:
        """Write no table of bindings: nothing is sent by kombu."""

    def _size(self, _queue: str) -> int:
        return 0

    def _brpop_read(self: Any, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._remove_others()
            raise Empty from error

    def _remove_others(self: Any) -> None:
        """Remove what has the name of a queue and is no list: nobody could send a notification."""
        with self.conn_or_acquire() as client:
            for queue in self.active_queues:
                if client.type(queue) != b"list":
                    client.delete(queue)


class Channel(_Doorbell, redis.Channel):
    """A channel to one Redis."""


class SentinelChannel(_Doorbell, redis.SentinelChannel):
    """A channel to the Redis that sentinels name."""


class Transport(redis.Transport):
    """Kombu's transport with our channel."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """Kombu's transport with our channel."""

    Channel = SentinelChannel


def _warn(queue: bytes, text: bytes) -> None:
    """Log once that others write to our queues: whoever does could fill the log."""
    if not _warned:
        _warned.append(True)
        log.warning(
            "%s holds what photomend did not send: %r…, of %d bytes; such messages are dropped",
            printable(queue.decode(errors="replace")), text[:SHOWN_BYTES], len(text),
        )  # fmt: skip


def _message(job_id: int, queue: str) -> bytes:
    """Return the message by which Celery starts the task."""
    number = uuid.uuid4().hex
    task = TASKS.get(queue.removeprefix(redis_client.key("")), "restore")
    found = json.dumps({
        "body": json.dumps([[job_id], {}, {}]),
        "content-type": "application/json", "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number},
        "properties": {
            "correlation_id": number, "delivery_tag": number,
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    })  # fmt: skip
    return found.encode()
