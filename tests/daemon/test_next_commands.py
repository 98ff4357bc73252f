"""What a trial, or `up` without a terminal, says to type next: each command is run as it is printed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.console import first_day, next_commands, session
from storage import database
from storage.database import galleries
from storage.enums import Degradation
from storage.settings import settings

BIN = Path(sys.executable).parent


@pytest.fixture
def shell(home, monkeypatch) -> Iterator:
    """Run a command line as it was printed, in a shell without a terminal."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("PHOTOMEND_WORKERS", "1")
    running = []

    def start(line: str) -> subprocess.Popen[bytes]:
        with (home / "log").open("ab") as log:
            one = subprocess.Popen(
                ["bash", "-c", line if "&&" in line else f"exec {line}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        running.append(one)
        return one

    yield start
    for one in running:
        stop(one)
    print((home / "log").read_text())


def stop(one: subprocess.Popen[bytes]) -> None:
    if one.poll() is None:
        one.terminate()
        one.wait(60)


def commands(folder: Path) -> list[str]:
    """Return the commands that are printed after a trial of a folder."""
    settings.cache_clear()
    session.engine.cache_clear()
    return [line.partition(": ")[2] for line in next_commands.lines(folder)]


@pytest.mark.slow
def test_without_a_terminal_only_new_photos_of_a_folder_are_mended_and_the_way_to_all_is_printed(
    home, shell, take_photo, eventually, monkeypatch
):
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    mended = home / "gallery-mended"
    take_photo("old.jpg", kind=Degradation.NOISE)
    one = shell(f"photomend up {home / 'gallery'}")
    engine = database.open_engine(settings().database)
    name = str(home / "gallery")
    eventually(lambda: (row := galleries.get(engine, name)) and row.scanned_at)
    take_photo("new.jpg", kind=Degradation.NOISE)
    eventually((mended / "new.jpg").exists)
    assert not (mended / "old.jpg").exists()
    assert commands(home / "gallery") == [f"photomend add {name}"]
    stop(one)
    [line] = [x for x in (home / "log").read_text().splitlines() if "only new photos" in x]
    all_of_it = line.partition("; to mend all: ")[2]
    new_only = f"photomend up --backlog new {name}"
    assert commands(home / "gallery") == [all_of_it, new_only]
    assert first_day.backlog_of(home / "gallery", once=False, workers=1) == "new"
    one = shell(all_of_it)
    eventually((mended / "old.jpg").exists)
    stop(one)
    assert first_day.backlog_of(home / "gallery", once=False, workers=1) == "all"
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    assert shell(f"{new_only} --once").wait(90) == 0


@pytest.mark.slow
def test_photos_below_a_gallery_of_the_settings_are_added(
    home, shell, take_photo, eventually, monkeypatch
):
    gallery = {"path": str(home / "gallery"), "output": str(home / "output"), "backlog": "new"}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({"g": gallery}))
    shutil.rmtree(home / "state")
    take_photo("2023/a.jpg", kind=Degradation.NOISE)
    take_photo("-2024's/a.jpg", kind=Degradation.NOISE)
    add, start = commands(home / "gallery/-2024's")
    assert add.startswith("photomend migrate && photomend add ")
    assert shell(add).wait(60) == 0
    up = shell(start)
    eventually((home / "output/-2024's/a.jpg").exists)
    assert not (home / "output/2023/a.jpg").exists()
    [add] = commands(home / "gallery")
    assert shell(add).wait(60) == 0
    eventually((home / "output/2023/a.jpg").exists)
    [other, _] = next_commands.lines(home)
    assert other.startswith(
        "stop the photomend that runs, or add this folder to its settings; then "
    )
    stop(up)


@pytest.mark.slow
def test_photos_below_a_folder_that_up_was_given_are_added_to_it(
    home, shell, take_photo, eventually, monkeypatch
):
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    take_photo("2023/a.jpg", kind=Degradation.NOISE)
    take_photo("2024/a.jpg", kind=Degradation.NOISE)
    first = f"photomend up --backlog new --once --output {home / 'other'} {home / 'gallery'}"
    assert shell(first).wait(90) == 0
    add, start = commands(home / "gallery/2024")
    assert add == f"photomend add {home / 'gallery/2024'}"
    assert shell(add).wait(60) == 0
    shell(start)
    eventually((home / "other/2024/a.jpg").exists)
    assert not (home / "other/2023/a.jpg").exists()


def test_the_settings_and_then_the_last_word_decide_without_a_terminal(home, jobs, monkeypatch):
    folder = home / "gallery"

    def found(**words):
        session.engine.cache_clear()
        settings.cache_clear()
        return first_day.backlog_of(folder, **{"once": False, "workers": 1} | words)

    monkeypatch.setattr(first_day, "on_terminal", lambda: False)
    assert found() == "all"
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    assert found() == "new"
    assert found(once=True) == "all"
    galleries.note(
        jobs.engine, str(folder), host="host", root=folder, output=home / "output",
        filesystem="ext4", watching="events", online=True, settings={"backlog": "since 2024-05-01"},
    )  # fmt: skip
    assert found() == "since 2024-05-01"
    line = first_day.left_alone(folder, home / "my mended")
    assert line.endswith(f"photomend up --backlog all --output '{home}/my mended' {folder}")


def test_options_for_a_folder_are_refused_without_one(home):
    done = subprocess.run(
        [BIN / "photomend", "up", "--backlog", "all"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "need GALLERY" in done.stderr
