"""The text and the pictures of a digest: what was mended, refused and failed, and the disks used."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import sqlalchemy as sa

from daemon.reports import words
from daemon.web.words import ADVICE
from storage import preview_files
from storage.beneath import Beneath
from storage.database import digest as rows
from storage.database import status
from storage.database.records import Gallery, Job
from storage.database.status import Summary
from storage.enums import Decision, Status
from storage.errors import PhotomendError
from storage.settings import Settings
from storage.text import counted, printable

DISK_SECONDS = 10.0
"""Time in which a disk has to say how full it is; a share may hang."""
GIGABYTE, MEGABYTE = 1_000_000_000, 1_000_000
NAMED = (Decision.CLEAN, Decision.UNSURE, Decision.LEFT_ALONE)
"""Decisions that are counted in one line, beside mended and refused photos."""


@dataclass(frozen=True)
class Digest:
    """What a digest says."""

    title: str
    text: str
    pictures: tuple[str, ...] = ()


def make(
    engine: sa.Engine, known: Settings, state: Summary, since: float, problems: Sequence[str]
) -> Digest | None:
    """Return the digest of the time since then; None if there is nothing to say."""
    _, ended = status.decided_since(engine, since)
    ended.pop(Status.CANCELLED, None)
    if not ended and not problems:
        return None
    mended = rows.mended(engine, since) if ended.get(Decision.RESTORED) else []
    lines = [*_counts(ended), *_failures(engine, since)]
    lines += [*_disks(known, state.galleries, mended)] if ended else []
    lines += [f"Needs you: {printable(problem)}" for problem in problems]
    return Digest(_title(ended), "\n".join(lines), pictures(known, mended))


def pictures(known: Settings, mended: Sequence[Job]) -> tuple[str, ...]:
    """Return the files of the previews of mended photos, of the newest ones that have one."""
    files = (preview_files.of(known.state_dir, job.id).after for job in mended)
    return tuple(str(file) for file in files if file is not None)[: known.notify.thumbnails]


def _title(ended: dict[str, int]) -> str:
    mended, failed = ended.get(Decision.RESTORED, 0), ended.get(Status.FAILED, 0)
    also = f", {counted(failed, 'photo')} failed" if failed else ""
    return f"photomend: {counted(mended, 'photo')} mended{also}"


def _counts(ended: dict[str, int]) -> list[str]:
    if not ended:
        return ["No photo was looked at."]
    refused = ended.get(Decision.KEPT_ORIGINAL, 0)
    others = [f"{ended[each]:,} {words.DECISIONS[each]}" for each in NAMED if ended.get(each)]
    found = [f"{counted(ended.get(Decision.RESTORED, 0), 'photo')} mended."]
    found += [f"{counted(refused, 'photo')} refused: the result was not better."] if refused else []
    return found + ([f"Others: {', '.join(others)}."] if others else [])


def _failures(engine: sa.Engine, since: float) -> list[str]:
    return [
        f"{counted(count, 'photo')} failed: {ADVICE[kind].title}."
        for kind, count in rows.failed(engine, since).items()
    ]


def _disks(known: Settings, galleries: Sequence[Gallery], mended: Sequence[Job]) -> list[str]:
    """Return how full each disk is, and what the new copies take.

    In threads, which are left behind if a share hangs.
    """
    places: list[tuple[str, Path, list[Path]]] = [
        (
            f"The copies of {printable(gallery.name)}", gallery.output,
            [job.output for job in mended if job.gallery == gallery.name and job.output],
        )
        for gallery in galleries
        if gallery.online and gallery.trouble_at is None
    ]  # fmt: skip
    found: dict[int, str] = {}

    def measure(number: int, name: str, root: Path, outputs: list[Path]) -> None:
        with suppress(OSError):
            found[number] = f"{name}: {_size(root, outputs)}{_free(root)}"

    places.append(("The state folder's disk", known.state_dir, []))
    threads = [
        Thread(target=measure, args=(number, *place), daemon=True)
        for number, place in enumerate(places)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DISK_SECONDS)
    return [found[number] for number in sorted(found)]


def _size(root: Path, outputs: list[Path]) -> str:
    if not outputs:
        return ""
    size = 0
    for output in outputs:
        with suppress(FileNotFoundError, PhotomendError):
            size += Beneath(root, output).status().st_size
    return f"{size / MEGABYTE:,.0f} MB new, "


def _free(folder: Path) -> str:
    disk = shutil.disk_usage(folder)
    total, used, free = disk.total / GIGABYTE, disk.used / GIGABYTE, disk.free / GIGABYTE
    return f"{used:,.0f} of {total:,.0f} GB used, {free:,.0f} GB free."
