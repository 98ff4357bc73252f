"""Commands that ask for photos to be mended: `add` and `mend`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.changes import notify, report, report_unchanged
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.targets import Place
from storage.database import galleries, search
from storage.database.records import Job
from storage.database.reviews import REJECTED
from storage.enums import Category, Status, Strength
from storage.text import counted, printable


def add(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Photos or folders in a gallery.")
    ],
    again: Annotated[
        bool, typer.Option("--again", help="Also what was done before, and what you rejected.")
    ] = False,
    json: Json = False,
) -> None:
    """Mend photos before all others, also those that a gallery's backlog setting excludes.

    What was done before stays as it is, unless you add --again.

    Example: photomend add ~/Photos/2019/wedding
    """
    from daemon.console.selection import photos_in

    found = _Found()
    for place, fingerprint, versions in _with_versions(photos_in(paths)):
        found.note(place, fingerprint, versions)
    if not found.new and not found.done:
        raise Unknown("there is no photo to add; `photomend explain PATH` shows why")
    wanted = [*found.new, *(found.done if again else ())]
    table = session.jobs()
    added = [table.ask(p.gallery, p.source.parent, Path(p.source.name), f) for p, f in wanted]
    notify(added)
    report(added, "queued first", json=json)
    if found.done and not again:
        typer.echo(f"photomend: {found.sentence}", err=True)


@dataclass
class _Found:
    """Photos that were named, each with its fingerprint."""

    new: list[tuple[Place, str]] = field(default_factory=list)
    done: list[tuple[Place, str]] = field(default_factory=list)
    rejected: int = 0
    """How many of those that were done the owner rejected."""

    def note(self, place: Place, fingerprint: str, versions: list[Job]) -> None:
        """Note a photo; `versions` are its jobs, newest first."""
        from daemon.watching import arrivals

        job = arrivals.known_as(versions, fingerprint)
        is_done = job is not None and job.status is Status.DONE and not arrivals.is_left(job)
        (self.done if is_done else self.new).append((place, fingerprint))
        self.rejected += job is not None and is_done and job.reason == REJECTED

    @property
    def sentence(self) -> str:
        """How many photos were done before, and what to type to mend them again."""
        number = len(self.done)
        photos = f"{counted(number, 'photo')} {'was' if number == 1 else 'were'} done before"
        rejected = f", {self.rejected} of them rejected by you" if self.rejected else ""
        return f"{photos}{rejected}; add --again to mend {'it' if number == 1 else 'them'} again"


def _with_versions(
    photos: Iterable[tuple[Place, str]],
) -> Iterator[tuple[Place, str, list[Job]]]:
    """Yield photos and fingerprints with the jobs of each photo, newest first."""
    for (gallery, folder), group in groupby(
        photos, key=lambda each: (each[0].gallery, each[0].source.parent)
    ):
        some = list(group)
        names = [place.source.name for place, _ in some]
        versions = galleries.versions(session.engine(), gallery, folder, names)
        for place, fingerprint in some:
            yield place, fingerprint, versions.get(place.source.name, [])


def mend(
    names: Annotated[
        list[str], typer.Argument(metavar="PATH|ID", help="Photos, their results, or jobs.")
    ],
    category: Annotated[
        Category | None, typer.Option("--as", help="What to mend; else the likeliest.")
    ] = None,
    strength: Annotated[
        Strength | None, typer.Option(help="How much of the change the result has.")
    ] = None,
    even_if_worse: Annotated[
        bool,
        typer.Option("--even-if-worse", help="Keep a result that the guard refuses, unpublished."),
    ] = False,
    json: Json = False,
) -> None:
    """Mend photos that were clean, unsure or left alone, or mend them in another way.

    A photo whose copy would lose something stays as it is: one with an HDR gain map or a film, RAW
    files and others; the reason is printed. A result that is worse than the photo is not published;
    with --even-if-worse it waits in the state folder, for your eyes only: `photomend show` names it.

    Examples: photomend mend ~/Photos/2019/cat.jpg

    photomend mend 7 --as reflection --strength gentle
    """
    from daemon import actions

    if category is Category.CLEAN:
        raise typer.BadParameter("a clean photo is not mended; name what is wrong with it")
    jobs = [_job(name) for name in names]
    wanted = [job for job in jobs if not _is_refused(job)]
    asked = actions.mend(wanted, category=category, strength=strength, even_if_worse=even_if_worse)
    report_unchanged([job.id for job in wanted], asked)
    report(asked, "queued first", json=json)
    if len(wanted) < len(jobs):
        raise typer.Exit(Exit.PROBLEM)


def _job(name: str) -> Job:
    """Return the newest job of a photo; record the photo if it has none.

    Raises:
        Unknown: there is no such photo or job, or the photo is ignored.

    """
    path = Path(name)
    if path.is_dir():
        raise typer.BadParameter(
            f"{printable(name)} is a folder; name photos, or use `photomend add` for whole folders"
        )
    place = targets.place(path)
    if place is not None and path.exists():
        return _recorded(path)
    [newest] = search.newest(session.engine(), [targets.jobs(name)[0].id])
    job = search.get(session.engine(), newest)
    assert job is not None
    return job


def _recorded(path: Path) -> Job:
    from daemon.console.selection import photos_in
    from daemon.watching import arrivals

    [(place, fingerprint, versions)] = _with_versions(photos_in([path]))
    known = arrivals.known_as(versions, fingerprint)
    source = place.source
    return known or session.jobs().ask(place.gallery, source.parent, Path(source.name), fingerprint)


def _is_refused(job: Job) -> bool:
    """Return whether a photo must stay as it is, and print why."""
    from daemon.reports.explain import why_never

    if (reason := why_never(job)) is not None:
        typer.echo(f"photomend: {printable(job.source)} stays as it is: {reason}", err=True)
    return reason is not None
