"""What a process writes to stderr: one line for a message, escaped, and without passwords."""

import subprocess
import sys

import pytest

NAME = "\\x1b[31m\\nINFO job 7 is done\\r\\u202e\\udce9"
BEGIN = """
import logging, threading, warnings
from storage import logs
logs.to_stderr()
log = logging.getLogger("celery.worker")
name = "{name}"
class Hostile(Exception):
    pass
def fail():
    raise Hostile(name + " redis://me:sesam@nas/0")
"""


def written(code: str) -> str:
    """Run code in a process that logs; return what it wrote to stderr."""
    words = [sys.executable, "-P", "-c", BEGIN.replace("{name}", NAME) + code]
    return subprocess.run(words, capture_output=True, check=False).stderr.decode()


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("log.error('%s of %s', name, 'redis://me:sesam@nas/0')", "ERROR"),
        ("try: fail()\nexcept Exception: log.exception('%s', name)", "ERROR"),
        ("fail()", "CRITICAL"), ("t = threading.Thread(target=fail); t.start(); t.join()", "CRITICAL"),
        ("warnings.warn(name + 'redis://me:sesam@nas/0')", "WARNING"),
    ],
)  # fmt: skip
def test_nothing_in_a_message_or_a_traceback_is_raw_or_begins_a_line(code, word):
    text = written(code)
    first, *more = text.splitlines()
    assert first.startswith(word + " ")
    assert all(line.startswith("  ") for line in more)
    assert {letter for letter in text if not letter.isprintable()} <= {"\n"}
    assert "sesam" not in text and "me:***@nas" in text
    assert "\\x1b[31m" in text
