"""A jail that dies costs one operation, one that lies is ended, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from attacks import abort, endless, threads

from storage import jail, photos
from storage.errors import DecoderDied, DecodingFailed, UnreadablePhoto
from storage.formats.safe_open import Limits
from storage.formats.turn import Turn
from storage.inspection import Inspection
from storage.jail import messages
from storage.jail.client import Jail
from storage.metadata.sidecar import turned_content

HERE = Path(__file__).parent
LYING = f"""
import errno, json, os, socket, sys
(number, *_), sys.path[:] = json.loads(sys.argv[1])
sys.path.insert(0, {str(HERE)!r})
from storage.jail import messages, shared, values
from storage.jail.confinement import Confinement
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, number)
along = shared.Outgoing()
messages.send(connection, values.pack(Confinement(0, False), along), along)
asked, came = messages.receive(connection)
along = shared.Outgoing()
LIE
messages.receive(connection)
"""


def test_a_jail_that_is_killed_costs_one_operation(
    attacked: Jail, eventually: Callable[..., None]
) -> None:
    attacked.run(threads)
    first = attacked.pid
    killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
    killer.start()
    with pytest.raises(DecoderDied, match="killed by signal 9"):
        attacked.run(endless)
    killer.join()
    assert attacked.run(threads) == 4
    assert attacked.pid != first


def test_a_decoder_that_aborts_costs_one_operation(attacked: Jail) -> None:
    with pytest.raises(DecoderDied, match="killed by signal 6"):
        attacked.run(abort)
    assert attacked.run(threads) == 4


def test_a_jail_that_died_while_it_was_idle_costs_nothing(attacked: Jail) -> None:
    attacked.run(threads)
    assert attacked.pid is not None
    os.kill(attacked.pid, signal.SIGKILL)
    psutil.Process(attacked.pid).wait()
    assert attacked.run(threads) == 4


def test_an_operation_that_is_broken_off_leaves_no_answer_to_the_next(attacked: Jail) -> None:
    attacked.run(threads)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        attacked.run(endless)
    signal.signal(signal.SIGALRM, before)
    assert attacked.run(threads) == 4


def test_a_start_that_is_broken_off_leaves_no_greeting_to_the_first_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    jail, given = Jail(), (b"a sidecar", Turn(1, (1, 1), (1, 1)))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(messages, "receive", interrupt)
        jail.run(turned_content, *given)
    assert jail.run(turned_content, *given) == b"a sidecar"
    jail.stop()


def test_a_photo_that_cannot_be_opened_ends_no_jail(attacked: Jail, tmp_path: Path) -> None:
    attacked.run(threads)
    first = attacked.pid
    with pytest.raises(FileNotFoundError):
        attacked.run(threads, Inspection(tmp_path / "gone.jpg", Limits(1, 1, 1)))
    assert attacked.pid == first


@pytest.mark.parametrize("work", ("endless", "threads"))
def test_a_jail_ends_with_its_parent(work: str, eventually: Callable[..., None]) -> None:
    program = f"""
import sys, threading, time
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[2])!r}]
import attacks, conftest
from storage.jail.client import Jail
jail = Jail(conftest.WITH_ATTACKS)
jail.confinement()
print(jail.pid, flush=True)
jail.run(attacks.{work})
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    inside = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    with suppress(psutil.NoSuchProcess):
        inside.wait(10)
    assert not inside.is_running()


def test_a_jail_that_does_not_start_says_why() -> None:
    with pytest.raises(OSError, match=r"does not start: ModuleNotFoundError: .*no_such_library"):
        Jail("import no_such_library").run(threads)


PIXELS = """
from storage import coded_photos
from storage.formats.decode import Coding
from storage.formats.detect import Format
from storage.metadata.blocks import Metadata
import numpy as np
def photo(pixels, bits=8):
    coding = Coding(Format.JPEG, bits)
    return coded_photos.Decoded(pixels, coding, Metadata(), "", (9, 9), 1, 1, False)
value = {value}
messages.send(connection, {{"value": values.pack(value, along)}}, along)
"""


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ('messages.send(connection, {"value": "four"}, along)', "a str came in place of a int"),
        ('messages.send(connection, {"value": None}, along)', "NoneType came in place of a int"),
        ("messages.send(connection, [], along)", "no valid answer"),
        ("messages.send(connection, 7, along)", "no valid answer"),
        ("connection.sendall(b'x' * 99)", "a message of"),
        ("connection.sendall((1 << 24).to_bytes(8, 'little') + b'[]' * 99)", "a message of"),
        ("connection.sendall(bytes(8) + b'x')", "no valid answer"),
        ("connection.sendall((200_000).to_bytes(8, 'little') + b'[' * 200_000)", "no valid answer"),
        ("connection.close(); os._exit(3)", "ended with code 3"),
    ],
)
def test_an_answer_that_is_none_ends_the_jail(lie: str, says: str) -> None:
    lying = Jail(LYING.replace("LIE", lie))
    with pytest.raises(DecoderDied, match=says):
        lying.run(threads)
    assert lying.pid is None


@pytest.fixture
def read_by(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., Path], tmp_path: Path, limits: Limits
) -> Callable[[str], photos.Photo]:
    """Read a photo by a jail that lies."""
    path = make(tmp_path / "photo.jpg")

    def read(lie: str) -> photos.Photo:
        with jail.used() as lying:
            lying._program = LYING.replace("LIE", lie)
            return photos.read(path, limits)

    return read


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("photo(np.zeros((9, 9, 9), np.uint8))", "no kind that is handled"),
        ("photo(np.zeros((20_000, 20_000, 1), np.uint8))", "other pixels than its header says"),
        ("photo(np.zeros((9, 9, 3), np.uint8), 1 << 40)", "no kind that is handled"),
        ("photo(np.zeros((9, 9), np.uint8))", "not enough values"),
    ],
)
def test_pixels_that_cannot_be_are_an_unreadable_photo(
    value: str, says: str, read_by: Callable[[str], photos.Photo]
) -> None:
    with pytest.raises(UnreadablePhoto, match=says):
        read_by(PIXELS.format(value=value))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("shared._SEALS = 1", "can still be changed"),
        ("shared.Outgoing.descriptors = lambda self: [os.open('/dev/null', 0)]", "no memory"),
        ("shared.Outgoing.add_array = lambda self, array: 1 << 40", "has no 243 bytes"),
        ("shared.Outgoing.add_array = lambda self, array: -64", "has no 243 bytes"),
        ("np.uint8 = np.float32", "there are no arrays of float32"),
        ("Metadata = lambda: 7", "a int came in place of a dict"),
    ],
)
def test_memory_that_could_change_or_end_is_not_read(
    change: str, says: str, read_by: Callable[[str], photos.Photo]
) -> None:
    lie = PIXELS.format(value="photo(np.zeros((9, 9, 3), np.uint8))")
    with pytest.raises(DecoderDied, match=says):
        read_by(lie.replace("\nvalue", f"\n{change}\nvalue"))


@pytest.mark.parametrize("number", ("ENOSPC", "EROFS", "EPERM"))
def test_a_jail_cannot_hold_a_gallery(number: str, read_by: Callable[[str], photos.Photo]) -> None:
    lie = f"""
from storage.jail import failures
made = values.pack(failures.of(OSError(errno.{number}, "lie")), along)
messages.send(connection, {{"failure": made}}, along)
"""
    with pytest.raises(DecodingFailed, match="lie"):
        read_by(lie)
