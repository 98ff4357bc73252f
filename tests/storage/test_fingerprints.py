"""A fingerprint changes with each change of a file that it must tell."""

import os

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
