"""Fetch one file from the first of its origins that gives it, whatever the network does meanwhile.

What has arrived lies in a file `.part` beside the target and is gone on with, by the next attempt or
the next process. The file gets its name when it is known to be right.
"""

import hashlib
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from storage import atomic_files
from storage.errors import NoRoom, PhotomendError, WeightsUnreachable, WeightsWrong
from storage.weights.catalogue import File
from storage.weights.hashes import unlike
from storage.weights.partial_file import Part, part_of

BLOCK = 1 << 16
WORTH_BYTES = 1_000_000
"""An attempt that brought so much is not counted as failed."""
_LATER = (408, 425, 429)
"""These answers of a server, and all from 500, may be others later."""

Tell = Callable[[int, int | None], None]
"""Is told how many bytes have arrived, and of how many if that is known."""


@dataclass(frozen=True)
class Patience:
    """How long a bad network is borne with."""

    stall_seconds: float = 30.0
    """A server that is silent for so long is left."""
    slow_bytes_per_second: float = 1000.0
    """So is one that gives less, measured over `stall_seconds`."""
    attempts: int = 4
    """In a row, each of which brings next to nothing."""
    pause_seconds: float = 1.0
    """Before the second attempt; doubles each time."""


class _Refused(PhotomendError):
    """The origin does not have the file; asking it again does not help."""


class _Away(PhotomendError):
    """The origin does not answer, or broke off; asking it again may help."""


def fetch(
    file: File, target: Path, expected: str | None, arrived: Callable[[Path, str, str], None], *,
    patience: Patience, least_free_bytes: int, tell: Tell,
) -> str:  # fmt: skip
    """Fetch a file and return where from.

    `expected` is its SHA-256, None if nobody knows it. `arrived` is called with the whole file,
    its SHA-256 and its origin, before it gets its name.

    Raises:
        WeightsUnreachable: no origin gave all of it.
        WeightsWrong: all origins gave something else, of which nothing is kept.
        WeightsBusy: another process fetches it.
        NoRoom: the disk is full, or would be.

    """
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons, away = [], False
    with Part.held(part_of(target)) as part:
        transfer = _Transfer(file, expected, part, patience, least_free_bytes, tell)
        for url in file.origins:
            try:
                sha256 = transfer.whole(url)
            except (_Refused, _Away) as error:
                reasons.append(f"{urlsplit(url).hostname} {error}")
                away = away or isinstance(error, _Away)
                continue
            part.sync()
            arrived(part.path, sha256, url)
            atomic_files.rename(part.path, target)
            return url
        kept = part.size
    told = f"{target.name} could not be fetched: {'; '.join(reasons)}"
    if away:
        hope = f"{kept:,} bytes are kept, and the next pull goes on from there"
        hand = f"pull again later, or put it into {target.parent} by hand"
        raise WeightsUnreachable(f"{told}; {hope if kept else hand}")
    raise WeightsWrong(told)


@dataclass
class _Transfer:
    """What one file's way through the network needs to know."""

    file: File
    expected: str | None
    part: Part
    patience: Patience
    least_free_bytes: int
    tell: Tell

    def whole(self, url: str) -> str:
        """Complete the part from one origin and return its SHA-256.

        Raises:
            _Refused: it has another file, of which nothing is kept.
            _Away: it gives no more.

        """
        self._complete(url)
        if self.part.pieces > 1:
            with suppress(_Refused):
                return self._right()
            self.part.clear()  # the pieces may have been of two versions
            self._complete(url)
        try:
            return self._right()
        except _Refused:
            self.part.clear()
            raise

    def _complete(self, url: str) -> None:
        best, failed = self.part.size, 0
        while True:
            try:
                return self._receive(url)
            except _Away:
                failed = 0 if self.part.size - best >= WORTH_BYTES else failed + 1
                best = max(best, self.part.size)
                if failed >= self.patience.attempts:
                    raise
                time.sleep(self.patience.pause_seconds * 2 ** max(failed - 1, 0))

    def _right(self) -> str:
        """Return the SHA-256 of what has arrived, if it is what it should be."""
        size = self.part.size
        if self.file.bytes not in (None, size):
            raise _Refused(f"gave {size:,} bytes and not {self.file.bytes:,}")
        if unlikely := unlike(self.part.path, self.file):
            raise _Refused(f"gave something that {unlikely}")
        with self.part.path.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        if self.expected not in (None, sha256):
            raise _Refused(f"gave a file with the SHA-256 {sha256} and not {self.expected}")
        return sha256

    def _receive(self, url: str) -> None:
        """Take one answer, from where the part ends."""
        if self.part.size and self.part.size == self.file.bytes:
            return
        version = self.part.version(url)
        headers = {"User-Agent": "photomend", "Accept-Encoding": "identity"}
        # Without hash and ETag, nothing could tell whether two pieces are of one version.
        if self.part.size and (version or self.expected):
            headers["Range"] = f"bytes={self.part.size}-"
            if version is not None:
                headers["If-Range"] = version
        if answer := self._asked(url, headers):
            with answer:
                self._take(url, answer, version)

    def _asked(self, url: str, headers: dict[str, str]) -> HTTPResponse | None:
        """Return the answer of an origin, None if it has nothing more to give."""
        wanted = request.Request(url, headers=headers)
        try:
            answer: HTTPResponse = _opener().open(wanted, timeout=self.patience.stall_seconds)
        except HTTPError as error:
            with error:
                self._failed(error)
            return None
        except URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                told = error.reason.verify_message
                raise _Refused(f"shows no valid certificate ({told})") from error
            raise _Away(f"cannot be reached ({_words(error.reason)})") from error
        except (OSError, HTTPException) as error:
            raise _Away(f"does not answer ({_words(error)})") from error
        except ValueError as error:
            raise _Refused(f"has an address that cannot be understood ({error})") from error
        return answer

    def _failed(self, error: HTTPError) -> None:
        if error.code == 416 and self.part.size:
            if error.headers.get("Content-Range") == f"bytes */{self.part.size}":
                return  # all of it had arrived
            self.part.clear()
            raise _Away("has a shorter file than what had arrived")
        if error.code < 400:
            raise _Refused(f"answers {error.code} and leads nowhere")
        answer = f"answers {error.code} {error.reason}".strip()
        if error.code in _LATER or error.code >= 500:
            raise _Away(answer)
        raise _Refused(answer)

    def _take(self, url: str, answer: HTTPResponse, version: str | None) -> None:
        etag = _strong(answer.headers)
        total = self._total(answer)
        if answer.status == 206 and version is not None and etag not in (None, version):
            self.part.clear()
            raise _Away("has another version of the file now")
        self._agree(answer, total)
        if answer.status == 200:
            self.part.clear()
        self._make_room(total)
        self.part.begin(url, etag)
        self._copy(answer, total)

    def _total(self, answer: HTTPResponse) -> int | None:
        """Return how long the whole file is by this answer, None if it does not tell."""
        if answer.status == 200:
            return answer.length
        unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
        first, _, total = span.partition("/")
        if answer.status != 206 or unit != "bytes":
            raise _Refused(f"answers {answer.status} {answer.reason}")
        if first.partition("-")[0] != str(self.part.size):
            self.part.clear()
            raise _Away("gave another part of the file than it was asked for")
        return int(total) if total.isascii() and total.isdecimal() else None

    def _agree(self, answer: HTTPResponse, total: int | None) -> None:
        """Refuse, before anything is taken, what cannot be the file."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise _Refused("packs the file, although it was asked not to")
        if answer.headers.get_content_type() == "text/html":
            raise _Refused("answers with a web page; does the network want a login?")
        if total is None:
            if self.file.bytes is None and not answer.chunked:
                raise _Refused("does not tell how long the file is")
        elif self.file.bytes not in (None, total):
            raise _Refused(f"has a file of {total:,} bytes and not {self.file.bytes:,}")
        elif total > self.file.most_bytes:
            raise _Refused(f"has a file of {total:,} bytes, over {self.file.most_bytes:,}")

    def _make_room(self, total: int | None) -> None:
        coming = (self.file.most_bytes if total is None else total) - self.part.size
        free = shutil.disk_usage(self.part.path.parent).free
        if free - coming < self.least_free_bytes:
            raise NoRoom(
                f"{self.part.path.parent} has {free:,} bytes free; {Path(self.file.path).name} "
                f"needs {coming:,} more, and {self.least_free_bytes:,} shall stay free"
            )

    def _copy(self, answer: HTTPResponse, total: int | None) -> None:
        most = self.file.most_bytes if total is None else total
        since, mark = time.monotonic(), self.part.size
        least = self.patience.slow_bytes_per_second * self.patience.stall_seconds
        while block := self._block(answer):
            size = self.part.size + len(block)
            if size > most:
                self.part.clear()
                raise _Refused(f"sends more than {most:,} bytes")
            self.part.write(block)
            self.tell(size, total)
            if (now := time.monotonic()) - since > self.patience.stall_seconds:
                if size - mark < least:
                    raise _Away(f"is too slow: {size - mark:,} bytes in {now - since:.0f} s")
                since, mark = now, size
        if self.part.size < (total or self.file.bytes or 0):
            raise _Away(f"broke off after {self.part.size:,} bytes")

    def _block(self, answer: HTTPResponse) -> bytes:
        try:
            return answer.read1(BLOCK)
        except TimeoutError as error:
            raise _Away(f"was silent for {self.patience.stall_seconds:g} s") from error
        except (OSError, HTTPException) as error:
            raise _Away(f"broke off after {self.part.size:,} bytes ({_words(error)})") from error


class _Redirects(request.HTTPRedirectHandler):
    """Follow an answer to another address, but never from https to what can be tampered with."""

    def redirect_request(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage,
        newurl: str,
    ) -> request.Request | None:  # fmt: skip
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme, req.type) != ("http", "http"):
            raise _Refused(
                f"sends us to {urlsplit(newurl).hostname} by {scheme}, which is not safe"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _opener() -> request.OpenerDirector:
    """Return what speaks http and https, nothing else, through the proxy of the environment."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler,
        request.HTTPDefaultErrorHandler, request.HTTPErrorProcessor, _Redirects,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _strong(headers: HTTPMessage) -> str | None:
    """Return the ETag if it promises the same bytes."""
    etag = headers.get("ETag")
    return etag if etag and etag.startswith('"') else None


def _words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "it was silent"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
