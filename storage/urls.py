"""URLs of services as people may see them: in messages, logs and reports."""

import re

HIDDEN = "***"
QUOTE = "in a password, write %40 for @, %2F for /, %3A for :, %3F for ? and %23 for #"

_URL = re.compile(r"\w{1,20}://[^\s'\"]{1,1000}")
_MAY_HAVE_PASSWORD = re.compile("@|pass", re.IGNORECASE)


def hidden(url: str) -> str:
    """Return the kind of a URL that may hold a secret anywhere: "tgram://***"."""
    scheme, separator, _ = url.partition("://")
    return f"{scheme}{separator}{HIDDEN}" if separator else HIDDEN


def without_passwords(text: str) -> str:
    """Return a text with each URL in it that may have a password as `without_password` shows it."""

    def shown(url: re.Match[str]) -> str:
        return without_password(url[0]) if _MAY_HAVE_PASSWORD.search(url[0]) else url[0]

    return _URL.sub(shown, text)


def without_password(url: str) -> str:
    """Return a URL for people to read: no password, and nothing of its query, which may hold one.

    A user's name is kept if a password follows it; alone, it may be a token. Also takes what is no
    proper URL: a password with unquoted signs, a missing scheme, several URLs joined by semicolons.
    """
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    place, question, query = rest.partition("?")
    user, at, host = ("", "", place) if place.startswith("/") else place.rpartition("@")
    if "@" in query and not at:
        host = HIDDEN  # a question mark in the password, or an @ in the query: nobody can tell
    name, colon, _ = user.partition(":")
    shown = f"{name}:{HIDDEN}@" if colon else f"{HIDDEN}@" if at else ""
    return f"{scheme}{separator}{shown}{host}" + (f"?{HIDDEN}" if question else "")
