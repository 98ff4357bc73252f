"""Log to stderr, as every process of photomend does."""

import logging

from storage.text import printable

FORMAT = "%(levelname)s %(message)s"
"""It has no time, because systemd adds it."""


class EscapedFormatter(logging.Formatter):
    """Write each message on one line, whatever names of files it holds; only a traceback has more."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of the message."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the message and its traceback."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def to_stderr() -> None:
    """Log messages of this process to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(EscapedFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
