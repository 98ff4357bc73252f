"""What an older release wrote is still read: its database and its settings file."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
RELEASES = sorted((Path(__file__).parent / "releases").iterdir())
"""For each release the database of three photos, as SQL, and a settings file with all settings.

That of 0.1.0 has the first schema; the photos were a noisy, a good and a broken one."""


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def run(request, tmp_path):
    """Run the command with the settings and a copy of the database of a release."""
    connection = sqlite3.connect(tmp_path / "jobs.db")
    connection.executescript((request.param / "jobs.sql").read_text())
    connection.close()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PHOTOMEND_")
    }
    environment["PHOTOMEND_CONFIG"] = str(request.param / "config.toml")
    environment["PHOTOMEND_STATE_DIR"] = str(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        ran = subprocess.run(
            [Path(sys.executable).with_name("photomend"), *words], env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


def test_the_jobs_of_an_older_release_are_there(run):
    assert "run `photomend migrate`" in run("jobs", code=4)

    run("migrate")

    jobs = {Path(job["source"]).name: job for job in json.loads(run("jobs", "--json"))}
    assert {name: job["status"] for name, job in jobs.items()} == {
        "noise.jpg": "done", "clean.jpg": "done", "broken.jpg": "failed",
    }  # fmt: skip
    assert jobs["noise.jpg"]["decision"] == "restored"
    assert "noise removed" in run("show", str(jobs["noise.jpg"]["id"]))
    assert "3 photos" in run("status")
