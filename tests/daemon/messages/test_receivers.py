"""Messages reach real receivers on this machine, and apprise does nothing else."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.messages import receivers
from daemon.messages.apprise_process import without_secrets
from daemon.messages.receivers import Message

PHOTOMEND = Path(sys.executable).with_name("photomend")


@pytest.fixture
def pictures(tmp_path):
    files = [tmp_path / f"{number}.webp" for number in range(4)]
    for file in files:
        file.write_bytes(f"RIFF{file.name}WEBP".encode())
    return tuple(map(str, files))


@pytest.mark.slow
def test_a_message_with_pictures_reaches_json_and_ntfy(receiver, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    json_url, ntfy_url = f"json://{receiver.place}/hook", f"ntfy://{receiver.place}/photos"
    for url in (json_url, ntfy_url):
        [answer] = receivers.send([Message(url, "A title", "Two\nlines", pictures)])
        assert answer == receivers.Answer(True, "")
    (path, headers, content), (other, other_headers, picture) = receiver.got
    message = json.loads(content)
    assert path == "/hook"
    assert (message["title"], message["message"]) == ("A title", "Two\nlines")
    assert [base64.b64decode(each["base64"]) for each in message["attachments"]] == [
        Path(file).read_bytes() for file in pictures
    ]
    assert other.startswith("/photos?") and "title=A+title" in other
    assert picture == Path(pictures[0]).read_bytes()  # one message, not four
    assert headers["User-Agent"] == "photomend"
    assert not any("github" in value for value in (*headers.values(), *other_headers.values()))
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_what_a_receiver_answers_is_said_without_its_secrets(receiver, start_receiver):
    receiver.status = 403
    moved = start_receiver()
    moved.status, moved.moved_to = 302, f"http://{start_receiver().place}/"
    gone = start_receiver()
    gone.close()
    urls = [
        f"json://name:geheim@{receiver.place}/geheim", f"json://name:geheim@{moved.place}",
        f"ntfy://name:geheim@{gone.place}/geheim", "nothing://geheim",
    ]  # fmt: skip
    answers = receivers.send([Message(url, "t", "x") for url in urls])
    assert [answer.delivered for answer in answers] == [False] * 4
    assert "403" in answers[0].said
    assert "302" in answers[1].said
    assert "onnection error" in answers[2].said
    assert answers[3].said
    assert "geheim" not in str(answers)


def test_parts_of_an_address_are_hidden_in_an_answer():
    said = "no answer of nas.example:80 for bot123:AAE, topic kitchen, token=s3cr3t"
    url = "tgram://nas.example:80/bot123:AAE/kitchen?token=s3cr3t"
    assert (
        without_secrets(said, url) == "no answer of nas.example:80 for ***:***, topic ***, ***=***"
    )
    assert without_secrets("hook 81aa failed", "discord://81aa/x") == "hook *** failed"


@pytest.mark.slow
def test_a_receiver_that_hangs_is_left_and_others_do_not_wait_for_it(receiver, start_receiver):
    hanging = start_receiver()
    hanging.hang.set()
    started = time.monotonic()
    urls = (f"json://{hanging.place}?rto=600", f"json://{receiver.place}")
    stuck, taken = receivers.send([Message(url, "t", "x") for url in urls], seconds=8)
    assert time.monotonic() - started < 20
    assert (stuck.delivered, stuck.said) == (False, "no answer within 8 s")
    assert stuck.unsure
    assert taken.delivered


@pytest.mark.slow
def test_notify_test_says_what_each_receiver_answered(home, receiver, start_receiver, notify):
    refusing = start_receiver()
    refusing.status = 500
    notify(urls=[f"json://u:geheim@{receiver.place}", f"json://u:geheim@{refusing.place}"])
    ended = subprocess.run(
        [PHOTOMEND, "notify", "test"], check=False, capture_output=True, text=True, env=os.environ
    )
    taken, refused = ended.stdout.splitlines()
    assert taken == "json://***: it was taken"
    assert refused.startswith("json://***: it was NOT taken: ") and "500" in refused
    assert ended.returncode == 1
    assert "geheim" not in ended.stdout + ended.stderr
    assert receiver.titles == ["photomend"]


def test_without_a_receiver_the_command_names_the_setting(home):
    ended = subprocess.run(
        [PHOTOMEND, "notify", "test"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 3
    assert "set urls in [notify]" in ended.stderr


def test_apprise_is_imported_only_by_the_process_that_sends():
    program = (
        "import sys; from daemon import maintenance; from daemon.commands import app; "
        "print([m for m in ('apprise', 'paho', 'prometheus_client') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True)
    assert ended.stdout.strip() == b"[]"
