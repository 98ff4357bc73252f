"""Check whether the files in the weights folder are the expected ones.

A file whose hash is published must have it. The hash of any other file is recorded when the file is
first seen, in a small file beside it, and must stay the same. A checked file is not read again until
it changes, since reading some files takes half a minute.
"""

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

from storage import atomic_files, fingerprints
from storage.errors import WeightsWrong
from storage.weights.catalogue import File

RECORD = "hashes.json"
"""Name of the file of recorded hashes, in the weights folder."""
ADDED_BY_HAND = "found in the folder"
"""Origin of a file that was not downloaded."""
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class RecordedHash:
    """What is recorded of a file that was checked."""

    sha256: str
    fingerprint: str
    """Fingerprint of the file when it was checked."""
    origin: str
    recorded: str
    """Date and time of the record, UTC."""


def read(folder: Path) -> dict[str, RecordedHash]:
    """Return the recorded hashes, by path below the folder.

    Raises:
        WeightsWrong: the record is damaged.

    """
    path = folder / RECORD
    try:
        files = json.loads(path.read_text())["files"]
        return {name: RecordedHash(**recorded) for name, recorded in files.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsWrong(
            f"{path}, the record of hashes, cannot be read ({error}); remove it, "
            "then `photomend weights verify` records the files that are there"
        ) from error


def check(folder: Path, file: File, *, reread: bool = False, trust: bool = False) -> RecordedHash:
    """Check a file and return its recorded hash; record it if there is none.

    `reread` reads the file even if it has not changed since it was checked. `trust` replaces the
    recorded hash by that of the file, but never a published hash.

    Raises:
        WeightsWrong: it is damaged or another file, or its hash cannot be recorded.
        FileNotFoundError: it does not exist.

    """
    path = folder / file.path
    with path.open("rb") as opened:
        fingerprint = fingerprints.of(os.fstat(opened.fileno()))
        recorded = read(folder).get(file.path)
        expected = file.sha256 or (recorded.sha256 if recorded and not trust else None)
        if recorded and not (reread or trust) and _matches(recorded, file, fingerprint):
            return recorded
        try:
            sha256 = compute(opened, file, expected)
        except WeightsWrong as error:
            raise WeightsWrong(f"{path} {error}: {_advice(file, recorded)}") from error
    if recorded and recorded.sha256 == sha256:
        made = RecordedHash(sha256, fingerprint, recorded.origin, recorded.recorded)
    else:
        made = RecordedHash(sha256, fingerprint, ADDED_BY_HAND, _now())
    _record(folder, file, made, required=expected is None)
    return made


def is_unchanged(folder: Path, file: File, recorded: RecordedHash | None) -> bool:
    """Return True if a file has the fingerprint that it had when it was checked.

    Raises:
        FileNotFoundError: it does not exist.

    """
    fingerprint = fingerprints.of((folder / file.path).stat())
    return recorded is not None and _matches(recorded, file, fingerprint)


def _matches(recorded: RecordedHash, file: File, fingerprint: str) -> bool:
    return recorded.fingerprint == fingerprint and file.sha256 in (None, recorded.sha256)


def record_download(folder: Path, file: File, part: Path, sha256: str, origin: str) -> None:
    """Record the hash of a downloaded file before it is renamed.

    Raises:
        WeightsWrong: it cannot be recorded.

    """
    made = RecordedHash(sha256, fingerprints.of(part.stat()), origin, _now())
    _record(folder, file, made, required=file.sha256 is None)


def compute(opened: BufferedReader, file: File, expected: str | None) -> str:
    """Return the SHA-256 of the contents of a file.

    Raises:
        WeightsWrong: its size, kind or hash is not the expected one; the message is a predicate.

    """
    size = os.fstat(opened.fileno()).st_size
    if file.bytes not in (None, size):
        raise WeightsWrong(f"has {size:,} bytes and not {file.bytes:,}")
    if not size:
        raise WeightsWrong("is empty")
    right, kind = _kind(opened, size, Path(file.path).suffix)
    if not right:
        raise WeightsWrong(f"is not {kind}")
    opened.seek(0)
    sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    if expected not in (None, sha256):
        raise WeightsWrong(f"has the SHA-256 {sha256} and not {expected}")
    return sha256


def _kind(opened: BufferedReader, size: int, suffix: str) -> tuple[bool, str]:
    """Return whether the contents can be of the kind of the suffix, and that kind.

    This is no proof. It keeps error pages and truncated files from being recorded.
    """
    head = opened.read(16)
    match suffix:
        case ".safetensors":
            complete = size >= int.from_bytes(head[:8], "little") + 8
            return head[8:9] == b"{" and complete, "a complete safetensors file"
        case ".pth" | ".pt":
            return head.startswith((b"PK\x03\x04", b"\x80")), "a PyTorch file"
        case ".onnx":  # The first field of the message ModelProto is ir_version.
            return head[:1] == b"\x08", "an ONNX file"
        case ".json":
            return _is_json(head + opened.read()), "a JSON file"
        case _:
            page = head.lstrip().lower().startswith((b"<!doctype", b"<html"))
            return b"\0" not in head and not page, "plain text"


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _advice(file: File, recorded: RecordedHash | None) -> str:
    if file.sha256 or recorded is None:
        return "it is damaged, incomplete or another file; pull it again, or remove it"
    return (
        f"it was changed since its hash was recorded {recorded.recorded} ({recorded.origin}). "
        "If you replaced it on purpose: photomend weights verify --trust NAME"
    )


def _record(folder: Path, file: File, made: RecordedHash, *, required: bool) -> None:
    """Write a recorded hash; in a read-only folder, skip one that is not required."""
    try:
        with atomic_files.locked(folder / f".{RECORD}.lock"):
            files = read(folder) | {file.path: made}
            content = {"files": {name: asdict(files[name]) for name in sorted(files)}}
            atomic_files.write(folder / RECORD, json.dumps(content, indent=1).encode())
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        if required:
            raise WeightsWrong(
                f"the hash of {folder / file.path} is not published and cannot be recorded "
                f"({error.strerror}); a user who may write there runs: photomend weights verify"
            ) from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
