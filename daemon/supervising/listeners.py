"""Who reads the output of a daemon, or started it in a terminal, may leave: the daemon goes on."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TextIO

Handler = Callable[[int, FrameType | None], Any]


class LastingStream:
    """A stream whose writes are lost, and raise nothing, while nobody takes them.

    The pipe is closed, the terminal is gone, or the disk of the log is full.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if that is possible now."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is possible now."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def may_leave() -> None:
    """Go on when nobody reads stdout and stderr of this process any more."""
    sys.stdout, sys.stderr = LastingStream(sys.stdout), LastingStream(sys.stderr)


def handle_stop(handler: Handler) -> None:
    """Call `handler` at each signal that stops a daemon; nohup's ignored SIGHUP stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
