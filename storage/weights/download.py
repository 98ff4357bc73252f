"""Download one file from the first of its origins that has it.

The bytes are appended to a file `.part` beside the target; the next attempt or the next process
resumes there. The file gets its name when its hash is right.
"""

import re
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from requests import Response
from requests.adapters import HTTPAdapter

from storage import atomic_files
from storage.errors import WeightsUnreachable, WeightsWrong
from storage.weights import hashes, http_client
from storage.weights.catalogue import File
from storage.weights.http_client import Refused, Unavailable, Withdrawn
from storage.weights.partial_file import Part, require_space

BLOCK_BYTES = 1 << 16
PROGRESS_BYTES = 1_000_000
"""An attempt that received so many bytes is not counted as failed."""

Progress = Callable[[int, int | None], None]
"""Takes the bytes received so far, and the size of the file or None if it is unknown."""


@dataclass(frozen=True)
class NetworkLimits:
    """When a download gives up on a server."""

    stall_seconds: float = 30.0
    """Longest silence of a server."""
    min_bytes_per_second: float = 1000.0
    """Lowest speed, measured over `stall_seconds`."""
    attempts: int = 4
    """Failed attempts in a row."""
    pause_seconds: float = 1.0
    """Pause before the second attempt; doubles each time."""


def fetch(
    file: File, target: Path, expected: str | None, record: Callable[[Path, str, str], None], *,
    limits: NetworkLimits, min_free_bytes: int, progress: Progress, instead: str = "",
) -> str:  # fmt: skip
    """Download a file and return the address that it came from.

    `expected` is its SHA-256, None if it is unknown. `record` is called with the path of the
    complete file, its SHA-256 and its address, before the file is renamed to `target`. `instead` says
    what to do if no origin offers the file any more.

    Raises:
        WeightsUnreachable: no origin sent all of it; what arrived is kept.
        WeightsWrong: all origins sent something else; nothing of that is kept.
        WeightsBusy: another process downloads it.
        NoRoom: the disk is full, or would be.

    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures: list[tuple[str, Refused | Unavailable]] = []
    with Part.locked(target) as part, closing(HTTPAdapter()) as adapter:
        transfer = _Transfer(file, expected, part, limits, min_free_bytes, progress, adapter)
        for url in file.origins:
            try:
                sha256 = transfer.complete(url)
            except (Refused, Unavailable) as error:
                failures.append((url, error))
                continue
            atomic_files.sync(part.path)
            record(part.path, sha256, url)
            atomic_files.rename(part.path, target)
            return url
        kept = part.size
    reasons = "; ".join(f"{urlsplit(url).hostname} {error}" for url, error in failures)
    message = f"{target.name} could not be downloaded: {reasons}"
    if all(isinstance(error, Withdrawn) for _, error in failures):
        other = f", or {instead}" if instead else ""
        raise WeightsWrong(
            f"{message}; it was removed, or is given to users with a login only: put it into "
            f"{target.parent} by hand{other}"
        )
    if not any(isinstance(error, Unavailable) for _, error in failures):
        raise WeightsWrong(message)
    if kept:
        raise WeightsUnreachable(f"{message}; {kept:,} bytes are kept, and the next pull resumes")
    raise WeightsUnreachable(f"{message}; pull again later, or put it into {target.parent} by hand")


@dataclass
class _Transfer:
    """The download of one file from any of its origins."""

    file: File
    expected: str | None
    part: Part
    limits: NetworkLimits
    min_free_bytes: int
    progress: Progress
    adapter: HTTPAdapter
    joined: bool = False
    """The part consists of several answers."""

    def complete(self, url: str) -> str:
        """Complete the part from one origin and return its SHA-256.

        Raises:
            Refused: the origin has another file, of which nothing is kept.
            Unavailable: the origin does not send all of it.

        """
        self.joined = self.part.size > 0
        self._receive_all(url)
        if self.joined:  # The answers may be of two versions of the file.
            with suppress(Refused):
                return self._check_hash()
            self._receive_all(url)
        return self._check_hash()

    def _check_hash(self) -> str:
        """Return the SHA-256 of the part; clear a part that is not the file."""
        try:
            with self.part.path.open("rb") as opened:
                return hashes.compute(opened, self.file, self.expected)
        except WeightsWrong as error:
            self.part.clear()
            raise Refused(f"sent a file that {error}") from error

    def _receive_all(self, url: str) -> None:
        best, failed = self.part.size, 0
        while True:
            try:
                return self._receive(url)
            except Unavailable:
                failed = 0 if self.part.size - best >= PROGRESS_BYTES else failed + 1
                best = max(best, self.part.size)
                if failed >= self.limits.attempts:
                    raise
                time.sleep(self.limits.pause_seconds * 2 ** max(failed - 1, 0))

    def _receive(self, url: str) -> None:
        """Send one request for what is missing, and append what the origin sends."""
        start, etag = self.part.size, self.part.etag
        if start and start == self.file.bytes:
            return
        headers: dict[str, str] = {}
        # Without hash and ETag, nothing shows whether two answers are of one version.
        if start and (etag or self.expected):
            headers = {"Range": f"bytes={start}-"} | ({"If-Range": etag} if etag else {})
        with http_client.get(self.adapter, url, headers, self.limits.stall_seconds) as answer:
            span = answer.headers.get("Content-Range", "")
            if answer.status_code == 416 and span == f"bytes */{start}":
                return
            if answer.status_code == 200:
                return self._append(answer, answer.raw.length_remaining)
            matched = re.fullmatch(rf"bytes {start}-\d+/(\d{{1,15}}|\*)", span)
            if answer.status_code == 206 and matched and etag in (None, _strong_etag(answer)):
                return self._append(answer, None if matched[1] == "*" else int(matched[1]))
        self.part.clear()
        raise Unavailable("sent another part of the file than requested")

    def _append(self, answer: Response, total: int | None) -> None:
        """Append the body of an answer; `total` is the size of the whole file by its headers."""
        self._check_headers(answer, total)
        self.joined = answer.status_code == 206
        if not self.joined:
            self.part.clear()
        max_bytes = self.file.max_bytes if total is None else total
        folder, needed = self.part.path.parent, max_bytes - self.part.size
        require_space(folder, self.part.path.stem, needed, self.min_free_bytes)
        self.part.note(_strong_etag(answer))
        self._copy(answer, total, max_bytes)

    def _check_headers(self, answer: Response, total: int | None) -> None:
        """Refuse, before anything is kept of it, what cannot be the file."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("compresses the file, although it was asked not to")
        if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise Refused("answers with a web page; does the network want a login?")
        if total is None:
            if self.file.bytes is None and not answer.raw.chunked:
                raise Refused("does not say how long the file is")
        elif self.file.bytes not in (None, total):
            raise Refused(f"has a file of {total:,} bytes and not {self.file.bytes:,}")
        elif total > self.file.max_bytes:
            raise Refused(f"has a file of {total:,} bytes, over {self.file.max_bytes:,}")

    def _copy(self, answer: Response, total: int | None, max_bytes: int) -> None:
        since, mark, stall = time.monotonic(), self.part.size, self.limits.stall_seconds
        while block := self._read(answer):
            size = self.part.size + len(block)
            if size > max_bytes:
                self.part.clear()
                raise Refused(f"sends more than {max_bytes:,} bytes")
            self.part.append(block)
            self.progress(size, total)
            if (now := time.monotonic()) - since > stall:
                if size - mark < self.limits.min_bytes_per_second * stall:
                    raise Unavailable(f"is too slow: {size - mark:,} bytes in {now - since:.0f} s")
                since, mark = now, size
        if self.part.size < (total or self.file.bytes or 0):
            raise Unavailable(f"broke off after {self.part.size:,} bytes")

    def _read(self, answer: Response) -> bytes:
        """Return the bytes that have arrived, of the raw body; none at its end."""
        try:
            return bytes(answer.raw.read1(BLOCK_BYTES, decode_content=False))
        except http_client.FAILURES as error:
            size = self.part.size
            raise http_client.failure(f"broke off after {size:,} bytes", error) from error


def _strong_etag(answer: Response) -> str | None:
    """Return the ETag if it promises the same bytes."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else None
