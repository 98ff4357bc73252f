"""Find what others can read: passwords in a settings file, and photos on their way to a server."""

import ipaddress
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from storage.settings import Settings
from storage.text import command
from storage.urls import without_password


def of_settings_file(file: Path | None, made: Settings) -> str | None:
    """Return which secrets every user of this machine can read in the settings file; None if none.

    Raises:
        OSError: the file cannot be read.

    """
    if file is None or not stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
        return None
    text = file.read_text("utf-8-sig")
    if not (named := [name for name, secret in _secrets(made).items() if secret in text]):
        return None
    return (
        f"every user can read {' and '.join(named)} in {file}: {command('chmod', 'o=', file)}; if "
        f"services read it, too: {command('chgrp', 'photomend', file)}"
    )


def of_photos(url: str) -> str | None:
    """Return why others can see the photos that are sent to the server at `url`; None if not."""
    if not is_open(url):
        return None
    return (
        f"photos and the key go to {urlsplit(url).hostname} unencrypted, where others on the way can read "
        "them; use https://, or an SSH tunnel and localhost"
    )


def is_open(url: str) -> bool:
    """Return whether others on the way to a server can read what is sent to it."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_this_machine(parts.hostname or "")


def _secrets(made: Settings) -> dict[str, str]:
    """Return the settings that hold a secret, by name."""
    urls = {
        "database_url": made.database_url, "redis_url": made.redis_url,
        "classifier_url": made.paper.classifier_url,
    }  # fmt: skip
    found = {name: url for name, url in urls.items() if without_password(url) != url}
    return found | (
        {"classifier_key": made.paper.classifier_key} if made.paper.classifier_key else {}
    )


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
