"""Send a message to receivers, each by a process of its own, which is killed if it takes too long."""

import json
import logging
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from daemon.supervising.python_command import python_command
from storage.urls import hidden

SECONDS = 60.0
"""Time that a receiver has for one message."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """A message for one receiver."""

    url: str
    title: str
    text: str
    pictures: tuple[str, ...] = ()
    """Paths of files that go along."""


@dataclass(frozen=True)
class Answer:
    """What became of a message."""

    delivered: bool
    said: str
    """Why it was not delivered; without the secrets of the address."""
    unsure: bool = False
    """Whether the receiver may have it all the same: it took the message, and gave no answer."""


def send(messages: Sequence[Message], seconds: float = SECONDS) -> list[Answer]:
    """Send messages at the same time; none waits for a receiver of another one."""
    if not messages:
        return []
    with ThreadPoolExecutor(len(messages)) as threads:
        return list(threads.map(lambda message: _send(message, seconds), messages))


def _send(message: Message, seconds: float) -> Answer:
    try:
        ended = subprocess.run(
            python_command("daemon.messages.apprise_process"), check=False, capture_output=True,
            input=json.dumps(asdict(message)).encode(), timeout=seconds,
        )  # fmt: skip
        return Answer(**json.loads(ended.stdout))
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer within {seconds:.0f} s", unsure=True)
    except (OSError, ValueError, TypeError) as error:  # killed, or a bug of a library
        log.debug("the process that sends to %s: %s", hidden(message.url), error)
        return Answer(False, "the process that sends it ended without an answer")
