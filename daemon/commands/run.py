"""Commands that run photomend: `up`, `watch`, `work` and `migrate`; and `demo` for `make try`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from daemon.console.exit_codes import Exit
from daemon.supervising import listeners
from daemon.supervising.python_command import SUPERVISED
from storage import database, logs
from storage.database import processes
from storage.enums import QUEUES
from storage.errors import PhotomendError, SettingsError
from storage.settings import settings
from storage.text import printable


def up(
    gallery: Annotated[
        Path | None,
        typer.Argument(
            metavar="GALLERY", help="Folder to watch. Default: the galleries of the settings."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for results. Default: GALLERY-mended.")
    ] = None,
    backlog: Annotated[
        str | None,
        typer.Option(
            help='Which existing photos to mend: all, new (none), "since 2024-05-01". Default: with '
            "--once, all; on a terminal, all, but you are asked if they are more than 500; elsewhere "
            "as before, and none of a folder that is new to photomend."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Mend the existing photos, then exit.")
    ] = False,
    no_web: Annotated[bool, typer.Option("--no-web", help="Show no page for browsers.")] = False,
    now: Annotated[
        bool,
        typer.Option("--now", help="Begin outside of the schedule's hours, too, and on battery."),
    ] = False,
) -> None:
    """Watch galleries and mend their photos: run Redis, watcher and workers.

    Examples: photomend up ~/Photos

    photomend up ~/Photos --output ~/Mended --once
    """
    from daemon.console import first_day
    from daemon.supervising.up import run

    if gallery is None and (backlog or output):
        raise typer.BadParameter("--backlog and --output need GALLERY; or set them in the settings")
    if gallery is not None and backlog is None:
        workers = settings().worker_count
        backlog = first_day.backlog_of(gallery, once=once, workers=workers)
        if backlog == first_day.Choice.TRIAL:
            from daemon.commands import trial

            return trial.report(str(gallery), output=output and output.expanduser().resolve())
        if backlog == first_day.Choice.NEW and not first_day.on_terminal():
            listeners.may_leave()
            print(first_day.left_alone(gallery.expanduser().resolve(), output), flush=True)
    raise typer.Exit(run(gallery, output, backlog=backlog, once=once, page=not no_web, now=now))


def demo(
    gallery: Annotated[Path | None, typer.Option(help="Folder with your own photos.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("try"),
) -> None:
    """Mend copies of sample photos, or of your own, and draw before and after.

    Example: photomend demo --gallery ~/Photos
    """
    from daemon.demo import run

    raise typer.Exit(run(gallery, folder))


def watch() -> None:
    """Watch the galleries of the settings, and queue each new photo.

    Example: photomend --config /etc/photomend/config.toml watch
    """
    logs.to_stderr()
    listeners.may_leave()
    with _trouble_noted(processes.WATCHER):
        code = _watch()
    raise typer.Exit(code)


def _watch() -> Exit:
    from daemon import maintenance
    from daemon.watching.watcher import watch as watch_galleries
    from tasks.worker import notify, runtime

    if not settings().galleries:
        raise SettingsError(
            "there is no gallery in the settings; add one, such as [galleries.family]"
        )
    jobs, stop, stop_requested = runtime.jobs(), Event(), Event()

    def stop_on_signal(*_: object) -> None:
        stop_requested.set()
        # In a thread, since the interrupted one may hold the lock of the event.
        Thread(target=stop.set).start()

    listeners.handle_stop(stop_on_signal)
    upkeep = Thread(target=maintenance.run, args=(jobs, stop), name="maintenance", daemon=True)
    upkeep.start()
    try:
        watch_galleries(stop, notify.send)
    finally:
        stop.set()
    upkeep.join(settings().stop_seconds)
    return Exit.OK if stop_requested.is_set() else Exit.PROBLEM


@contextmanager
def _trouble_noted(name: str) -> Iterator[None]:
    """Note in the database why this process ends; `up` notes it for the processes that it starts."""
    try:
        yield
    except Exception as error:
        if SUPERVISED not in os.environ:
            with suppress(PhotomendError, SQLAlchemyError):
                processes.note_trouble(
                    database.open_checked(settings().database), name, str(error) or repr(error)
                )
        raise


def _queues(names: list[str]) -> list[str]:
    for name in names:
        if name not in QUEUES:
            raise typer.BadParameter(f"there is no queue {name!r}; there are {', '.join(QUEUES)}")
    return list(dict.fromkeys(names))


def work(
    queues: Annotated[
        list[str],
        typer.Argument(
            callback=_queues,
            metavar="QUEUE",
            help=", ".join(QUEUES) + ". Default: all.",
            default_factory=lambda: [*QUEUES],
            show_default=False,
        ),
    ],
    gpu: Annotated[
        int | None, typer.Option(min=0, help="Use only the GPU with this number.")
    ] = None,
) -> None:
    """Process the jobs of one queue, of several, or of all.

    Examples: photomend work classify

    photomend work motion-blur --gpu 1
    """
    if gpu is not None:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # numbers as nvidia-smi shows them
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)  # before CUDA is imported
    listeners.may_leave()
    with _trouble_noted(f"worker of {','.join(queues)}"):
        from tasks.worker.process import serve

        code = serve(queues)
    sys.stdout.flush()
    raise typer.Exit(code)


def migrate() -> None:
    """Create the database, or update its tables to this version of photomend.

    Example: photomend migrate
    """
    url = settings().database
    database.migrate(url)
    typer.echo(printable(f"{database.named(database.open_engine(url))} is ready"))
