"""Commands for the weights of the paper engine; `lite` needs none."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from daemon.commands.status import Json
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.output import as_json, table, wrapped
from storage.enums import QUEUES, EngineChoice
from storage.errors import PhotomendError
from storage.settings import settings
from storage.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.weights.catalogue import File, Weights
    from storage.weights.hashes import RecordedHash

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names of weights, or of queues that need them."),
]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def weights() -> None:
    """List, download and check the weights of the paper engine.

    Example: photomend weights pull super-resolution --accept
    """


@app.command("list")
def list_(json: Json = False) -> None:
    """List all weights: size, whether they are here, which steps need them, and their licence.

    A step in "needed by" needs them with your settings, or with the setting that follows it.

    --json adds the addresses and hashes of all files, to download them on another machine.

    Example: photomend weights list
    """
    from storage.weights.catalogue import TABLE
    from storage.weights.folder import state

    folder = settings().weights_root
    states = [(weights, state(weights, folder)) for weights in TABLE]
    if json:
        return as_json([asdict(w) | {"state": found} | _needed(w) for w, found in states])
    if settings().engine is EngineChoice.LITE:
        typer.echo(
            wrapped(
                'lite, the engine of your settings, needs none of these; "paper" or "auto" does:'
            )
        )
    table(
        ["name", "size", "state", "needed by", "licence", "purpose"],
        [
            (w.name, _size(w), found, _steps(w), _licence(w), w.purpose) for w, found in states
        ],
        drop=("purpose", "licence", "needed by"), cut={"needed by": 16, "licence": 20, "purpose": 20},
    )  # fmt: skip
    return None


def _size(weights: "Weights") -> str:
    exact = all(file.bytes is not None for file in weights.files)
    return f"{'' if exact else 'about '}{weights.likely_bytes / 1e6:,.1f} MB"


def _needed(weights: "Weights") -> dict[str, Any]:
    """Return the steps that need some weights, or else the setting with which one would."""
    from tasks import engines

    paper = settings().paper
    steps = engines.needed_by(weights.name, paper)
    condition = "" if steps else engines.needed_if(weights.name, paper)
    return {"needed_by": steps, "needed_if": condition}


def _steps(weights: "Weights") -> str:
    needed = _needed(weights)
    return ", ".join(needed["needed_by"]) or str(needed["needed_if"])


def _licence(weights: "Weights") -> str:
    return weights.licence + ("" if weights.commercial else " (--accept)")


@app.command()
def pull(
    names: Names = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the licences that are shown.")
    ] = False,
    json: Json = False,
) -> None:
    """Download weights, resume what an earlier pull began, and check them.

    The name of a queue stands for all weights that it needs with your settings.

    Examples: photomend weights pull super-resolution --accept

    photomend weights pull RealESRGAN_x4plus
    """
    from storage.weights.folder import require_licences

    if not names:
        raise typer.BadParameter("name weights, or a queue; `photomend weights list` shows both")
    wanted = _chosen(names)
    require_licences(wanted, settings().weights_root, accepted=accept)
    rows, failed = [], False
    for weights in wanted:
        typer.echo(f"{weights.name}: {weights.purpose}; licence: {weights.licence}", err=json)
        files, error = _pull(weights, accept=accept, quiet=json)
        failed = failed or error is not None
        rows.append(_terms(weights) | {"files": files, "error": error})
    if json:
        as_json(rows)
    if failed:
        raise typer.Exit(Exit.PROBLEM)


def _chosen(names: Iterable[str]) -> "list[Weights]":
    """Return the weights with these names, and those that the queues with these names need.

    Raises:
        WeightsUnknown: a name is neither.

    """
    from storage.weights.folder import find
    from tasks.engines import needs

    found: dict[str, Weights] = {}
    for name in names:
        needed = needs(name, settings().paper) if name in QUEUES else [name]
        if not needed:
            typer.echo(f"{name} needs no weights with your settings", err=True)
        for weights in (find(name, QUEUES) for name in needed):
            found[weights.name] = weights
    return list(found.values())


def _terms(weights: "Weights") -> dict[str, Any]:
    return {
        "name": weights.name, "licence": weights.licence, "commercial": weights.commercial,
    }  # fmt: skip


def _pull(weights: "Weights", *, accept: bool, quiet: bool) -> tuple[list[object], str | None]:
    """Download the files of some weights; return a row for each, and the error that ended it."""
    from storage.weights import hashes
    from storage.weights.folder import pull

    known, files = settings(), list[object]()
    folder = known.weights_root
    try:
        with _progress_bars() as progress:
            for file, origin in pull(
                weights, folder, accepted=accept, mirror=known.weights_mirror,
                min_free_bytes=known.min_free_megabytes * 1_000_000, progress=progress,
            ):  # fmt: skip
                recorded = hashes.read(folder).get(file.path)
                files.append(_file(file, recorded) | {"downloaded_from": origin})
                typer.echo(f"  {_result(file, origin)}", err=quiet)
    except PhotomendError as error:
        typer.echo(f"photomend: {printable(error)}", err=True)
        return files, str(error)
    return files, None


def _file(file: "File", recorded: "RecordedHash | None") -> dict[str, Any]:
    return {
        "path": str(settings().weights_root / file.path), "published_hash": file.sha256 is not None,
        "sha256": recorded.sha256 if recorded else file.sha256,
    }  # fmt: skip


def _result(file: "File", origin: str | None) -> str:
    if origin is None:
        return f"{file.path} was here and is right"
    where = f"{file.path} was downloaded from {urlsplit(origin).hostname}"
    if file.sha256 is not None:
        return f"{where} and has the published hash"
    return f"{where}; its hash is not published, so it is recorded and checked from now on"


@contextmanager
def _progress_bars() -> "Iterator[Callable[[File, int, int | None], None]]":
    """Show a bar for each file on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=(console := Console(stderr=True)), transient=True) as bars:
        bars.disable = not console.is_terminal
        tasks: dict[str, Any] = {}

        def show(file: "File", done: int, total: int | None) -> None:
            if file.path not in tasks:
                tasks[file.path] = bars.add_task(file.path, total=total)
            bars.update(tasks[file.path], completed=done, total=total)

        yield show


@app.command()
def verify(
    names: Names = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Record the hashes of files that you replaced on purpose."),
    ] = False,
    json: Json = False,
) -> None:
    """Read the files of all weights that are here, or of the given ones, and check their hashes.

    A hash that is not published is recorded when the file is first seen, and must stay the same.

    Examples: photomend weights verify

    photomend weights verify InvSR
    """
    from storage.weights.catalogue import TABLE
    from storage.weights.folder import State, state
    from storage.weights.folder import verify as check

    if trust and not names:
        raise typer.BadParameter("--trust needs the names of the weights that you replaced")
    folder = settings().weights_root
    present = (weights for weights in TABLE if state(weights, folder) is not State.MISSING)
    wanted = _chosen(names) if names else [*present]
    if not wanted and not names:
        raise Unknown(f"there are no weights in {folder}; `photomend weights list` names them")
    rows, failed = [], False
    for weights in wanted:
        files, error = list[object](), None
        try:
            found = check(weights, folder, reread=True, trust=trust)
            files = [_file(*pair) for pair in zip(weights.files, found, strict=True)]
        except PhotomendError as problem:
            error, failed = str(problem), True
        rows.append(_terms(weights) | {"files": files, "error": error})
        if not json:
            typer.echo(f"{'✗' if error else '✓'} {weights.name}: {printable(error or 'is right')}")
    if json:
        as_json(rows)
    if failed:
        raise typer.Exit(Exit.PROBLEM)


@app.command()
def path(
    name: Annotated[
        str | None, typer.Argument(help="Name of weights; without it, their folder.")
    ] = None,
) -> None:
    """Print the folder of all weights, or the path of some after checking them.

    On a machine without a network, put the files there under the paths that `list --json` shows.

    Examples: photomend weights path

    photomend weights path RealESRGAN_x4plus
    """
    from storage import weights

    found = settings().weights_root if name is None else weights.path(name)
    typer.echo(os.fsencode(found))
