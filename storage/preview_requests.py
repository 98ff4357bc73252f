"""Requests of the page for the previews of a job: small files in the state folder.

A job has at most one that waits, `7.wanted`. The worker that takes it renames it to `7.drawing`. What
could not be drawn leaves `7.failed` with a sentence. Notifications only wake a worker.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage import atomic_files, private_files

FOLDER = "preview-requests"
"""Folder of the requests in the state folder."""
DRAW_SECONDS = 120.0
"""Time limit for the pictures of one job."""
KEPT_SECONDS = 86400.0
"""Age at which a request, or a sentence, is removed."""
MOST_WAITING = 200
"""Maximum number of requests that wait."""
MOST_LETTERS = 1000
"""Longest sentence that is kept."""
ENDED = "the worker that drew it ended"
WANTED, DRAWING, FAILED = "wanted", "drawing", "failed"


@dataclass(frozen=True)
class Request:
    """A request for the pictures of a job."""

    is_pending: bool
    """Whether a worker draws them, or will."""
    reason: str = ""
    """Why they, or some of them, could not be drawn, as a sentence."""


def of(state_dir: Path, job_id: int) -> Request | None:
    """Return the request of a job; None if there is none."""
    if _file(state_dir, job_id, WANTED).exists():
        return Request(is_pending=True)
    with suppress(FileNotFoundError):
        young = _is_young(_file(state_dir, job_id, DRAWING))
        return Request(is_pending=young, reason="" if young else ENDED)
    with suppress(OSError):
        text = _file(state_dir, job_id, FAILED).read_text(errors="replace")
        return Request(is_pending=False, reason=text)
    return None


def ask(state_dir: Path, job_id: int) -> None:
    """Ask for the pictures of a job, unless that was done and a worker has not drawn them yet."""
    known = of(state_dir, job_id)
    if known is not None and known.is_pending:
        return
    private_files.make_folder(state_dir / FOLDER)
    for suffix in (DRAWING, FAILED):
        _file(state_dir, job_id, suffix).unlink(missing_ok=True)
    with suppress(FileExistsError):
        private_files.open_file(_file(state_dir, job_id, WANTED), "xb").close()


def waiting(state_dir: Path) -> list[int]:
    """Return the jobs whose pictures wait for a worker."""
    names = [file.stem for file in (state_dir / FOLDER).glob(f"*.{WANTED}")]
    return sorted(int(name) for name in names if name.isdecimal())


def take(state_dir: Path, job_id: int) -> bool:
    """Take the request of a job; return False if there is none, or another worker has it."""
    wanted = _file(state_dir, job_id, WANTED)
    try:
        os.utime(wanted)  # the time limit begins now
        wanted.rename(_file(state_dir, job_id, DRAWING))
    except FileNotFoundError:
        return False
    return True


def finish(state_dir: Path, job_id: int) -> None:
    """End a request whose pictures are drawn."""
    _file(state_dir, job_id, DRAWING).unlink(missing_ok=True)


def fail(state_dir: Path, job_id: int, reason: str) -> None:
    """End a request with the reason why not all pictures are drawn."""
    file = _file(state_dir, job_id, FAILED)
    atomic_files.write(
        file, reason[:MOST_LETTERS].encode(errors="replace"), private_files.FILE_MODE
    )
    finish(state_dir, job_id)


def forget_reason(state_dir: Path, job_id: int) -> None:
    """Remove the reason why pictures could not be drawn: something has changed."""
    _file(state_dir, job_id, FAILED).unlink(missing_ok=True)


def is_any_drawn(state_dir: Path) -> bool:
    """Return whether a worker of this machine draws pictures now."""
    return any(map(_is_young, (state_dir / FOLDER).glob(f"*.{DRAWING}")))


def sweep(state_dir: Path) -> None:
    """Remove requests and sentences of yesterday."""
    for file in (state_dir / FOLDER).glob("*"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > KEPT_SECONDS:
                file.unlink()


def _file(state_dir: Path, job_id: int, suffix: str) -> Path:
    return state_dir / FOLDER / f"{job_id}.{suffix}"


def _is_young(file: Path) -> bool:
    return time.time() - file.stat().st_mtime < DRAW_SECONDS
