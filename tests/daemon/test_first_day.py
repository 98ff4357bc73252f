import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.console import first_day
from storage.database import backlog, galleries

ASK = """
import sys
from pathlib import Path
from daemon.console import first_day
first_day.MANY = 3
print("chosen", first_day.backlog_of(Path(sys.argv[1]), once=False, workers=2))
"""


@pytest.fixture
def asked(home):
    """Answer the question on a terminal; return what is on it."""

    def run(answer: str, folder: Path = home / "gallery") -> str:
        ours, its = os.openpty()
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            terminal.write(answer.encode())
            with os.fdopen(its, "r+b", buffering=0) as other:
                subprocess.run(
                    [sys.executable, "-c", ASK, folder], stdin=other, stdout=other, check=True,
                    timeout=60,
                )  # fmt: skip
            return terminal.read(65536).decode()

    return run


@pytest.fixture
def photos(home):
    for number in range(4):
        (home / f"gallery/{number}.jpg").write_bytes(bytes(1_000_000))


@pytest.mark.parametrize("word", list(first_day.Choice))
def test_the_owner_chooses_what_becomes_of_many_old_photos(asked, photos, word):
    shown = asked(f"perhaps\n{word}\n")
    assert "has 4 photos (0.0 GB)" in " ".join(shown.split())
    assert shown.count("Mend all, only new photos from now on") == 2
    assert f"chosen {word}" in shown


def test_nobody_is_asked_about_few_photos_or_those_that_are_known(asked, photos, home, jobs):
    (home / "gallery/0.jpg").unlink()
    assert asked("") == "chosen all\r\n"
    (home / "gallery/0.jpg").write_bytes(bytes(1))
    galleries.note(
        jobs.engine, "g", host="host", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True, scanned_at=1.0,
    )  # fmt: skip
    assert asked("") == "chosen all\r\n"
    photos = {f"{number}.jpg": f"{10**6}-2-{number}" for number in range(5)}
    galleries.note_backlog(jobs.engine, "g", Path(), photos)
    assert len(backlog.left(jobs.engine, "g")) == 5
    assert "has 5 photos" in " ".join(asked("new\n").split())
