"""Run the page: check that it may be shown at its address, then answer until a signal arrives."""

import asyncio
import errno
import socket
from contextlib import suppress

from daemon.web.credentials import Credentials
from storage.errors import PageRefused
from storage.settings import Settings
from storage.settings_web import is_loopback, split

MOST_CONNECTIONS = 200
"""Connections at the same time; more are answered with an error."""
STOP_SECONDS = 3
"""Time that open connections have to end."""


def address(known: Settings) -> str:
    """Return the address for a browser."""
    return f"http://{known.web.address}{known.web.root_path}/"


def check(known: Settings) -> None:
    """Raise unless the page may be shown at its address.

    Raises:
        PageRefused: there is no address, or it is one of a network and no password is set.

    """
    if not known.web.address:
        raise PageRefused('there is no page: address in [web] of the settings is ""')
    host, _ = split(known.web.address)
    if not is_loopback(host) and not Credentials(known.state_dir).has_password:
        raise PageRefused(
            f"the page is not shown at {known.web.address}, where others reach it, before "
            "`photomend web password` has set a password"
        )


def listen(known: Settings) -> socket.socket:
    """Return a socket that listens at the address of the page.

    Raises:
        PageRefused: another program listens there, or this machine does not have it.

    """
    host, port = split(known.web.address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()
    except OSError as error:
        made.close()
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else (error.strerror or str(error))
        raise PageRefused(
            f"the page is not shown at {known.web.address}: {why}; "
            "set another address in [web] of the settings"
        ) from error
    return made


def serve(known: Settings, listening: socket.socket) -> None:
    """Show the page until this process is stopped."""
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has stopped
        asyncio.run(_serve(known, listening))


async def _serve(known: Settings, listening: socket.socket) -> None:
    import uvicorn

    from daemon.web.app import build

    server: uvicorn.Server | None = None
    app = build(known, lambda: server is not None and server.should_exit)
    proxies = ",".join(known.web.forwarded_allow_ips)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False,
        root_path=known.web.root_path, proxy_headers=bool(proxies), forwarded_allow_ips=proxies or "",
        limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=STOP_SECONDS, ws="none",
    )  # fmt: skip
    server = uvicorn.Server(config)
    await server.serve(sockets=[listening])
