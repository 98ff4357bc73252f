"""What others can read: a settings file, and the way to the classifier's server."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from daemon.reports import exposure
from storage import settings

PHOTOMEND = Path(sys.executable).parent / "photomend"


@pytest.mark.parametrize(
    ("text", "mode", "named"),
    [
        ('redis_url = "redis://:sesam@nas:1/0"', 0o644, "redis_url"),
        ('redis_url = "redis://:sesam@nas:1/0"', 0o640, ""),
        ('redis_url = "redis://nas:1/0"', 0o644, ""),
        ('database_url = "postgresql://me:sesam@127.0.0.1:1/x"', 0o604, "database_url"),
        ('[paper]\nclassifier_key = "sesam"', 0o644, "classifier_key"),
        ('[notify]\nurls = ["tgram://sesam/1"]', 0o644, "urls"),
        ('[notify]\nurls = ["tgram://sesam/1"]', 0o640, None),
        ('[paper]\nclassifier_url = "http://me:sesam@nas"', 0o644, "classifier_url"),
    ],
)
def test_secrets_that_every_user_can_read_are_found(tmp_path, text, mode, named):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    file.chmod(mode)
    made = settings.make(tomllib.loads(text), "a test")
    found = exposure.of_settings_file(file, made) or ""
    assert bool(found) == bool(named) and "sesam" not in found
    assert not named or f"every user can read {named} in {file}: chmod o= {file};" in found


def test_the_doctor_warns_of_them(home, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[paper]\nclassifier_key = "sesam"')
    file.chmod(0o644)
    done = subprocess.run(
        [PHOTOMEND, "--config", file, "doctor", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {item["subject"]: item for item in json.loads(done.stdout)}["settings"]
    assert not found["well"] and "classifier_key" in found["text"]
    assert "sesam" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://nas:11434/v1", True), ("http://192.168.1.7", True), ("http://[fd00::1]:1", True),
        ("https://nas", False), ("http://localhost:11434", False), ("http://127.0.0.2:1", False),
        ("http://[::1]:11434", False),
    ],
)  # fmt: skip
def test_photos_that_are_sent_unencrypted_to_another_machine_are_a_finding(url, warned):
    assert bool(exposure.of_photos(url)) == warned
