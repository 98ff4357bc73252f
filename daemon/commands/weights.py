"""Commands for the weights of the paper engine; `lite` needs none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from daemon.commands.status import Json
from daemon.exits import Exit, Unknown
from daemon.shown import as_json, table, text
from storage.errors import PhotomendError
from storage.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.origins import File, Weights
    from storage.pins import Pin

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Weights, or a queue that needs them, as listed."),
]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def weights() -> None:
    """List, fetch and check the weights of the paper engine.

    Example: photomend weights pull motion-blur --accept
    """


@app.command("list")
def list_(json: Json = False) -> None:
    """List all weights: size, whether they are here, what needs them, and their licence.

    With --json also addresses and hashes of each file, to fetch them on another machine.

    Example: photomend weights list
    """
    from storage.origins import TABLE
    from storage.weights import look

    folder = settings().weights_root
    states = [(weights, look(weights, folder)) for weights in TABLE]
    if json:
        return as_json([asdict(weights) | {"state": state} for weights, state in states])
    table(
        ["name", "size", "state", "needed by", "licence", "purpose"],
        [
            (w.name, _size(w), state, _needed(w), _licence(w), w.purpose) for w, state in states
        ],
    )  # fmt: skip
    return None


def _size(weights: "Weights") -> str:
    exact = all(file.bytes is not None for file in weights.files)
    return f"{'' if exact else 'about '}{weights.likely_bytes / 1e6:,.1f} MB"


def _needed(weights: "Weights") -> str:
    return ", ".join(weights.needed_by) + (" (optional)" if weights.optional else "")


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

    A queue's name fetches all that it needs, without what is optional.

    Examples: photomend weights pull motion-blur --accept

    photomend weights pull RealESRGAN_x4plus
    """
    from storage.weights import ask, chosen

    if not names:
        raise typer.BadParameter("name weights, or a queue; `photomend weights list` shows both")
    wanted = chosen(names)
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


def _terms(weights: "Weights") -> dict[str, Any]:
    return {
        "name": weights.name, "licence": weights.licence, "commercial": weights.commercial,
    }  # fmt: skip


def _pull(weights: "Weights", *, accept: bool, quiet: bool) -> tuple[list[object], str | None]:
    """Fetch the files of some weights; return what came of each, and what was in the way."""
    from storage import pins
    from storage.weights import pull

    known, files = settings(), list[object]()
    folder = known.weights_root
    try:
        with _progress() as tell:
            for file, origin in pull(
                weights, folder, accepted=accept, mirror=known.weights_mirror,
                least_free_bytes=known.min_free_megabytes * 1_000_000, tell=tell,
            ):  # fmt: skip
                pin = pins.read(folder).get(file.path)
                files.append(_file(file, pin) | {"fetched_from": origin})
                typer.echo(f"  {_arrival(file, origin)}", err=quiet)
    except PhotomendError as error:
        typer.echo(f"photomend: {text(error)}", err=True)
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
    from storage.origins import TABLE
    from storage.weights import State, chosen, look
    from storage.weights import verify as check

    if trust and not names:
        raise typer.BadParameter("--trust wants the names of what you replaced")
    folder = settings().weights_root
    wanted = chosen(names or ()) or [w for w in TABLE if look(w, folder) is not State.MISSING]
    if not wanted:
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
            typer.echo(f"{'✗' if error else '✓'} {weights.name}: {text(error or 'is right')}")
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
