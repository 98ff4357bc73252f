"""The command `service`: systemd starts photomend at each boot, and again when it ends."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.console.exit_codes import Exit
from storage.text import printable

app = typer.Typer(no_args_is_help=True, help="Run photomend as a service of systemd.")

OfUser = Annotated[
    bool, typer.Option("--user", help="Units of your own, without root; less is locked away.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
Replace = Annotated[bool, typer.Option("--replace", help="Also units that were changed by hand.")]


@app.command()
def install(of_user: OfUser = False, dry_run: DryRun = False, replace: Replace = False) -> None:
    """Write the systemd units for where photomend is installed, and print how to start them.

    Examples: sudo photomend service install

    photomend service install --user --dry-run
    """
    from daemon.supervising import service, unit_files
    from daemon.supervising.service import Change

    here, where = service.place(of_user=of_user), service.folder(of_user=of_user)
    texts = unit_files.texts(here)
    if not service.verify(texts, of_user=of_user):
        typer.echo("systemd-analyze is not installed here, so the units are not checked", err=True)
    decided = service.changes(texts, where, replace=replace)
    if dry_run:
        for name, text in texts.items():
            typer.echo(f"# {printable(where / name)}\n{text}")
    else:
        service.write(texts, decided, here, where)
    for name, change in decided.items():
        _show(where / name, change)
    lines = [*service.to_prepare(here), *service.to_start(here)]
    typer.echo("\n".join(["Then run:", *(f"  {line}" for line in lines)]))
    if Change.KEPT in decided.values():
        raise typer.Exit(Exit.PROBLEM)


@app.command()
def uninstall(of_user: OfUser = False, dry_run: DryRun = False, replace: Replace = False) -> None:
    """Stop photomend and remove its systemd units; photos, results, settings and records stay.

    Example: sudo photomend service uninstall
    """
    from daemon.supervising import service

    where = service.folder(of_user=of_user)
    if not dry_run:
        service.stop(of_user=of_user)
    decided = service.remove(where, replace=replace, dry_run=dry_run)
    if not dry_run:
        service.reload(of_user=of_user)
    for name, goes in decided.items():
        kept = "was changed by hand, and stays; --replace removes it"
        _show(where / name, ("would be removed" if dry_run else "removed") if goes else kept)
    if not decided:
        typer.echo(f"there are no units of photomend in {printable(where)}")
    if not all(decided.values()):
        raise typer.Exit(Exit.PROBLEM)


def _show(file: Path, what: str) -> None:
    typer.echo(f"{printable(file)}: {what}")
