"""Rounds of messages, with a real database and receivers on this machine."""

import base64
import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from storage import atomic_files, preview_files
from storage.database.tables import now
from storage.enums import Decision, ErrorKind, Status
from storage.settings import settings

pytestmark = pytest.mark.slow
YESTERDAY = (datetime.now() - timedelta(days=1)).date().isoformat()
ROUND = """
import logging
from daemon.messages.messenger import Messenger
from storage.database.jobs import open_jobs
Messenger(open_jobs().engine).work()
"""


def test_a_digest_says_what_was_done_once_and_shows_four_photos(
    messenger, notify, receiver, end, forget, home, opened_files
):
    notify(urls=[f"json://{receiver.place}"], digest="daily", digest_hour=0)
    first = messenger()
    first.work()
    assert receiver.got == []  # the first digest is due tomorrow
    outputs = home / "output"
    outputs.mkdir()
    for number in range(6):
        name = f"{number}.jpg"
        job = end(name, output=name)
        (outputs / name).write_bytes(b"x" * 1_500_000)
        if number:
            preview_files.write(home / "state", job, "after", f"picture {number}".encode())
    end("r.jpg", decision=Decision.KEPT_ORIGINAL)
    end("c.jpg", decision=Decision.CLEAN)
    for number in range(2):
        end(f"f{number}.jpg", status=Status.FAILED, decision=None, error_kind=ErrorKind.UNREADABLE)
    end("old.jpg", finished_at=now() - 5000)
    forget(period=YESTERDAY)
    opened_files.clear()
    second = messenger()
    second.work()
    [message] = receiver.messages
    assert message["title"] == "photomend: 6 photos mended, 2 photos failed"
    lines = message["message"].splitlines()
    assert lines[:4] == [
        "6 photos mended.", "1 photo refused: the result was not better.", "Others: 1 good as it is.",
        "2 photos failed: The file cannot be read as a photo.",
    ]  # fmt: skip
    assert lines[4].startswith("The state folder's disk: ") and lines[4].endswith(" GB free.")
    pictures = {base64.b64decode(each["base64"]) for each in message["attachments"]}
    assert pictures == {f"picture {number}".encode() for number in (2, 3, 4, 5)}
    assert not [file for file in opened_files if file.endswith(".webp")]
    second.work()
    messenger().work()
    assert len(receiver.got) == 1


def test_the_disks_of_online_galleries_are_in_a_digest(
    messenger, notify, receiver, end, forget, jobs, home
):
    from daemon.watching.recorder import note_gallery

    notify(urls=[f"json://{receiver.place}"], digest="daily", digest_hour=0, thumbnails=0)
    messenger().work()
    (home / "output").mkdir()
    (home / "output/a.jpg").write_bytes(b"x" * 2_500_000)
    note_gallery(jobs.engine, "g", online=True)
    preview_files.write(home / "state", end("a.jpg", output="a.jpg"), "after", b"picture")
    forget(period=YESTERDAY)
    messenger().work()
    [message] = receiver.messages
    assert "The copies of g: 2 MB new, " in message["message"]
    assert message["attachments"] == []


def test_a_digest_without_news_is_not_sent_and_one_about_trouble_is(
    messenger, notify, receiver, forget, monkeypatch
):
    notify(urls=[f"json://{receiver.place}"], digest="daily", digest_hour=0)
    messenger().work()
    forget(period=YESTERDAY)
    messenger().work()
    assert receiver.got == []
    forget(period=YESTERDAY)
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "999999999")
    settings.cache_clear()
    messenger().work()
    [message] = receiver.messages
    assert "Needs you: the state folder" in message["message"]


def test_a_full_disk_is_told_once_and_once_that_it_is_over(
    messenger, notify, receiver, forget, monkeypatch
):
    notify(urls=[f"json://{receiver.place}"], digest="off")
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "999999999")
    settings.cache_clear()
    messenger().work()
    assert receiver.got == []
    forget(since=400)
    for _ in range(2):
        messenger().work()
    assert receiver.titles == ["photomend needs you"]
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "1")
    settings.cache_clear()
    messenger().work()
    known = settings().state_dir / "messages.json"
    found = json.loads(known.read_text())
    for alert in found["alerts"].values():
        alert["gone_at"] -= 700
    known.write_text(json.dumps(found))
    for _ in range(2):
        messenger().work()
    assert receiver.titles == ["photomend needs you", "photomend: this is over"]


def test_many_failures_of_one_cause_are_told_at_once(messenger, notify, receiver, end):
    notify(urls=[f"json://{receiver.place}"], digest="off")
    for number in range(10):
        end(f"{number}.jpg", status=Status.FAILED, decision=None, error_kind=ErrorKind.MEMORY)
    messenger().work()
    end("11.jpg", status=Status.FAILED, decision=None, error_kind=ErrorKind.MEMORY)
    messenger().work()
    [message] = receiver.messages
    assert message["message"].startswith("10 photos failed within a day: The memory was too small.")


def test_after_a_kill_while_it_is_sent_nothing_is_sent_twice(
    messenger, notify, receiver, end, forget, eventually, home
):
    notify(urls=[f"json://{receiver.place}?rto=60"], digest="daily", digest_hour=0)
    messenger().work()
    end("a.jpg")
    forget(period=YESTERDAY)
    receiver.hang.set()
    process = subprocess.Popen([sys.executable, "-P", "-c", ROUND], env=os.environ, cwd=home)
    eventually(lambda: receiver.got)
    process.send_signal(signal.SIGKILL)
    process.wait()
    receiver.hang.clear()
    messenger().work()
    assert len(receiver.got) == 1


def test_a_receiver_without_an_answer_gets_nothing_twice_and_the_next_digest_covers_all(
    messenger, notify, receiver, end, forget, caplog
):
    notify(urls=[f"json://{receiver.place}?rto=1"], digest="daily", digest_hour=0)
    messenger().work()
    end("a.jpg")
    forget(period=YESTERDAY)
    receiver.hang.set()
    messenger().work()
    assert "gave no answer" in caplog.text
    receiver.hang.clear()
    messenger().work()
    assert len(receiver.got) == 1
    end("b.jpg")
    forget(period=YESTERDAY)
    messenger().work()
    assert receiver.titles[1:] == ["photomend: 2 photos mended"]


def test_one_receiver_that_is_away_gets_its_digest_later_and_others_get_theirs_once(
    messenger, notify, receiver, start_receiver, end, forget, caplog
):
    away = start_receiver()
    place, port = away.place, away.server_port
    away.close()
    notify(
        urls=[f"json://u:geheim@{place}/geheim", f"json://{receiver.place}"],
        digest="daily",
        digest_hour=0,
    )
    messenger().work()
    end("a.jpg")
    forget(period=YESTERDAY)
    kept = messenger()
    kept.work()
    kept.work()  # it pauses
    assert len(receiver.got) == 1
    assert caplog.text.count("was not delivered, and is sent again in 60 s") == 1
    assert "geheim" not in caplog.text
    end("b.jpg")
    back = start_receiver(port)
    messenger().work()
    messenger().work()
    assert back.titles == ["photomend: 2 photos mended"]
    assert len(receiver.got) == 1


def test_a_digest_waits_while_the_state_folder_cannot_be_written_to(
    messenger, notify, receiver, end, forget, monkeypatch, home
):
    notify(urls=[f"json://{receiver.place}"], digest="daily", digest_hour=0)
    messenger().work()
    end("a.jpg")
    forget(period=YESTERDAY)
    from daemon.messages import ledger

    kept = messenger()
    write = ledger.write
    monkeypatch.setattr(ledger, "write", lambda *_: False)
    kept.work()
    assert receiver.got == []
    monkeypatch.setattr(ledger, "write", write)
    kept.work()
    assert len(receiver.got) == 1


def test_two_watchers_of_one_state_folder_send_a_digest_once(
    messenger, notify, receiver, end, forget
):
    notify(urls=[f"json://{receiver.place}"], digest="daily", digest_hour=0)
    one, other = messenger(), messenger()
    for each in (one, other):
        each.work()
    end("a.jpg")
    forget(period=YESTERDAY)
    with atomic_files.locked(settings().state_dir / "messages.lock"):
        one.work()  # while the other one works
    assert receiver.got == []
    for each in (one, other, one):
        each.work()
    assert len(receiver.got) == 1


def test_the_file_holds_no_address_and_a_broken_one_is_begun_anew(
    messenger, notify, receiver, home, remembered
):
    notify(urls=[f"json://u:geheim@{receiver.place}"])
    file = home / "state/messages.json"
    file.write_text('{"alerts": []}')
    messenger().work()
    assert set(remembered()) == {"alerts", "receivers"}
    assert "geheim" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_receiver_that_hangs_delays_no_maintenance(
    photomend, notify, receiver, healthy, forget, eventually, jobs, messenger, end, home
):
    from storage.database import processes, status

    notify(urls=[f"json://{receiver.place}?rto=60"], digest="daily", digest_hour=0)
    messenger().work()
    end("a.jpg")
    forget(period=YESTERDAY)
    receiver.hang.set()
    photomend("watch")
    eventually(lambda: receiver.got)

    def beaten() -> float:
        rows = status.summary(jobs.engine).processes
        return next(row.heartbeat_at for row in rows if row.name == processes.MAINTENANCE)

    before = beaten()
    eventually(lambda: beaten() > before + 1, seconds=20)
    assert len(receiver.got) == 1
