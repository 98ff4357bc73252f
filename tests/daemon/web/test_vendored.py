"""The files of others: complete, unchanged, with their licences."""

import hashlib
import re
from pathlib import Path

import pytest

from daemon.web import rendering

TESTS = Path(__file__).parent / "vendor"
VENDOR = rendering.FOLDER / "static/vendor"


@pytest.mark.parametrize("folder", [VENDOR, TESTS], ids=["page", "tests"])
def test_the_files_of_others_are_those_of_the_list(folder):
    lines = (folder / "VENDORED.txt").read_text().splitlines()
    rows = [re.fullmatch(r"([0-9a-f]{64})  (\S+)", line) for line in lines if line[:1] != "#"]
    listed = {row[2]: row[1] for row in rows if row}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "VENDORED.txt"
    }
    assert listed == there


def test_each_library_has_its_licence_beside_it():
    libraries = {path.name.split(".")[0] for path in VENDOR.glob("*.[jc]s*")}
    assert libraries == {path.stem for path in VENDOR.glob("*.LICENSE")}


def test_our_own_files_load_nothing_from_elsewhere():
    own = [*(rendering.FOLDER / "static").glob("*.*"), *(rendering.FOLDER / "templates").iterdir()]
    assert len(own) > 15
    for file in own:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|javascript:|\son\w+=", text), file
