"""Find the jobs, photos and galleries that arguments name, by id or by path."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from daemon.console.exit_codes import Unknown
from daemon.console.session import engine
from storage.database import search, status
from storage.database.records import Job
from storage.database.search import Filter
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import command, printable


class Place(NamedTuple):
    """A path in a gallery."""

    gallery: str
    source: Path
    """Relative to the gallery."""


class Roots(NamedTuple):
    """The folders of a gallery and its results on this machine."""

    gallery: str
    root: Path
    output: Path


class FullPaths(NamedTuple):
    """The photo and the result of a job."""

    source: Path
    output: Path | None


def full_paths(job: Job) -> FullPaths:
    """Return the full paths of a job's photo and result; as recorded if the gallery is not here."""
    for name, root, output in roots():
        if name == job.gallery:
            return FullPaths(root / job.source, job.output and output / job.output)
    return FullPaths(job.source, job.output)


def roots() -> list[Roots]:
    """Return the galleries of this machine: those of the settings and those that `up` recorded."""
    found = {
        row.name: Roots(row.name, row.root, row.output)
        for row in status.galleries_known(engine())
        if row.host == socket.gethostname()
    }
    for name, gallery in settings().galleries.items():
        found[name] = Roots(name, gallery.path, gallery.output_root)
    return list(found.values())


def gallery(name: str) -> GallerySettings:
    """Return the settings of a gallery: the defaults for one that only `up` has recorded.

    Raises:
        Unknown: there is no such gallery on this machine.

    """
    if name in settings().galleries:
        return settings().gallery(name)
    for root in roots():
        if root.gallery == name:
            return GallerySettings(path=root.root, output=root.output)
    raise Unknown(f"the gallery {name} is not on this machine, or not in these settings")


def place(path: Path) -> Place | None:
    """Return the gallery that contains `path`, which may be missing; None if there is none."""
    # First without resolving the last part: a symbolic link means itself, not its target.
    found = Path(os.path.realpath(path.parent), path.name) if path.name else path.resolve()
    for gallery, root, _ in roots():
        real = Path(os.path.realpath(root))
        for candidate in (found, path.resolve()):
            if candidate.is_relative_to(real):
                return Place(gallery, candidate.relative_to(real))
    return None


def jobs(name: str) -> list[Job]:
    """Return a job by id, or the jobs of a photo or result by path, the newest first.

    Raises:
        Unknown: there is none.

    """
    if name.isascii() and name.isdecimal():
        if job := search.get(engine(), int(name)):
            return [job]
        if not os.path.lexists(name):
            raise Unknown(f"there is no job {name}; `photomend jobs` lists all")
    for found in _jobs_at(Path(name)):
        if found:
            return found
    raise Unknown(
        f"there is no job of {printable(name)}; `{command('photomend', 'explain', of=name)}` shows why"
    )


def folder(name: str) -> Filter | None:
    """Return the filter for all jobs below a folder of a gallery or of its results; None if it is none.

    Raises:
        Unknown: the folder is in no gallery, and in no folder of results.

    """
    path = Path(name)
    if not path.is_dir():
        return None
    if here := place(path):
        return Filter(gallery=here.gallery, below=here.source)
    for gallery, _, output in roots():
        for below in _below(path, output):
            return Filter(gallery=gallery, below=below)
    raise Unknown(f"{printable(path)} is in no gallery")


def job_ids(names: list[str]) -> tuple[list[int], list[int]]:
    """Return ids of jobs: the newest job of each photo, and then all jobs below the folders."""
    named: dict[int, None] = {}
    found: dict[int, None] = {}
    for name in names:
        path = Path(name)
        here = place(path) if path.is_dir() else None
        if here is None:
            named[jobs(name)[0].id] = None
        else:
            wanted = Filter(gallery=here.gallery, below=here.source)
            found |= dict.fromkeys(search.ids(engine(), wanted))
    return list(named), [job_id for job_id in found if job_id not in named]


def filters(common: Filter, paths: list[str]) -> list[Filter]:
    """Return a filter for each path: a photo, a folder, or a glob; `common` holds for all."""
    return [_filter(common, path) for path in paths] or [common]


def _filter(common: Filter, name: str) -> Filter:
    path = Path(name)
    if any(sign in name for sign in "*?[") and not os.path.lexists(name):
        for gallery, root, _ in roots():
            for below in _below(path, root):
                return replace(common, gallery=gallery, pattern=str(below))
        return replace(common, pattern=name)
    if here := place(path):
        return replace(common, gallery=here.gallery, below=here.source)
    if path.is_absolute():
        raise Unknown(f"{printable(path)} is in no gallery")
    return replace(common, below=path)


def _jobs_at(path: Path) -> Iterator[list[Job]]:
    """Yield the jobs of a photo, or of a result, at a path, or at one relative to a gallery."""
    for gallery, root, output in roots():
        for below in _below(path, root):
            yield search.versions(engine(), gallery, below)
        for below in _below(path, output):
            yield search.makers(engine(), gallery, below)
        if not path.is_absolute():
            yield search.versions(engine(), gallery, path)


def _below(path: Path, root: Path) -> Iterator[Path]:
    """Yield `path` relative to `root`, as it is written and then with links resolved."""
    absolute = Path.cwd() / path
    if ".." not in absolute.parts and absolute.is_relative_to(root):
        yield absolute.relative_to(root)
    real, real_root = Path(os.path.realpath(absolute)), Path(os.path.realpath(root))
    if real.is_relative_to(real_root):
        yield real.relative_to(real_root)
