"""Which names of this machine a browser may use, and which sites may send it a form.

A site whose name suddenly resolves to 127.0.0.1 (DNS rebinding) sends its own name as `Host`; a form
of another site has that site as `Origin`.
"""

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from storage.settings_web import WebSettings, is_loopback, split


def refusal(
    settings: WebSettings, method: str, headers: Mapping[str, str], scheme: str
) -> str | None:
    """Return why a request is refused; None if it is not."""
    host = headers.get("host", "")
    if not _is_known(settings, name_of(host)):
        return (
            "this name is not one of the page's; use the address that `photomend web` prints, "
            "or add the name to hosts in [web] of the settings"
        )
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "another site sent this form; nothing was changed"
    origin = headers.get("origin")
    if origin is not None and not _is_same(settings, origin, host, scheme):
        return "another site sent this form; nothing was changed"
    return None


def name_of(host: str) -> str:
    """Return the name in a `Host`, without its port, in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_known(settings: WebSettings, name: str) -> bool:
    listens, _ = split(settings.address)
    names = {"localhost"} if is_loopback(listens) else {"localhost", *_own_names()}
    if name in names | {known.lower() for known in settings.hosts}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not is_loopback(listens)


def _own_names() -> set[str]:
    own = socket.gethostname().lower()
    return {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}


def _is_same(settings: WebSettings, origin: str, host: str, scheme: str) -> bool:
    """Return whether a form comes from a page of ours; a proxy may have changed the `Host`."""
    parts = urlsplit(origin)
    if parts.netloc == host and parts.scheme in (scheme, "https"):
        return True
    return (parts.hostname or "") in {known.lower() for known in settings.hosts}
