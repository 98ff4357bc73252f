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
from daemon.console.output import as_json, table
from storage.enums import QUEUES, EngineChoice
from storage.errors import PhotomendError
from storage.settings import settings
from storage.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.weights.catalogue import File, Weights
    from storage.weights.hashes import Pin

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Weights, or a queue that needs them, as listed."),
]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def weights() -> None:
    """List, fetch and check the weights of the paper engine.

    Example: photomend weights pull super-resolution --accept
    """


@app.command("list")
def list_(json: Json = False) -> None:
    """List all weights: size, whether they are here, what needs them, and their licence.

    "needed by" follows the settings: a step alone needs them, a step with a condition would.

    With --json also addresses and hashes of each file, to fetch them on another machine.

    Example: photomend weights list
    """
    from storage.weights.catalogue import TABLE
    from storage.weights.folder import look

    folder = settings().weights_root
    states = [(weights, look(weights, folder)) for weights in TABLE]
    if json:
        return as_json([asdict(w) | {"state": state} | _needed(w) for w, state in states])
    if settings().engine is EngineChoice.LITE:
        typer.echo(
            'lite, the engine of your settings, needs none of these; "paper" or "auto" does:'
        )
    table(
        ["name", "size", "state", "needed by", "licence", "purpose"],
        [
            (w.name, _size(w), state, _steps(w), _licence(w), w.purpose) for w, state in states
        ],
    )  # fmt: skip
    return None


def _size(weights: "Weights") -> str:
    exact = all(file.bytes is not None for file in weights.files)
    return f"{'' if exact else 'about '}{weights.likely_bytes / 1e6:,.1f} MB"


def _needed(weights: "Weights") -> dict[str, Any]:
    """Return the steps that need some weights, and else when one would."""
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
        bool, typer.Option("--accept", help="You accept the licences that are shown.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch weights, going on where an earlier pull stopped, and check them.

    A queue's name fetches all that it needs with your settings.

    Examples: photomend weights pull super-resolution --accept

    photomend weights pull RealESRGAN_x4plus
    """
    from storage.weights.folder import ask

    if not names:
        raise typer.BadParameter("name weights, or a queue; `photomend weights list` shows both")
    wanted = _chosen(names)
    ask(wanted, settings().weights_root, accepted=accept)
    told, failed = [], False
    for weights in wanted:
        typer.echo(f"{weights.name}: {weights.purpose}; licence: {weights.licence}", err=json)
        files, error = _pull(weights, accept=accept, quiet=json)
        failed = failed or error is not None
        told.append(_terms(weights) | {"files": files, "error": error})
    if json:
        as_json(told)
    if failed:
        raise typer.Exit(Exit.PROBLEM)


def _chosen(names: Iterable[str]) -> "list[Weights]":
    """Return the weights that are named, and those that a queue needs if it is named itself.

    Raises:
        WeightsUnknown: a name is neither.

    """
    from storage.weights.folder import named
    from tasks.engines import needs

    found: dict[str, Weights] = {}
    for name in names:
        needed = needs(name, settings().paper) if name in QUEUES else [name]
        if not needed:
            typer.echo(f"{name} needs no weights with your settings", err=True)
        for weights in (named(name, QUEUES) for name in needed):
            found[weights.name] = weights
    return list(found.values())


def _terms(weights: "Weights") -> dict[str, Any]:
    return {
        "name": weights.name, "licence": weights.licence, "commercial": weights.commercial,
    }  # fmt: skip


def _pull(weights: "Weights", *, accept: bool, quiet: bool) -> tuple[list[object], str | None]:
    """Fetch the files of some weights; return what came of each, and what was in the way."""
    from storage.weights import hashes
    from storage.weights.folder import pull

    known, files = settings(), list[object]()
    folder = known.weights_root
    try:
        with _progress() as tell:
            for file, origin in pull(
                weights, folder, accepted=accept, mirror=known.weights_mirror,
                least_free_bytes=known.min_free_megabytes * 1_000_000, tell=tell,
            ):  # fmt: skip
                pin = hashes.read(folder).get(file.path)
                files.append(_file(file, pin) | {"fetched_from": origin})
                typer.echo(f"  {_arrival(file, origin)}", err=quiet)
    except PhotomendError as error:
        typer.echo(f"photomend: {printable(error)}", err=True)
        return files, str(error)
    return files, None


def _file(file: "File", pin: "Pin | None") -> dict[str, Any]:
    return {
        "path": str(settings().weights_root / file.path), "published_hash": file.sha256 is not None,
        "sha256": pin.sha256 if pin else file.sha256,
    }  # fmt: skip


def _arrival(file: "File", origin: str | None) -> str:
    if origin is None:
        return f"{file.path} was here and is right"
    where = f"{file.path} was fetched from {urlsplit(origin).hostname}"
    if file.sha256 is not None:
        return f"{where} and has the published hash"
    return f"{where}; no hash of it is published, so this one is recorded and must stay"


@contextmanager
def _progress() -> "Iterator[Callable[[File, int, int | None], None]]":
    """Show on a terminal how far each file has come; elsewhere, nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=(console := Console(stderr=True)), transient=True) as bars:
        bars.disable = not console.is_terminal
        tasks: dict[str, Any] = {}

        def tell(file: "File", done: int, total: int | None) -> None:
            if file.path not in tasks:
                tasks[file.path] = bars.add_task(file.path, total=total)
            bars.update(tasks[file.path], completed=done, total=total)

        yield tell


@app.command()
def verify(
    names: Names = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="You replaced a file on purpose: record it anew.")
    ] = False,
    json: Json = False,
) -> None:
    """Read all files that are here, or those named, and compare their hashes.

    A file whose hash is not published is recorded when it is first seen, and must stay the same.

    Examples: photomend weights verify

    photomend weights verify InvSR
    """
    from storage.weights.catalogue import TABLE
    from storage.weights.folder import State, look
    from storage.weights.folder import verify as check

    if trust and not names:
        raise typer.BadParameter("--trust wants the names of what you replaced")
    folder = settings().weights_root
    here = (weights for weights in TABLE if look(weights, folder) is not State.MISSING)
    wanted = _chosen(names) if names else [*here]
    if not wanted and not names:
        raise Unknown(f"there are no weights in {folder}; `photomend weights list` names them")
    told, failed = [], False
    for weights in wanted:
        files, error = list[object](), None
        try:
            found = check(weights, folder, again=True, trust=trust)
            files = [_file(*pair) for pair in zip(weights.files, found, strict=True)]
        except PhotomendError as problem:
            error, failed = str(problem), True
        told.append(_terms(weights) | {"files": files, "error": error})
        if not json:
            typer.echo(f"{'✗' if error else '✓'} {weights.name}: {printable(error or 'is right')}")
    if json:
        as_json(told)
    if failed:
        raise typer.Exit(Exit.PROBLEM)


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="Weights; the folder of all if none.")] = None,
) -> None:
    """Print the folder for weights, or where some lie if they are right.

    On a machine without a network, put the files there under the names that `list --json` gives.

    Examples: photomend weights path

    photomend weights path RealESRGAN_x4plus
    """
    from storage import weights

    found = settings().weights_root if name is None else weights.path(name)
    typer.echo(os.fsencode(found))
