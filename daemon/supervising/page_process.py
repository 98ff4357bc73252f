"""The process that `photomend up` starts for the page, unless its address cannot be had."""

from collections.abc import Callable

from storage.errors import PageRefused
from storage.settings import settings


def can_start(tell: Callable[[str], None]) -> bool:
    """Return whether the page can be shown; say its address, or why there is none."""
    from daemon.web import server

    known = settings()
    if not known.web.address:
        return False
    try:
        server.check(known)
        server.listen(known).close()
    except PageRefused as error:
        tell(str(error))
        return False
    tell(f"the page is at {server.address(known)}")
    return True
