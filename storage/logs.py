"""Log to stderr, as every process of photomend does: escaped, and without passwords."""

import logging
import sys
import threading
from types import TracebackType

from storage.text import printable
from storage.urls import without_passwords

FORMAT = "%(levelname)s %(message)s"
"""It has no time, because systemd adds it."""
INDENT = "  "
"""Begins each further line, so that no text of a photo or a server can look like a message of ours."""

log = logging.getLogger(__name__)


class EscapedFormatter(logging.Formatter):
    """Write each message on one line, whatever names of files it holds; only a traceback has more."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of the message."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the message and its traceback."""
        lines = without_passwords(super().format(record)).split("\n")
        return f"\n{INDENT}".join(map(printable, lines))


def to_stderr() -> None:
    """Log messages, warnings and errors that nobody caught of this process to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(EscapedFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda found: _log_uncaught(
        found.exc_type, found.exc_value, found.exc_traceback
    )


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("this is a bug of photomend", exc_info=(kind, error, trace))
