"""The parent's side of a jail: start it, run operations in it, and start it anew when it died."""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, TypeVar

from storage.errors import DecoderDied
from storage.jail import messages, values
from storage.jail.confinement import Confinement
from storage.jail.failures import Failure
from storage.jail.shared import Incoming, Outgoing
from storage.text import printable

log = logging.getLogger(__name__)

PROGRAM = """
import json, sys
arguments, sys.path[:] = json.loads(sys.argv[1])
from storage.jail.process import main
main(*arguments)
"""
END_SECONDS = 5.0
"""Seconds in which a process that failed to start prints why."""
ENVIRONMENT = ("LD_LIBRARY_PATH",)
"""What of the environment a jail gets, because Python may not start without it; no secret is there."""
_THREADS = {"OPENBLAS_NUM_THREADS": "1"}
"""Numpy starts no threads, which Landlock would not cover: decoding multiplies no matrices."""

WRONG = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
"""What an answer that is none may raise."""

_Result = TypeVar("_Result")


class Jail:
    """A jail for one process, which is started when it is first needed."""

    def __init__(self, program: str = PROGRAM, megabytes: int | None = None) -> None:
        """Start nothing yet; without `megabytes` of private memory it has the limit of its parent."""
        self._program, self._megabytes = program, megabytes
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._confinement: Confinement | None = None
        self._turn = RLock()
        """Held while an operation runs: the jail does one after the other."""

    @property
    def pid(self) -> int | None:
        """The process id, None if it does not run."""
        return None if self._process is None else self._process.pid

    def confinement(self) -> Confinement:
        """Start the jail, if it does not run, and return what holds it in."""
        with self._turn:
            self._started()
            assert self._confinement is not None
            return self._confinement

    def run(self, operation: Callable[..., _Result], *given: Any) -> _Result:
        """Run an operation in the jail.

        Raises:
            DecoderDied: the jail died with it, or answered what no operation answers.
            DecodingFailed: the operation raised an error that nobody expects.

        """
        with self._turn:
            connection, along = self._started(), Outgoing()
            asked = {
                "module": operation.__module__, "name": operation.__qualname__,
                "values": [values.pack(value, along) for value in given],  # which opens files
            }  # fmt: skip
            try:
                messages.send(connection, asked, along)
                result = _answered(operation, *messages.receive(connection))
            except (messages.Ended, *WRONG) as error:
                raise DecoderDied(self._why(error)) from error
            except BaseException:  # a half-read answer would be taken for the next one
                self.stop()
                raise
        if isinstance(result, Failure):
            raise result.error()
        return result

    def stop(self) -> None:
        """Kill the jail, if it runs; the next operation starts another one."""
        with self._turn:
            if self._socket is not None:
                self._socket.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                assert self._process.stderr is not None
                self._process.stderr.close()
            self._socket = self._process = None

    def _why(self, error: Exception) -> str:
        """End the jail, and return how it ended."""
        if not isinstance(error, messages.Ended):
            self.stop()
            return f"the process that decodes photos gave no valid answer: {error}"
        process = self._process
        assert process is not None
        code = process.wait()
        self.stop()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the process that decodes photos {how} while it worked on this one"

    def _started(self) -> socket.socket:
        """Return the socket of the running jail.

        Raises:
            OSError: it cannot be started.

        """
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it was killed while it was idle: no photo's fault
        if self._socket is None:
            self._start()
        assert self._socket is not None
        return self._socket

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        arguments = theirs.fileno(), os.getpid(), self._megabytes
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-ISB", "-c", self._program, json.dumps([arguments, sys.path])],
                env=kept | _THREADS, pass_fds=[theirs.fileno()], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        self._socket = ours
        try:
            answer, along = messages.receive(ours)
            self._confinement = values.unpack(answer, Confinement, along)
            along.close()
        except (OSError, ValueError) as error:
            reason = _last_line(self._process)
            self.stop()
            text = f"the process that decodes photos does not start: {reason or error}"
            raise OSError(errno.ECHILD, text) from error
        except BaseException:  # the greeting would be taken for the first answer
            self.stop()
            raise
        assert self._process.stderr is not None
        self._process.stderr.close()  # from now on what libraries print may be a photo's
        for problem in self._confinement.lacks:
            log.warning("photos are decoded with less protection: %s", problem)


def _last_line(process: subprocess.Popen[bytes]) -> str:
    """Return the last line that a process printed which ends, or is ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    process.kill()
    assert process.stderr is not None
    with process.stderr as told:
        lines = told.read().decode(errors="replace").strip().splitlines()
    return printable(lines[-1]) if lines else ""


def _answered(operation: Callable[..., _Result], answer: Any, along: Incoming) -> _Result | Failure:
    """Return what an operation returned, or raised; both are of the expected types."""
    try:
        if "failure" in answer:
            failure: Failure = values.unpack(answer["failure"], Failure, along)
            return failure
        result: _Result = values.unpack(answer["value"], values.hints(operation)["return"], along)
        return result
    finally:
        along.close()
