"""What the owner sees of a gallery whose output cannot be written to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from storage import fingerprints
from storage.database import galleries, holds
from storage.enums import ErrorKind

PHOTOMEND = Path(sys.executable).parent / "photomend"
REASON = "the output folder /o is full"


def run(*words: str) -> str:
    return subprocess.run(
        [PHOTOMEND, *words], check=False, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.fixture
def held(home, jobs):
    (home / "gallery/a.jpg").write_bytes(b"photo")
    galleries.note(
        jobs.engine, "g", host="h", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True, scanned_at=1.0,
    )  # fmt: skip
    found = (home / "gallery/a.jpg").stat()
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": fingerprints.of(found)})
    holds.hold_gallery(jobs.engine, "g", ErrorKind.DISK_FULL, REASON, least_seconds=300)


def test_a_held_gallery_is_named_with_its_reason_and_the_next_try(home, jobs, held):
    state = json.loads(run("status", "--check", "--json"))
    assert any(REASON in problem for problem in state["problems"])
    assert state["galleries"][0]["trouble_kind"] == "disk full"
    assert f"{REASON}; it is tried again in 5 min" in run("status")
    assert REASON in run("explain", str(home / "gallery/a.jpg"))


def test_a_hold_without_a_photo_that_waits_is_no_problem(jobs, held):
    jobs.cancel([1])
    assert not any(
        REASON in each for each in json.loads(run("status", "--check", "--json"))["problems"]
    )
    assert REASON not in run("status")
