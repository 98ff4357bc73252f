"""Fixtures: the real console script, and jobs that it shows."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import fingerprints, publishing
from storage.database import galleries, search
from storage.database import workers as worker_rows
from storage.enums import CLASSIFY, QUEUES, Category, Decision

PHOTOMEND = Path(sys.executable).with_name("photomend")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def end() -> Command:
    """Run the command to its end; its exit code must be `code`, without a traceback."""

    def command(*words: object, code: int, env: dict[str, str], cwd: Path | None = None):
        ended = subprocess.run(  # noqa: PLW1510  the code is compared below
            [PHOTOMEND, *map(str, words)], env=env, cwd=cwd,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in ended.stderr
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended

    return command


@pytest.fixture
def run(home, end) -> Command:
    """Run the command with the settings of `home`."""

    def command(*words: object, code: int = 0, **environment: str):
        return end(*words, code=code, env=os.environ | environment, cwd=home)

    return command


@pytest.fixture
def read(run):
    """Run a command with --json and return what it prints."""
    return lambda *words, code=0: json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture
def claim(jobs):
    def claim(queue: str = CLASSIFY):
        worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
        return jobs.claim("w", [queue], child=os.getpid(), seconds=300, seconds_per_megapixel=60)

    return claim


@pytest.fixture
def mended(home, jobs, claim):
    """Return the job of a photo whose result is in the output folder."""
    photo, output = home / "gallery/cat.jpg", home / "output/cat.jpg"
    photo.write_bytes(b"photo")
    output.parent.mkdir()
    (output.parent / publishing.MARKER).write_text(json.dumps({"gallery": "g"}))
    output.write_bytes(b"result")
    found = photo.stat()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": fingerprints.of(found)})
    jobs.classify(claim(), Category.MOTION_BLUR, {"scores": {"motion-blur": 0.9}})
    held = claim("motion-blur")
    jobs.record(held, Path("cat.jpg"), publishing.sha256(output), {"steps": [{"name": "deblur"}]})
    jobs.finish(held, Decision.RESTORED)
    return search.get(jobs.engine, held.id)
