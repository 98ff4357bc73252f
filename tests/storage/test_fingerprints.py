"""A fingerprint changes with each change of a file that it must tell."""

import os

import pytest

from storage import fingerprints


def test_a_fingerprint_is_size_mtime_and_inode_joined(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"photo")
    os.utime(file, ns=(1, 1_500_000_000_123_456_789))
    found = file.stat()
    assert fingerprints.of(found) == f"5-1500000000123456789-{found.st_ino}"
    os.utime(file, ns=(1, 1_500_000_000_123_456_790))
    assert fingerprints.of(file.stat()) != fingerprints.of(found)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(b"photo")
    os.utime(copy, ns=(1, 1_500_000_000_123_456_789))
    assert fingerprints.of(copy.stat()) != fingerprints.of(found)


SECOND, HOUR = 10**9, 3600 * 10**9
AT = 1_600_000_000_123_456_789


@pytest.mark.parametrize(
    "mtime",
    [
        AT, AT + HOUR, AT - HOUR, AT + 23 * HOUR // 2, AT // 100 * 100, AT // SECOND * SECOND,
        AT // (2 * SECOND) * 2 * SECOND + HOUR, AT // 10**7 * 10**7,
    ],
)  # fmt: skip
def test_inodes_time_zones_and_coarse_mtimes_do_not_make_another_file(mtime):
    assert fingerprints.same_file(f"5-{AT}-1", f"5-{mtime}-2")


@pytest.mark.parametrize(
    "other",
    [
        f"6-{AT}-1", f"5-{AT + 1000}-1", f"5-{AT + SECOND}-1", f"5-{AT + HOUR + SECOND}-1",
        f"5-{AT + 27 * HOUR}-1", f"5-{AT // SECOND * SECOND + 5 * SECOND}-1", "5-0-1",
    ],
)  # fmt: skip
def test_another_size_or_mtime_makes_another_file(other):
    assert not fingerprints.same_file(f"5-{AT}-1", other)
    assert fingerprints.same_file(other, other)


def test_times_before_1970_are_read():
    assert fingerprints.modified_at("5--1500000000-7") == -1.5
    assert fingerprints.same_file("5--3600000000001-7", "5--1-8")
