"""The whole way with real processes: publish, stack, reject, unstack; immich away; kill -9 in between."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from storage.database import search
from storage.enums import Degradation, Status

PHOTOMEND = Path(sys.executable).with_name("photomend")
pytestmark = pytest.mark.slow


def command(*words):
    ended = subprocess.run([PHOTOMEND, *words], check=True, capture_output=True, text=True)
    return ended.stdout


def stacked(immich, name):
    front = {immich.assets[each]["path"] for each in immich.stacks.values()}
    return f"/mnt/media/output/{name}" in front


def waits():
    return sum(each["count"] for each in json.loads(command("immich", "--json")))


def test_from_publish_to_reject_while_immich_comes_and_goes(
    home, jobs, immich, photomend, take_photo, eventually
):
    # immich answers nothing at first: results are published all the same.
    immich.ways = [lambda handler: handler.drop()] * 1000
    for name in ("a.jpg", "b.jpg"):
        take_photo(name, kind=Degradation.NOISE)
    up = photomend("up", str(home / "gallery"), "--output", str(home / "output"))
    eventually(lambda: [search.get(jobs.engine, n + 1) for n in range(2)][1] is not None)
    eventually(
        lambda: all(search.get(jobs.engine, n).status is Status.DONE for n in (1, 2)), seconds=90
    )
    assert {file.name for file in (home / "output").glob("*.jpg")} == {"a.jpg", "b.jpg"}
    eventually(lambda: immich.asked)
    assert immich.stacks == {}
    assert waits() == 2
    assert "2 results wait for immich" in command("status")
    # immich is back: the scan that was asked for finds the photos.
    album = str(uuid.uuid4())
    immich.scan()
    original = immich.by_name("gallery/a.jpg")
    original["favourite"] = True
    immich.albums = {album: {original["id"]}}
    immich.ways = []
    command("immich", "retry")
    eventually(lambda: stacked(immich, "a.jpg") and stacked(immich, "b.jpg") and not waits())
    result = immich.by_name("output/a.jpg")
    assert result["favourite"] and immich.albums[album] == {original["id"], result["id"]}
    command("reject", str(home / "gallery/a.jpg"))
    eventually(lambda: not stacked(immich, "a.jpg") and not waits())
    assert original["stack"] is None and stacked(immich, "b.jpg")
    command("restore", str(home / "gallery/a.jpg"))
    immich.scan()
    eventually(lambda: stacked(immich, "a.jpg") and not waits())
    assert up.poll() is None


def test_a_watcher_that_is_killed_between_two_steps_doubles_nothing(
    home, jobs, immich, photomend, take_photo, eventually
):
    take_photo("a.jpg", kind=Degradation.NOISE)
    (home / "output").mkdir()
    watch = photomend("watch")
    killed = []

    def kill_after_stacking(handler):
        method, path, body = immich.asked[-1]
        answer = handler._answer(path, body)
        if (method, path) == ("POST", "/stacks") and not killed:
            killed.append(watch.pid)
            os.kill(watch.pid, signal.SIGKILL)
        handler.reply(*answer)

    immich.ways = [kill_after_stacking] * 1000
    photomend("work", "classify", "super-resolution", "reflection", "motion-blur")
    eventually(lambda: killed, seconds=90)
    watch.wait()
    with jobs.engine.begin() as connection:  # as ten minutes later
        connection.exec_driver_sql("UPDATE followups SET held_until = held_until - 600")
    photomend("watch")
    eventually(lambda: not waits(), seconds=60)
    assert len(immich.stacks) == 1 and stacked(immich, "a.jpg")
    result = immich.by_name("output/a.jpg")
    assert immich.notes[result["id"]]["photomend"]["job"] == 1
