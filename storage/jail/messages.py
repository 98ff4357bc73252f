"""Messages of JSON, and what goes along with them, over a socket between a process and its jail."""

import json
import os
import socket
import struct
from typing import Any

from storage.jail.shared import Incoming, Outgoing

_HEAD = struct.Struct("=Q")
MOST_BYTES = 1 << 23
"""Maximum length of a message; bytes and arrays go along with it. As values it takes 30 times as much."""
MOST_FILES = 8
"""Maximum number of descriptors with a message."""


class Ended(OSError):
    """The other side has ended."""


class TooLong(ValueError):
    """The message is longer than any that is ever sent."""


def send(to: socket.socket, content: Any, along: Outgoing) -> None:
    """Send JSON and what goes along with it.

    Raises:
        Ended: nobody is there.

    """
    body = json.dumps(content).encode()
    memory, *files = along.descriptors()
    try:
        socket.send_fds(to, [_HEAD.pack(len(body))], [memory, *files])
        to.sendall(body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Ended from error
    finally:
        os.close(memory)


def receive(of: socket.socket) -> tuple[Any, Incoming]:
    """Receive JSON and what came along with it.

    Raises:
        Ended: nobody is there.
        ValueError: it is too long, or no JSON.

    """
    try:
        head, files, _, _ = socket.recv_fds(of, _HEAD.size, MOST_FILES, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError as error:
        raise Ended from error
    along = Incoming(files)
    try:
        (length,) = _HEAD.unpack(head + _exactly(of, _HEAD.size - len(head)))
        if length > MOST_BYTES:
            raise TooLong(f"a message of {length} bytes")
        return json.loads(_exactly(of, length)), along
    except BaseException:
        along.close()
        raise


def _exactly(of: socket.socket, length: int) -> bytes:
    made = bytearray()
    while len(made) < length:
        try:
            part = of.recv(min(length - len(made), 1 << 20))
        except ConnectionResetError as error:
            raise Ended from error
        if not part:
            raise Ended
        made += part
    return bytes(made)
