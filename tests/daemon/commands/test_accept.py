"""`photomend accept`: the owner says that this is the right disk, folder, output or name."""

import json
import os
import shutil
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from storage import availability, output_folder, publishing
from storage.database import galleries, output_names, search, status
from storage.enums import Decision, ErrorKind
from storage.settings import settings

PHOTOMEND = Path(sys.executable).parent / "photomend"


def accept(name: str = "g") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PHOTOMEND, "accept", name], check=False, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def known(home, jobs):
    """Record that the gallery was online, on another disk, and has photos and a result."""

    def record(name="g", **columns):
        columns = {
            "real_root": home / "gallery",
            "device": "9:9",
            "device_path": Path("/"),
        } | columns
        galleries.note(
            jobs.engine, name, host=socket.gethostname(), root=home / "gallery",
            output=home / "output", filesystem="ext4", watching="events", online=True,
            scanned_at=1.0, identity="ext4 /dev/sdx1 / 1 2", **columns,
        )  # fmt: skip
        galleries.add(jobs.engine, name, Path(), {f"{n}.jpg": "1" for n in range(5)})
        job = jobs.claim("w", ["classify"], child=1, seconds=60, seconds_per_megapixel=0)
        jobs.record(job, Path("0.jpg"), "hash", {})
        jobs.finish(job, Decision.RESTORED)

    return record


def why_offline(jobs):
    gallery, row = settings().gallery("g"), galleries.get(jobs.engine, "g")
    return availability.why_offline(
        gallery.path, None, row.identity, partial(galleries.sample, jobs.engine, "g")
    )


def test_another_disk_is_accepted_after_it_was_shown(home, jobs, known):
    known()
    (home / "gallery/new.jpg").touch()
    advice = why_offline(jobs).split("`")[1]
    assert advice == f"photomend accept {home}/gallery"
    ended = accept(advice.split()[-1])
    assert ended.returncode == 0, ended.stderr
    assert "/dev/sdx1" in ended.stdout and "looked for: 0 of 5 photos" in ended.stdout
    order = [ended.stdout.index(word) for word in ("known", "there  ", "g is accepted")]
    assert order == sorted(order)
    assert why_offline(jobs) is None


def test_what_is_on_an_accepted_disk_is_backlog_and_what_arrives_later_is_new(
    home, jobs, known, watching, eventually
):
    known()
    (home / "gallery/old.jpg").write_bytes(b"photo")
    assert accept().returncode == 0
    watching(backlog="new")
    eventually(lambda: galleries.get(jobs.engine, "g").scanned_at is not None)
    (home / "gallery/new.jpg").write_bytes(b"photo")
    eventually(lambda: search.versions(jobs.engine, "g", Path("new.jpg")))
    found = [search.versions(jobs.engine, "g", Path(name))[0] for name in ("old.jpg", "new.jpg")]
    assert [job.decision for job in found] == [Decision.LEFT_ALONE, None]


def test_a_gallery_that_was_emptied_is_accepted(home, jobs, known):
    known()
    assert "is empty" in why_offline(jobs)
    assert "recorded as gone: 5 photos" in accept().stdout
    assert why_offline(jobs) is None


@pytest.mark.parametrize("change", ["deleted", "emptied", "garbage"])
def test_an_output_that_was_moved_away_or_emptied_is_accepted(home, jobs, known, change):
    known()
    output = home / "output"
    if change != "deleted":
        output.mkdir()
    if change == "garbage":
        (output / publishing.MARKER).write_text("garbage")
    claim = jobs.claim("w", ["classify"], child=1, seconds=60, seconds_per_megapixel=0)
    jobs.end_with_error(claim, ErrorKind.OFFLINE, "away", pause_seconds=3000)
    gallery = settings().gallery("g")
    assert "photomend accept g" in output_folder.why_not_ours("g", gallery, used=True)
    galleries.note(
        jobs.engine,
        "g",
        trouble="away",
        trouble_kind=ErrorKind.OFFLINE,
        trouble_at=1.0,
        held_until=9e9,
    )
    ended = accept()
    assert ended.returncode == 0, ended.stderr
    assert "0 of 1 result" in ended.stdout
    assert output_folder.why_not_ours("g", gallery, used=True) is None
    assert galleries.get(jobs.engine, "g").trouble is None
    assert claim.id in search.due(jobs.engine, "classify", 9)


def test_a_name_in_the_settings_takes_what_up_folder_recorded(home, jobs, known):
    folder = str(home / "gallery")
    known(folder)
    jobs.pause("gallery", folder)
    output_names.reserve(jobs.engine, search.get(jobs.engine, 1), Path("0.jpg"))
    for number in range(5):
        (home / f"gallery/{number}.jpg").touch()
    (home / "output").mkdir()
    (home / "output" / publishing.MARKER).write_text(json.dumps({"gallery": folder}))
    ended = accept()
    assert ended.returncode == 0, ended.stderr
    assert f"the records of {folder} have the name g now" in ended.stdout
    assert "looked for: 5 of 5 photos" in ended.stdout
    state = status.summary(jobs.engine)
    assert [row.name for row in state.galleries] == ["g"] and list(state.counts.galleries) == ["g"]
    assert [pause.name for pause in state.pauses] == ["g"]
    assert output_folder.marked_for(home / "output") == "g"
    assert search.versions(jobs.engine, "g", Path("0.jpg"))[0].decision is Decision.RESTORED
    assert output_names.reserve(jobs.engine, search.get(jobs.engine, 1), Path("0.jpg"))


def test_the_output_of_another_gallery_is_not_taken(home, jobs, known, monkeypatch):
    known()
    known_settings = json.loads(os.environ["PHOTOMEND_GALLERIES"])
    (home / "second").mkdir()
    known_settings["other"] = {"path": str(home / "second")}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps(known_settings))
    (home / "output").mkdir()
    (home / "output" / publishing.MARKER).write_text(json.dumps({"gallery": "other"}))
    ended = accept()
    assert ended.returncode == 1 and "belongs to the gallery other" in ended.stderr
    assert output_folder.marked_for(home / "output") == "other"


def test_what_is_not_there_cannot_be_accepted(home, known):
    known()
    shutil.rmtree(home / "gallery")
    for name, why in (("g", "is not there"), ("none", "there is no gallery none; there are g")):
        ended = accept(name)
        assert ended.returncode == 1 and why in ended.stderr, ended.stderr
