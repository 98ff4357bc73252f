"""The command `trial`."""

import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.commands.status import Json
from daemon.console import next_commands
from daemon.console.output import as_json, span
from daemon.reports.words import CATEGORIES
from storage.enums import Category
from storage.errors import SettingsError
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import counted, printable

if TYPE_CHECKING:
    from daemon.reports.trial import Estimate, Pair, Tried

OFTEN = " (19 times of 20 between {} and {})"
"""The interval of an estimate."""


def trial(
    gallery: Annotated[
        str | None,
        typer.Argument(metavar="GALLERY", help="A gallery of the settings, or a folder."),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Number of photos to try.")] = 60,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. Default: in the state folder.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draw the same sample again.")] = None,
    json: Json = False,
) -> None:
    """Mend a random sample in memory and estimate all; write nothing but a report.

    Example: photomend trial ~/Photos --sample 60
    """
    report(gallery, sample=sample, out=out, seed=seed, json=json)


def report(
    gallery: str | None, *, sample: int = 60, out: Path | None = None, seed: int | None = None,
    json: bool = False, output: Path | None = None,
) -> None:  # fmt: skip
    """Make a trial, and print what to type then; `output` is the folder for results that was asked for."""
    from daemon.reports import trial as work
    from daemon.reports import trial_page

    name, chosen, below = _place(gallery)
    folder = (out or settings().state_dir / "trial").expanduser().resolve()
    if folder.is_relative_to(os.path.realpath(chosen.path)):
        raise typer.BadParameter("--out must be outside of the photos' folder")
    found = work.candidates(chosen, below)
    seed = random.randrange(1_000_000) if seed is None else seed
    tried, pairs = _tried(name, chosen, work.draw(found, sample, seed))
    estimate = work.estimate(tried, len(found), settings().worker_count)
    place = Path(os.path.realpath(chosen.path), below)
    lines = [*_lines(estimate, seed), *next_commands.lines(place, output)]
    files = trial_page.write(lines, pairs, folder)
    if json:
        as_json({**work.as_record(estimate, tried), "seed": seed, "files": files})
        return
    for line in lines:
        typer.echo(printable(line))
    typer.echo("report: " + ", ".join(printable(file) for file in files))


def _place(named: str | None) -> tuple[str, GallerySettings, str]:
    """Return the name and settings of a gallery, and the folder in it, "" for all of it."""
    known = settings().galleries
    if named is None:
        if len(known) != 1:
            raise SettingsError("name a gallery or a folder: photomend trial ~/Photos")
        named = next(iter(known))
    if named in known:
        return named, known[named], ""
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise SettingsError(f"{printable(named)} is neither a gallery nor a folder")
    for name, each in known.items():
        if folder.is_relative_to(root := Path(os.path.realpath(each.path))):
            return name, each, "/".join(folder.relative_to(root).parts)
    return str(folder), GallerySettings(folder), ""


def _tried(name: str, gallery: GallerySettings, drawn: list) -> "tuple[list[Tried], list[Pair]]":  # type: ignore[type-arg]
    """Try the sample, with progress on a terminal."""
    from daemon.reports.trial import Pair, attempt
    from storage import jail

    tried, pairs = [], []
    with jail.used():
        for each in attempt(gallery, drawn, name=name):
            if isinstance(each, Pair):
                pairs.append(each)
            tried.append(each.tried if isinstance(each, Pair) else each)
            if sys.stderr.isatty():
                end = "\n" if len(tried) == len(drawn) else ""
                progress = f"tried {len(tried)} of {counted(len(drawn), 'photo')}"
                typer.echo(f"\r{progress}{end}", nl=False, err=True)
    return tried, pairs


def _lines(found: "Estimate", seed: int) -> list[str]:
    """Return the estimate in sentences."""
    lines = [f"tried: {found.sampled} of {counted(found.photos, 'photo')} (seed {seed})"]
    if not found.sampled:
        return lines
    lines.append("of them: " + ", ".join(f"{n} {word}" for word, n in found.outcomes.items()))
    lines.append(f"would be mended: {_share(found.mended)}")
    shown = {CATEGORIES[Category(kind)]: each for kind, each in found.categories.items()}
    lines += [f"  {words}: {_share(each)}" for words, each in shown.items()]
    workers = "one worker" if found.workers == 1 else f"{found.workers} workers, each at this pace"
    lines.append(
        f"time: {span(found.seconds / found.workers)}{_time_between(found)} for {workers}, "
        f"{counted(round(found.megapixels), 'megapixel')}"
    )
    ends = found.gigabytes_between
    between = OFTEN.format(*(f"{end:.2g} GB" for end in ends)) if ends else ""
    lines.append(f"space: {found.gigabytes:.2g} GB{between} for the copies")
    return lines


def _time_between(found: "Estimate") -> str:
    if found.seconds_between is None:
        return ""
    return OFTEN.format(*(span(end / found.workers) for end in found.seconds_between))


def _share(of: tuple[float, float, float]) -> str:
    between = OFTEN.format(f"{of[1]:.0%}", f"{of[2]:.0%}") if of[1] < of[2] else ""
    return f"{of[0]:.0%}{between}"
