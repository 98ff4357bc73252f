"""The settings of the page, `[web]`."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from storage.enums import Monitoring
from storage.settings_values import Check

MOST_PORT = 65_535


def split(address: str) -> tuple[str, int]:
    """Return the host and port of an address: "127.0.0.1:8484" or "[::1]:8484".

    Raises:
        ValueError: it is none.

    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= MOST_PORT):
        raise ValueError(address)
    if host.startswith("["):
        return str(ipaddress.IPv6Address(host.removeprefix("[").removesuffix("]"))), int(port)
    if host != "localhost":
        ipaddress.IPv4Address(host)
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach a host."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _is_address(text: str) -> bool:
    try:
        return not text or bool(split(text))
    except ValueError:
        return False


def _is_root(text: str) -> bool:
    safe = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
    return not text or (text.startswith("/") and not text.endswith("/") and set(text) <= safe)


Address = Annotated[
    str,
    Check(_is_address, 'an address with a port, like "127.0.0.1:8484" or "[::1]:8484", or ""'),
]
Hosts = Annotated[
    tuple[str, ...],
    Check(
        lambda hosts: all(host and not set(host) & set("/@ *") for host in hosts),
        'a list of names, like ["photos.example.org"]',
    ),
]
Root = Annotated[str, Check(_is_root, 'a path, like "/photomend", or ""')]


@dataclass(frozen=True)
class WebSettings:
    """Where the page is, and who may reach it."""

    address: Address = "127.0.0.1:8484"
    """Where the page listens; "" for no page. Another one than this machine's own needs a password."""
    hosts: Hosts = ()
    """Names by which browsers reach the page, beside this machine's addresses and name."""
    root_path: Root = ""
    """The path below which a reverse proxy shows the page; "" if it has a host of its own."""
    forwarded_allow_ips: tuple[str, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded headers are believed."""
    monitoring: Monitoring = Monitoring.PRIVATE
    """Who may read /metrics and /health: this machine and who has a token (private), all (public), off."""
