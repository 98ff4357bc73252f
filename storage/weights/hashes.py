"""Whether the files in the weights folder are the right ones.

A file whose hash is published must have it. One whose hash is not is recorded when it is first seen,
in a small file beside it, and must stay the same from then on. What was checked is not read again
until it changes, since some files take half a minute.
"""

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage import atomic_files, fingerprints
from storage.errors import WeightsWrong
from storage.weights.catalogue import File

PINS = "pins.json"
"""In the weights folder: the hash of each file, since when, and the file that was checked."""
HERE = "found in the folder"
"""Where a file came from that its owner put there."""
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Pin:
    """What is recorded of one file."""

    sha256: str
    seen: str
    """The file's fingerprint when it was checked."""
    origin: str
    since: str
    """Date and time, UTC."""


def read(folder: Path) -> dict[str, Pin]:
    """Return what is recorded, by the path below the folder.

    Raises:
        WeightsWrong: the record is damaged.

    """
    path = folder / PINS
    try:
        recorded = json.loads(path.read_text())
        return {name: Pin(**pin) for name, pin in recorded["files"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsWrong(
            f"{path}, which records hashes, cannot be understood ({error}); remove it, "
            "then `photomend weights verify` records the files that are there"
        ) from error


def check(folder: Path, file: File, *, again: bool = False, trust: bool = False) -> Pin:
    """Return the pin of a file that is right; if it has none yet, record it.

    `again` reads it though it has not changed since it was checked; `trust` records what is there
    in place of an earlier record, but never in place of a published hash.

    Raises:
        WeightsWrong: it is another file, a damaged one, or cannot be recorded.
        FileNotFoundError: it is not there.

    """
    path = folder / file.path
    with path.open("rb") as opened:
        found = os.fstat(opened.fileno())
        seen = fingerprints.of(found)
        pin = read(folder).get(file.path)
        expected = file.sha256 or (pin.sha256 if pin and not trust else None)
        if pin and not again and not trust and (pin.seen, pin.sha256) == (seen, expected):
            return pin
        if file.bytes not in (None, found.st_size):
            raise WeightsWrong(
                f"{path} has {found.st_size:,} bytes and not {file.bytes:,}: "
                "it is incomplete, or another file"
            )
        if wrong := unlike(path, file):
            raise WeightsWrong(f"{path} {wrong}")
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    if expected is not None and sha256 != expected:
        raise WeightsWrong(_other(path, sha256, expected, None if file.sha256 else pin))
    made = Pin(sha256, seen, pin.origin if pin else HERE, pin.since if pin else _now())
    if trust and pin and pin.sha256 != sha256:
        made = Pin(sha256, seen, HERE, _now())
    _record(folder, file, made, needed=expected is None)
    return made


def stands(folder: Path, file: File, pin: Pin | None) -> bool:
    """Say whether a file has not changed since it was found right, by a look at its size and times.

    Raises:
        FileNotFoundError: it is not there.

    """
    expected = file.sha256 or (pin and pin.sha256)
    seen = fingerprints.of((folder / file.path).stat())
    return pin is not None and (pin.seen, pin.sha256) == (seen, expected)


def arrived(folder: Path, file: File, part: Path, sha256: str, origin: str) -> None:
    """Record a file that was fetched and is right, before it gets its name.

    Raises:
        WeightsWrong: it cannot be recorded.

    """
    pin = Pin(sha256, fingerprints.of(part.stat()), origin, _now())
    _record(folder, file, pin, needed=file.sha256 is None)


def unlike(path: Path, file: File) -> str | None:
    """Say why the contents cannot be of the kind that the file's name tells, None if they can.

    Not a proof: it keeps error pages and cut files from being recorded as first seen.
    """
    size = path.stat().st_size
    with path.open("rb") as opened:
        head = opened.read(16)
    if not head:
        return "is empty"
    match Path(file.path).suffix:
        case ".safetensors":
            header = int.from_bytes(head[:8], "little")
            if head[8:9] != b"{" or size < header + 8:
                return "is no safetensors file, or an incomplete one"
        case ".pth" | ".pt":
            if not head.startswith((b"PK\x03\x04", b"\x80")):
                return "is no file that torch writes"
        case ".onnx":
            if head[:1] != b"\x08":  # the first field, ir_version, of the message ModelProto
                return "is no ONNX file"
        case ".json":
            try:
                json.loads(path.read_bytes())
            except ValueError:
                return "is no JSON file"
        case _:
            if b"\0" in head or head.lstrip().lower().startswith((b"<!doctype", b"<html")):
                return "is no plain text"
    return None


def _other(path: Path, sha256: str, expected: str, pin: Pin | None) -> str:
    sentence = f"{path} has the SHA-256 {sha256} and not {expected}"
    if pin is None:
        return f"{sentence}: it is damaged, or another file; fetch it again, or remove it"
    return (
        f"{sentence}, which was recorded {pin.since} ({pin.origin}): it was changed since. "
        "If you replaced it on purpose: photomend weights verify --trust NAME"
    )


def _record(folder: Path, file: File, pin: Pin, *, needed: bool) -> None:
    """Write a pin; where nothing can be written, one that is not needed is left out."""
    try:
        with atomic_files.locked(folder / f".{PINS}.lock"):
            pins = read(folder) | {file.path: pin}
            whole = {"files": {name: asdict(pins[name]) for name in sorted(pins)}}
            atomic_files.write(folder / PINS, json.dumps(whole, indent=1).encode())
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        if needed:
            raise WeightsWrong(
                f"the hash of {folder / file.path} is not published and cannot be recorded "
                f"({error.strerror}); who may write there runs: photomend weights verify"
            ) from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
