"""What an older release wrote is still read: its database and its settings file."""

import dataclasses
import json
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from storage import settings
from storage.errors import SettingsError
from storage.settings_values import RENAMED

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
RELEASES = sorted((Path(__file__).parent / "releases").iterdir())
"""For each release the database of three photos, as SQL, and a settings file with all settings.

That of 0.1.0 has the first schema; the photos were a noisy, a good and a broken one. Its
`first-config.toml` has the settings of the first commit of that version."""
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


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


def read(written: dict) -> dict:
    """Return the settings that a file makes, as JSON."""
    made = dataclasses.asdict(settings.make(written, "config.toml"))
    return json.loads(json.dumps(made, default=str))


def assert_means(made: object, written: object) -> None:
    """Check that settings have all values that a file writes."""
    match written:
        case dict():
            for key, value in written.items():
                assert_means(made[key], value)
        case list():
            assert len(made) == len(written)
            for one, value in zip(made, written, strict=True):
                assert_means(one, value)
        case str():
            assert made == re.sub("^~", str(Path.home()), written)
        case _:
            assert made == written


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_the_settings_of_an_older_release_mean_the_same(folder):
    written = tomllib.loads((folder / "config.toml").read_text())
    assert_means(read(written), written)


def test_the_settings_file_of_this_version_has_each_setting():
    def names(values: dict) -> set[str]:
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lists = {
            key: value[0] for key, value in values.items() if value and isinstance(value, list)
        }
        lists = {key: value for key, value in lists.items() if isinstance(value, dict)}
        inner = {
            f"{key}.{name}" for key, value in (tables | lists).items() for name in names(value)
        }
        return set(values) | inner

    written = tomllib.loads((ROOT / "tests/releases" / VERSION / "config.toml").read_text())
    assert names(written) == names(read(written))


def test_a_setting_that_was_renamed_is_refused_with_its_new_name():
    written = tomllib.loads((ROOT / "tests/releases/0.1.0/first-config.toml").read_text())
    [gallery] = written["galleries"].values()
    old = {"": written, "galleries": gallery}
    renamed = [(table, key) for table in old for key in old[table] if key in RENAMED]
    assert len(renamed) == len(RENAMED)
    for table, key in renamed:
        with pytest.raises(
            SettingsError,
            match=f"{key} is no setting; it has another name now: write {RENAMED[key]},",
        ):
            read({table: {"g": {"path": "/p", key: 1}}} if table else {key: 1})
        old[table][RENAMED[key]] = old[table].pop(key)
    with pytest.raises(SettingsError, match='watch must be "auto", "events" or "polling"'):
        read(written)
    gallery["watch"] = "polling"
    assert_means(read(written), written)
