"""Weights come whole and right through a bad network, or not at all."""

import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from storage import atomic_files, weights
from storage.enums import QUEUES
from storage.errors import (
    LicenceNotAccepted,
    NoRoom,
    WeightsBusy,
    WeightsMissing,
    WeightsUnknown,
    WeightsUnreachable,
    WeightsWrong,
)
from storage.settings import settings
from storage.weights import hashes
from storage.weights.catalogue import TABLE, File, Weights
from storage.weights.download import NetworkLimits

CONTENT = b"PK\x03\x04" + random.Random(7).randbytes(400_000)
OTHER = b"PK\x03\x04" + random.Random(8).randbytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = 200_000
FAST = NetworkLimits(stall_seconds=20, attempts=3, pause_seconds=0.01)
HASTY = replace(FAST, stall_seconds=1.0)
"""For servers that are silent; others may be slow on a busy machine."""


@pytest.fixture
def net(file_server):
    """Give weights of one file, which two addresses have; keywords change what is known of it."""
    file_server.files = {"/net.pth": CONTENT, "/mirror/net.pth": CONTENT}

    def made(**known: object) -> Weights:
        origins = (f"{file_server.url}/net.pth", f"{file_server.url}/mirror/net.pth")
        facts = {"bytes": len(CONTENT), "sha256": SHA256, "origins": origins} | known
        file = File("net.pth", **facts)
        return Weights("net", "is tested", (file,), "MIT", True)

    return made


@pytest.fixture
def unknown(net):
    """Weights whose size and hash nobody has published."""
    return partial(net, bytes=None, sha256=None, about_bytes=len(CONTENT))


def pull(wanted: Weights, folder: Path, limits: NetworkLimits = FAST, **options):
    return list(weights.pull(wanted, folder, limits=limits, **options))


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"hashes.json", ".hashes.json.lock"}


# Ways in which a server answers.


def breaks_off(answer):
    answer.give(upto=HALF)


def breaks_off_without_etag(answer):
    answer.give(upto=HALF, etag=False)


def ignores_ranges(answer):
    answer.head(200, {"Content-Length": len(answer.content)})
    answer.wfile.write(answer.content)


def ignores_ranges_and_breaks_off(answer):
    answer.head(200, {"Content-Length": len(answer.content)})
    answer.wfile.write(answer.content[:HALF])


def gives_another_range(answer):
    answer.head(206, {"Content-Range": f"bytes 7-{len(answer.content) - 1}/{len(answer.content)}"})
    answer.wfile.write(answer.content[7:])


def compresses(answer):
    answer.head(200, {"Content-Length": len(answer.content), "Content-Encoding": "gzip"})
    answer.wfile.write(answer.content)


def gives_a_range_of_absurd_length(answer):
    span = f"bytes {HALF}-{HALF + 9}/{'9' * 5000}"
    answer.head(206, {"Content-Range": span, "ETag": answer.etag})


def promises_more(answer):
    answer.head(200, {"Content-Length": len(answer.content) + 1000})
    answer.wfile.write(answer.content)


def promises_less(answer):
    answer.head(200, {"Content-Length": len(answer.content) - 1000})
    answer.wfile.write(answer.content)


def never_ends(answer):
    answer.protocol_version = "HTTP/1.1"
    answer.head(200, {"Transfer-Encoding": "chunked"})
    block = b"%x\r\n%s\r\n" % (65536, bytes(65536))
    while not answer.server.closing.is_set():
        answer.wfile.write(block)


def tells_no_length(answer):
    answer.head(200, {})
    answer.wfile.write(answer.content[:HALF])


def gives_other_bytes(answer):
    answer.head(200, {"Content-Length": len(OTHER)})
    answer.wfile.write(OTHER)


def shows_a_login(answer):
    page = b"<!DOCTYPE html><title>Log in to the hotel's network</title>"
    answer.head(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": len(page)})
    answer.wfile.write(page)


def is_silent(answer):
    answer.server.closing.wait(20)


def falls_silent(answer):
    answer.head(200, {"Content-Length": len(answer.content), "ETag": answer.etag})
    answer.wfile.write(answer.content[:HALF])
    answer.server.closing.wait(20)


def trickles(answer):
    answer.head(200, {"Content-Length": len(answer.content), "ETag": answer.etag})
    for n in range(1000):
        answer.wfile.write(answer.content[n : n + 1])
        if answer.server.closing.wait(0.05):
            break


def hangs_up(answer):
    answer.connection.close()


def says(status):
    return lambda answer: answer.send_error(status)


def redirects(to):
    return lambda answer: answer.head(302, {"Location": to, "Content-Length": 0})


def test_a_file_is_fetched_checked_and_named(net, tmp_path, file_server, synced):
    heard = []
    [(file, origin)] = pull(
        net(), tmp_path / "deep/weights", progress=lambda *all: heard.append(all)
    )
    assert (tmp_path / "deep/weights/net.pth").read_bytes() == CONTENT
    assert origin == f"{file_server.url}/net.pth"
    assert heard[-1] == (file, len(CONTENT), len(CONTENT))
    assert leftovers(tmp_path / "deep/weights") == {"net.pth"}
    assert file_server.asked == [("/net.pth", None)]
    assert synced[0] == str(tmp_path / "deep/weights/net.pth.part")
    assert synced[-1] == str(tmp_path / "deep/weights")


def test_what_is_there_and_right_is_not_fetched_again(net, tmp_path, file_server):
    pull(net(), tmp_path)
    assert pull(net(), tmp_path) == [(net().files[0], None)]
    assert len(file_server.asked) == 1


@pytest.mark.parametrize("way", [breaks_off, falls_silent])
@pytest.mark.parametrize("known", ["net", "unknown"])
def test_a_transfer_that_breaks_off_goes_on_where_it_was(
    known, way, request, tmp_path, file_server
):
    file_server.ways = [way]
    pull(request.getfixturevalue(known)(), tmp_path, HASTY)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert file_server.asked == [("/net.pth", None), ("/net.pth", f"bytes={HALF}-")]


def test_without_etag_only_a_known_hash_lets_pieces_be_joined(net, unknown, tmp_path, file_server):
    for wanted, second in ((net(), f"bytes={HALF}-"), (unknown(), None)):
        file_server.asked, file_server.ways = [], [breaks_off_without_etag]
        pull(wanted, tmp_path / str(second))
        assert (tmp_path / str(second) / "net.pth").read_bytes() == CONTENT
        assert [span for _, span in file_server.asked] == [None, second]


def test_a_version_that_changed_meanwhile_is_not_joined(unknown, tmp_path, file_server):
    def changes(answer):
        breaks_off(answer)
        file_server.files["/net.pth"] = OTHER

    file_server.ways = [changes]
    pull(unknown(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == OTHER


@pytest.mark.parametrize("etag", [{}, {"ETag": '"another"'}])
def test_a_range_of_unknown_hash_is_joined_only_under_the_same_etag(
    unknown, tmp_path, file_server, etag
):
    def ignores_if_range(answer):
        span = f"bytes {HALF}-{len(OTHER) - 1}/{len(OTHER)}"
        answer.head(206, {"Content-Range": span, "Content-Length": HALF + 4} | etag)
        answer.wfile.write(OTHER[HALF:])

    file_server.ways = [breaks_off, ignores_if_range]
    pull(unknown(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert [span for _, span in file_server.asked] == [None, f"bytes={HALF}-", None]


def test_joined_pieces_with_a_wrong_hash_are_fetched_once_more_from_the_start(
    net, tmp_path, file_server
):
    (tmp_path / "net.pth.part").write_bytes(OTHER[:HALF])
    pull(net(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert file_server.asked == [("/net.pth", f"bytes={HALF}-"), ("/net.pth", None)]


@pytest.mark.parametrize(
    "way", [ignores_ranges, gives_another_range, gives_a_range_of_absurd_length]
)
def test_a_server_that_gives_another_range_than_asked_for_harms_nothing(
    net, tmp_path, file_server, way
):
    file_server.ways = [breaks_off, way]
    pull(net(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_the_same_byte_is_given_up(net, tmp_path, file_server):
    file_server.ways = [ignores_ranges_and_breaks_off] * FAST.attempts
    pull(net(), tmp_path)
    assert [path for path, _ in file_server.asked] == ["/net.pth"] * 3 + ["/mirror/net.pth"]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_whole_part_of_unknown_length_is_recognised(unknown, tmp_path, file_server):
    file_server.ways = [lambda answer: answer.give(upto=len(CONTENT) - 1)]
    file_server.ways += [says(503)] * 10
    with pytest.raises(WeightsUnreachable):
        pull(unknown(), tmp_path)
    with (tmp_path / "net.pth.part").open("ab") as part:
        part.write(CONTENT[-1:])
    file_server.ways, file_server.asked = [], []
    pull(unknown(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert file_server.asked == [("/net.pth", f"bytes={len(CONTENT)}-")]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(net, tmp_path, file_server):
    (tmp_path / "net.pth.part").write_bytes(CONTENT + b"more")
    pull(net(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (says(404), "answers 404 Not Found"),
        (says(403), "answers 403"),
        (promises_less, "bytes and not 400,004"),
        (promises_more, "bytes and not 400,004"),
        (gives_other_bytes, f"sent a file that has the SHA-256 {hashlib.sha256(OTHER).hexdigest()}"),
        (never_ends, "sends more than 400,004 bytes"),
        (shows_a_login, "login"),
        (compresses, "compresses the file"),
        (redirects("ftp://example.invalid/net.pth"), "redirects to example.invalid by ftp"),
        (redirects("file:///etc/passwd"), "by file, which is not safe"),
        (lambda answer: answer.head(302, {"Content-Length": 0}), "answers 302 Found"),
        (lambda answer: answer.head(204, {}), "answers 204"),
    ],
)  # fmt: skip
def test_an_origin_with_another_file_is_left_at_once_for_the_next(
    net, tmp_path, file_server, way, why
):
    file_server.ways = [way]
    [(_, origin)] = pull(net(), tmp_path)
    assert origin == f"{file_server.url}/mirror/net.pth"
    assert [path for path, _ in file_server.asked] == ["/net.pth", "/mirror/net.pth"]
    shutil.rmtree(tmp_path)
    file_server.ways = [way, way]
    with pytest.raises(WeightsWrong, match=why):
        pull(net(), tmp_path)
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (says(500), "answers 500"),
        (says(429), "answers 429"),
        (is_silent, "silent"),
        (hangs_up, "does not answer"),
        (trickles, "too slow"),
    ],
)
def test_an_origin_in_trouble_is_asked_again_then_left(net, tmp_path, file_server, way, why):
    file_server.ways = [way]
    [(_, origin)] = pull(net(), tmp_path, HASTY)
    assert origin == f"{file_server.url}/net.pth"
    shutil.rmtree(tmp_path)
    file_server.ways, file_server.asked = [way] * 6, []
    with pytest.raises(WeightsUnreachable, match=why):
        pull(net(), tmp_path, HASTY)
    assert [path for path, _ in file_server.asked] == ["/net.pth"] * 3 + ["/mirror/net.pth"] * 3
    assert "net.pth" not in leftovers(tmp_path)


def test_a_login_page_does_not_cost_what_had_arrived(net, tmp_path, file_server):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:HALF])
    file_server.ways = [shows_a_login] * 2
    with pytest.raises(WeightsWrong, match="login"):
        pull(net(), tmp_path)
    pull(net(), tmp_path)
    assert file_server.asked[-1] == ("/net.pth", f"bytes={HALF}-")


def test_pieces_of_unknown_hash_are_kept_while_another_origin_is_away(
    unknown, tmp_path, file_server
):
    file_server.ways = [breaks_off, *[says(503)] * 5]
    with pytest.raises(WeightsUnreachable, match="200,000 bytes are kept"):
        pull(unknown(), tmp_path)
    file_server.asked = []
    pull(unknown(), tmp_path)
    assert file_server.asked == [("/net.pth", f"bytes={HALF}-")]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_pauses_grow(net, tmp_path, file_server, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    file_server.ways = [says(500)] * 3
    list(weights.pull(net(), tmp_path, limits=NetworkLimits(pause_seconds=1)))
    assert pauses == [1, 2, 4]


def test_redirects_are_followed_with_the_range(net, tmp_path, file_server):
    file_server.files["/elsewhere"] = CONTENT
    file_server.ways = [redirects("/elsewhere"), breaks_off, redirects("/elsewhere")]
    pull(net(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert [span for _, span in file_server.asked] == [None, None, *[f"bytes={HALF}-"] * 2]


def test_redirects_in_a_circle_end(net, tmp_path, file_server):
    file_server.ways = [redirects("/net.pth")] * 50
    with pytest.raises(WeightsWrong, match="redirects more than 10 times"):
        pull(net(), tmp_path)
    assert len(file_server.asked) < 30


def test_without_a_network_it_is_one_sentence_and_nothing_is_left(net, tmp_path):
    away = net(origins=("http://127.0.0.1:1/net.pth", "https://nowhere.invalid/net.pth"))
    with pytest.raises(WeightsUnreachable) as raised:
        pull(away, tmp_path)
    assert "127.0.0.1 does not answer (connection refused)" in str(raised.value)
    assert "nowhere.invalid does not answer" in str(raised.value)
    assert f"put it into {tmp_path} by hand" in str(raised.value)
    assert leftovers(tmp_path) == set()


def test_what_arrived_is_kept_and_said(net, tmp_path, file_server):
    file_server.ways = [breaks_off, *[says(503)] * 10]
    with pytest.raises(WeightsUnreachable, match="200,000 bytes are kept"):
        pull(net(), tmp_path)
    assert (tmp_path / "net.pth.part").read_bytes() == CONTENT[:HALF]
    assert weights.state(net(), tmp_path) is weights.State.PARTIAL


def test_a_size_that_is_only_roughly_known_is_a_limit_all_the_same(net, tmp_path, file_server):
    tight = net(bytes=None, sha256=None, about_bytes=200_000)
    with pytest.raises(WeightsWrong, match="has a file of 400,004 bytes, over 300,000"):
        pull(tight, tmp_path)
    file_server.ways = [never_ends, never_ends]
    with pytest.raises(WeightsWrong, match="sends more than 300,000 bytes"):
        pull(tight, tmp_path)
    assert leftovers(tmp_path) == set()


def test_a_file_of_unknown_length_and_hash_is_not_taken_from_who_does_not_tell_it(
    unknown, tmp_path, file_server
):
    file_server.ways = [tells_no_length] * 2
    with pytest.raises(WeightsWrong, match="does not say how long"):
        pull(unknown(), tmp_path)


def test_a_full_disk_is_said_before_the_first_byte(net, tmp_path, file_server):
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(NoRoom, match="must stay free"):
        pull(net(), tmp_path, min_free_bytes=free)
    assert file_server.asked == []


def test_a_server_cannot_promise_more_than_fits(unknown, tmp_path, monkeypatch, file_server):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(len(CONTENT) + 99_000))
    half = unknown(about_bytes=300_000)  # so it seems to fit, until the server tells its length
    with pytest.raises(NoRoom, match=r"net.pth needs 400,004 more, and 100,000 must stay free"):
        pull(half, tmp_path, min_free_bytes=100_000)
    assert leftovers(tmp_path) == set()


def test_a_write_that_fails_keeps_what_arrived(net, tmp_path, file_server):
    small = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    small += "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))"
    done = _pull_in_a_process(file_server, tmp_path, small).wait(60)
    assert done != 0
    assert (tmp_path / "net.pth.part").stat().st_size == 150_000
    pull(net(), tmp_path)
    assert file_server.asked[-1] == ("/net.pth", "bytes=150000-")
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_no_space_left_is_one_sentence(net, tmp_path, monkeypatch):
    from storage.weights.partial_file import Part

    class Full:
        def __init__(self, file):
            self.fileno, self.truncate = file.fileno, file.truncate

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    made = Part.__init__
    monkeypatch.setattr(Part, "__init__", lambda self, path, file: made(self, path, Full(file)))
    with pytest.raises(NoRoom, match="the disk is full"):
        pull(net(), tmp_path)


def _pull_in_a_process(file_server, folder: Path, before: str = "") -> subprocess.Popen[bytes]:
    code = f"""
{before}
from pathlib import Path
from storage import atomic_files, weights
from storage.weights.catalogue import File, Weights
file = File("net.pth", ("{file_server.url}/net.pth",), {len(CONTENT)}, "{SHA256}")
list(weights.pull(Weights("net", "", (file,), "MIT", True), Path("{folder}")))
"""
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def test_a_pull_that_is_killed_is_gone_on_with(net, tmp_path, file_server, eventually):
    file_server.ways = [falls_silent]
    net()
    process = _pull_in_a_process(file_server, tmp_path)
    part = tmp_path / "net.pth.part"
    eventually(lambda: part.exists() and part.stat().st_size == HALF)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "net.pth").exists()
    pull(net(), tmp_path)
    assert file_server.asked == [("/net.pth", None), ("/net.pth", f"bytes={HALF}-")]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert leftovers(tmp_path) == {"net.pth"}


def test_two_processes_do_not_write_one_file(net, tmp_path, file_server, eventually):
    file_server.ways = [falls_silent]
    net()
    process = _pull_in_a_process(file_server, tmp_path)
    eventually((tmp_path / "net.pth.part").exists)
    eventually(lambda: (tmp_path / "net.pth.part").stat().st_size == HALF)
    try:
        with pytest.raises(WeightsBusy, match="another process is downloading net"):
            pull(net(), tmp_path)
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "net.pth.part").stat().st_size == HALF


def test_a_licence_that_binds_must_be_accepted_before_anything_is_fetched(
    net, tmp_path, file_server
):
    bound = Weights("bound", "", net().files, "S-Lab: non-commercial", False)
    with pytest.raises(LicenceNotAccepted, match=r"S-Lab: non-commercial.*--accept"):
        pull(bound, tmp_path)
    assert file_server.asked == []
    pull(bound, tmp_path, accepted=True)
    pull(bound, tmp_path)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_nobody_offers_any_more_can_be_put_there_or_done_without(
    net, tmp_path, file_server, status
):
    file_server.ways = [says(status)] * 2
    advice = rf"login only: put it into {tmp_path} by hand, or set faces = false$"
    with pytest.raises(WeightsWrong, match=f"answers {status} .*{advice}"):
        pull(replace(net(), instead="set faces = false"), tmp_path)
    file_server.ways = [says(status), gives_other_bytes]
    with pytest.raises(WeightsWrong) as caught:
        pull(net(), tmp_path)
    assert "by hand" not in str(caught.value)


def test_who_cannot_get_a_part_of_invsr_is_told_of_the_other_way():
    for name in ("sd-turbo", "sd-turbo-text", "InvSR"):
        assert 'enlarging_net = "RealESRGAN_x4plus"' in weights.find(name).instead


def test_a_mirror_is_the_only_origin(net, tmp_path, file_server):
    file_server.files["/mine/net.pth"] = CONTENT
    [(_, origin)] = pull(net(), tmp_path, mirror=f"{file_server.url}/mine/")
    assert origin == f"{file_server.url}/mine/net.pth"
    (tmp_path / "net.pth").unlink()
    with pytest.raises(WeightsWrong, match="404"):
        pull(net(), tmp_path, mirror=f"{file_server.url}/none")
    assert {path for path, _ in file_server.asked} == {"/mine/net.pth", "/none/net.pth"}


def test_a_hash_that_nobody_published_is_recorded_and_then_enforced(unknown, tmp_path, file_server):
    pull(unknown(), tmp_path)
    assert (
        json.loads((tmp_path / "hashes.json").read_text())["files"]["net.pth"]["sha256"] == SHA256
    )
    (tmp_path / "net.pth").unlink()
    file_server.files = dict.fromkeys(file_server.files, OTHER)
    with pytest.raises(WeightsWrong, match=f"and not {SHA256}"):
        pull(unknown(), tmp_path)
    assert not (tmp_path / "net.pth").exists()


def test_a_file_that_was_put_there_is_recorded_and_a_change_refused(unknown, tmp_path):
    wanted, file = unknown(), tmp_path / "net.pth"
    file.write_bytes(CONTENT)
    [recorded] = weights.verify(wanted, tmp_path)
    assert (recorded.sha256, recorded.origin) == (SHA256, hashes.ADDED_BY_HAND)
    file.write_bytes(OTHER)
    with pytest.raises(WeightsWrong, match="it was changed since"):
        weights.verify(wanted, tmp_path)
    weights.verify(wanted, tmp_path, trust=True)
    weights.verify(wanted, tmp_path, reread=True)
    file.write_bytes(CONTENT)
    with pytest.raises(WeightsWrong):
        weights.verify(wanted, tmp_path)


def test_a_published_hash_cannot_be_trusted_away(net, tmp_path):
    (tmp_path / "net.pth").write_bytes(OTHER)
    with pytest.raises(WeightsWrong, match="damaged, incomplete or another file"):
        weights.verify(net(), tmp_path, trust=True)
    (tmp_path / "net.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsWrong, match="400,003 bytes and not 400,004"):
        weights.verify(net(), tmp_path)


def test_a_wrong_file_is_replaced_by_a_pull(net, tmp_path):
    (tmp_path / "net.pth").write_bytes(OTHER)
    pull(net(), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_file_is_read_again_only_when_it_changed_or_by_request(net, tmp_path):
    pull(net(), tmp_path)
    file, found = tmp_path / "net.pth", (tmp_path / "net.pth").stat()
    assert weights.state(net(), tmp_path) is weights.State.CHECKED
    file.write_bytes(OTHER)
    assert weights.state(net(), tmp_path) is weights.State.UNCHECKED
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))  # as a failing disk would
    weights.verify(net(), tmp_path)
    with pytest.raises(WeightsWrong):
        weights.verify(net(), tmp_path, reread=True)


def test_a_read_only_folder_serves_what_is_published_or_recorded(net, unknown, tmp_path):
    (tmp_path / "net.pth").write_bytes(CONTENT)
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("root may write everywhere")
        weights.verify(net(), tmp_path)
        with pytest.raises(WeightsWrong, match="cannot be recorded"):
            weights.verify(unknown(), tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_a_record_that_cannot_be_written_stops_only_what_needs_it(
    net, unknown, tmp_path, monkeypatch
):
    (tmp_path / "net.pth").write_bytes(CONTENT)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "write", refuse)
        weights.verify(net(), tmp_path)
        with pytest.raises(WeightsWrong, match="Read-only file system"):
            weights.verify(unknown(), tmp_path)
    weights.verify(unknown(), tmp_path)
    os.utime(tmp_path / "net.pth", (1, 1))
    monkeypatch.setattr(atomic_files, "write", refuse)
    weights.verify(unknown(), tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": {"net.pth": {"hash": 1}}}', '{"files": 3}'])
def test_a_damaged_record_is_one_sentence(unknown, tmp_path, text):
    (tmp_path / "net.pth").write_bytes(CONTENT)
    (tmp_path / "hashes.json").write_text(text)
    with pytest.raises(WeightsWrong, match=r"hashes.json.*remove it"):
        weights.verify(unknown(), tmp_path)


def test_many_processes_may_record_at_once(unknown, tmp_path):
    files = [File(f"{n}.pth", (), about_bytes=9) for n in range(20)]
    for file in files:
        (tmp_path / file.path).write_bytes(b"PK\x03\x04" + file.path.encode())
    threads = [threading.Thread(target=hashes.check, args=(tmp_path, file)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(hashes.read(tmp_path)) == {file.path for file in files}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"", "empty"),
        ("a.pth", b"<html>404</html>", "not a PyTorch file"),
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1", "not an ONNX file"),
        ("a.json", b"{", "not a JSON"),
        ("a.txt", b"<!DOCTYPE html>", "not plain text"),
        ("a.safetensors", b"<html>" * 10, "not a complete safetensors"),
        ("a.safetensors", (10**6).to_bytes(8, "little") + b"{}", "not a complete safetensors"),
    ],
)
def test_what_cannot_be_of_its_kind_is_not_recorded(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsWrong, match=why):
        hashes.check(tmp_path, File(name, (), about_bytes=100))
    assert hashes.read(tmp_path) == {}


def test_an_error_page_is_not_recorded_as_first_seen(unknown, tmp_path, file_server):
    page = b"<html>gone</html>"
    file_server.files = {"/net.pth": page}
    with pytest.raises(WeightsWrong, match="not a PyTorch file"):
        pull(unknown(), tmp_path)
    assert hashes.read(tmp_path) == {}


def test_each_row_of_the_table_can_be_used():
    names = [weights.name.lower() for weights in TABLE]
    files = [file for weights in TABLE for file in weights.files]
    assert len(set(names)) == len(names)
    assert len({file.path for file in files}) == len(files)
    assert not {*names} & {*QUEUES}
    for made in TABLE:
        assert made.licence
        assert {file.path.partition("/")[0] for file in made.files} == {made.place}
    for file in files:
        assert file.origins
        assert all(origin.startswith("https://") for origin in file.origins)
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert (file.bytes is None) == (file.about_bytes > 0)
        assert Path(file.path).suffix in {".safetensors", ".pth", ".pt", ".onnx", ".json", ".txt"}


def test_files_of_the_hub_are_of_one_revision_and_have_published_hashes():
    for name in ("Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct", "sd-turbo", "sd-turbo-text"):
        for file in weights.find(name).files:
            assert file.sha256
            assert re.search(r"/resolve/[0-9a-f]{40}/", file.origins[0])
            assert file.origins[0].endswith(file.path.partition("/")[2])


def test_each_address_names_a_commit_or_a_release_or_its_file_has_a_published_hash():
    fixed = re.compile(r"/(resolve|raw)/[0-9a-f]{40}/|/releases/download/")
    moving = {
        file.path
        for entry in TABLE
        for file in entry.files
        for origin in file.origins
        if not fixed.search(origin) and not file.sha256
    }
    assert moving == {"noise_predictor_sd_turbo_v5.pth"}  # its authors publish neither


def test_a_name_that_is_none_gets_the_nearest_one():
    with pytest.raises(WeightsUnknown, match="did you mean CodeFormer"):
        weights.find("codeforme")
    with pytest.raises(WeightsUnknown, match="did you mean motion-blur"):
        weights.find("motionblur", QUEUES)
    with pytest.raises(WeightsUnknown, match="weights list"):
        weights.find("xyzzy")


def test_weights_are_found_by_name_below_the_state_folder_or_where_the_settings_say(
    tmp_path, monkeypatch
):
    for name in [name for name in os.environ if name.startswith("PHOTOMEND_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    for name, folder in (("STATE_DIR", tmp_path / "s/weights"), ("WEIGHTS_DIR", tmp_path / "w")):
        monkeypatch.setenv(f"PHOTOMEND_{name}", str(tmp_path / name[0].lower()))
        settings.cache_clear()
        with pytest.raises(WeightsMissing, match="photomend weights pull YOSO-coco"):
            weights.path("yoso-COCO")
        folder.mkdir(parents=True)
        (folder / "yoso_res50_coco.pth").write_bytes(CONTENT)
        assert weights.path("YOSO-coco") == folder / "yoso_res50_coco.pth"
        for file in weights.find("RRW").files:
            (folder / file.path).parent.mkdir(exist_ok=True)
            (folder / file.path).write_bytes(CONTENT)
        assert weights.path("RRW") == folder / "RRW"
    settings.cache_clear()
