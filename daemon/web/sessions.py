"""Sessions of browsers: a signed cookie, and the token that each form of its pages carries."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

COOKIE = "photomend"
LASTS_SECONDS = 30 * 86400
"""Time after which a browser has to log in again."""


@dataclass(frozen=True)
class Session:
    """What a browser has shown us."""

    name: str
    """Random, signed by us."""
    logged_in: bool
    ends_at: int


def begin(*, logged_in: bool) -> Session:
    """Return a new session."""
    return Session(secrets.token_urlsafe(18), logged_in, int(time.time()) + LASTS_SECONDS)


def to_cookie(session: Session, secret: bytes) -> str:
    """Return the value of the session's cookie."""
    text = f"{session.name}.{int(session.logged_in)}.{session.ends_at}"
    return f"{text}.{_signature(secret, 'session', text)}"


def from_cookie(value: str | None, secret: bytes) -> Session | None:
    """Return the session of a cookie; None if it is not ours or has ended."""
    text, _, signature = (value or "").rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(secret, "session", text).encode()):
        return None
    name, logged_in, ends_at = text.split(".")
    return None if int(ends_at) < time.time() else Session(name, logged_in == "1", int(ends_at))


def form_token(session: Session, secret: bytes) -> str:
    """Return the token without which no form of this session changes anything."""
    return _signature(secret, "form", session.name)


def is_form_token(token: str, session: Session, secret: bytes) -> bool:
    """Return whether a form carries the token of its session."""
    return hmac.compare_digest(token.encode(), form_token(session, secret).encode())


def _signature(secret: bytes, purpose: str, text: str) -> str:
    return hmac.new(secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
