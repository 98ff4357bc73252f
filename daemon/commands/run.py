"""Commands that stay: everything at once, the watcher, a worker. And the migration before them."""

import logging
import os
import signal
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import typer

from daemon.console.exit_codes import Exit
from storage import database
from storage.enums import QUEUES
from storage.settings import settings

LOG_FORMAT = "%(levelname)s %(message)s"
"""Without the time: systemd adds it."""


def up(
    gallery: Annotated[
        Path | None, typer.Argument(help="The folder to watch; the settings' galleries if none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for results; beside GALLERY if not set.")
    ] = None,
    backlog: Annotated[
        str | None, typer.Option(help='What is there already: new (none), all, "since 2024-05-01".')
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Mend what is there, then end.")] = False,
) -> None:
    """Do everything on this machine: Redis, database, watcher and workers.

    Examples: photomend up ~/Photos

    photomend up ~/Photos --output ~/Mended --once
    """
    from daemon.supervising.up import run

    raise typer.Exit(run(gallery, output, backlog=backlog, once=once))


def demo(
    gallery: Annotated[Path | None, typer.Option(help="Photos of your own.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder for all that is made.")] = Path("try"),
) -> None:
    """Mend copies of real photos, or photos of your own, and draw before and after: `make try`."""
    from daemon.demo import run

    raise typer.Exit(run(gallery, folder))


def watch() -> None:
    """Watch the galleries, queue each new photo and keep the queues in order.

    Example: photomend --config /etc/photomend/config.toml watch
    """
    from daemon import maintenance
    from daemon.watching.watcher import watch as watch_galleries
    from tasks.worker import notify, runtime

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    if not settings().galleries:
        typer.echo("there is no gallery in the settings; add [galleries.family]", err=True)
        raise typer.Exit(Exit.SETTINGS)
    jobs, stop, asked = runtime.jobs(), Event(), Event()

    def end(*_: object) -> None:
        asked.set()
        # Not here: the signal may come while this very thread holds the lock of the event.
        Thread(target=stop.set).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    beside = Thread(target=maintenance.run, args=(jobs, stop), name="maintenance", daemon=True)
    beside.start()
    try:
        watch_galleries(stop, notify.send)
    finally:
        stop.set()
    beside.join(settings().stop_seconds)
    raise typer.Exit(Exit.OK if asked.is_set() else Exit.PROBLEM)


def _queues(names: list[str]) -> list[str]:
    for name in names:
        if name not in QUEUES:
            raise typer.BadParameter(f"there is no queue {name!r}; there are {', '.join(QUEUES)}")
    return list(dict.fromkeys(names))


def work(
    queues: Annotated[
        list[str], typer.Argument(callback=_queues, metavar="QUEUE", help=", ".join(QUEUES))
    ],
    gpu: Annotated[int | None, typer.Option(min=0, help="Compute on this GPU only.")] = None,
) -> None:
    """Serve one queue, or several on a small machine.

    Examples: photomend work classify

    photomend work motion-blur --gpu 1
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)  # before anything can import CUDA
    from tasks.worker.process import serve

    code = serve(queues, gpu)
    sys.stdout.flush()
    raise typer.Exit(code)


def migrate() -> None:
    """Make the database, or bring it to the schema of this photomend.

    Example: photomend migrate
    """
    url = settings().database
    database.migrate(url)
    typer.echo(f"{database.named(database.open_engine(url))} is ready")
