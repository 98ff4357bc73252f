"""Settings that are addresses, and what is allowed in each."""

from contextlib import suppress
from typing import Annotated
from urllib.parse import urlsplit

from storage import redis_address
from storage.settings_values import Check
from storage.urls import QUOTE, without_password


def _is_redis(url: str) -> bool:
    """Return whether both Celery and our own client can read the URL; their messages may hold it."""
    with suppress(ValueError):
        return bool(redis_address.parse(url))
    return False


def _is_mirror(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.netloc) and "@" not in parts.netloc
    return False


RedisUrl = Annotated[
    str,
    Check(
        lambda url: not url or _is_redis(url),
        f"like {redis_address.EXAMPLES} ({QUOTE})",
        shown=without_password,
    ),
]
Mirror = Annotated[
    str,
    Check(
        lambda url: not url or _is_mirror(url),
        "an address like https://nas.example/weights, without a password",
        shown=without_password,
    ),
]
