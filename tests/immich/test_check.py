"""`photomend immich check` says in one sentence each what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.settings import settings
from tests.immich.fake_immich import KEY

IMPORTED = "it must be an import path of a library there"
SCANNED = "is it an import path of a library, and scanned?"
PHOTOMEND = Path(sys.executable).with_name("photomend")


@pytest.fixture
def check(home, immich):
    """Run the check; return the sentences of what is wrong, and of all the rest."""

    def check(code=1):
        ended = subprocess.run(
            [PHOTOMEND, "immich", "check", "--json"], check=False, capture_output=True, text=True
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert KEY not in ended.stdout + ended.stderr
        found = json.loads(ended.stdout)
        return [
            f"{each['subject']}: {each['text']}" for each in found if each["well"] == (code == 0)
        ]

    return check


@pytest.fixture
def change(monkeypatch):
    def change(**values):
        known = json.loads(os.environ["PHOTOMEND_IMMICH"])
        monkeypatch.setenv("PHOTOMEND_IMMICH", json.dumps(known | values))
        settings.cache_clear()

    return change


def test_all_is_well(home, immich, check):
    (home / "gallery/a.jpg").write_bytes(b"a photo")
    immich.scan()
    found = check(code=0)
    assert found[0].endswith("holds a key that only its users can read")
    assert found[1:] == [
        f"immich address: immich 3.2.2 answers at {immich.url}",
        "immich version: photomend knows it",
        "immich key: the key allows all that is needed",
        "immich scans: scans of 1 external libraries may be started",
        "immich gallery g: immich shows photos of /mnt/media/gallery",
        f"immich output g: immich shows no photo of /mnt/media/output yet; {IMPORTED}",
    ]


def test_each_thing_that_is_wrong_is_named(home, immich, check, change):
    immich.permissions = ["asset.read", "asset.update", "stack.create", "stack.read"]
    (home / "immich.key").chmod(0o644)
    change(libraries=[{"folder": str(home / "gallery"), "immich_path": "/mnt/media/gallery"}])
    found = check()
    assert found[0].startswith("immich key file: every user of this machine can read ")
    assert found[1:] == [
        "immich key: the key lacks stack.update, stack.delete, album.read, albumAsset.create; add them in immich",
        f"immich gallery g: immich shows no photo of /mnt/media/gallery; {SCANNED}",
        f"immich output g: {home}/output is in no folder of [[immich.libraries]]; add it with its path in immich",
    ]


def test_a_key_without_rights_to_scan_is_enough(home, immich, check):
    (home / "gallery/a.jpg").write_bytes(b"a photo")
    immich.scan()
    immich.permissions = [
        "asset.read", "asset.update", "stack.create", "stack.read", "stack.update", "stack.delete",
        "album.read", "albumAsset.create",
    ]  # fmt: skip
    assert "may not start scans" in check(code=0)[4]


def test_a_wrong_key_an_old_immich_and_none_at_all(home, immich, check, change):
    old = {"major": 1, "minor": 106, "patch": 4}
    immich.ways = [lambda handler: handler.reply(200, old)]
    assert "immich version: it is older than 1.138.0; update immich" in check()
    (home / "immich.key").write_text("another-key")
    immich.ways = []
    assert check() == [
        "immich address: immich does not accept the key in api_key_file; make another"
    ]
    change(url="http://127.0.0.1:9")
    [sentence] = check()
    assert sentence.startswith("immich address: immich at http://127.0.0.1:9/api does not answer: ")
    change(api_key_file=None)
    assert "api_key_file is not set" in check()[0]
    change(url="")
    assert "no address is set" in check()[0]
