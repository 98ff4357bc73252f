"""Print values as text and as JSON, and read time spans."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer

from storage.text import printable

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def as_json(value: object) -> None:
    """Print a value as JSON in ASCII; undecodable bytes are escaped as by `os.fsdecode`."""
    typer.echo(json.dumps(value, indent=2, default=str))


def span(seconds: float) -> str:
    """Return a time span in words: "12 s", "3 min", "5 h", "2 days"."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s" if seconds >= 10 else f"{max(seconds, 0):.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86400:.0f} days"


def when(second: float | None) -> str:
    """Return a Unix time as local date and time, "" for None."""
    return "" if second is None else datetime.fromtimestamp(second).strftime("%Y-%m-%d %H:%M:%S")


def seconds(text: str) -> float:
    """Read a time span: 90s, 15m, 2h, 1h30m, 7d, 2w.

    Raises:
        typer.BadParameter: the text is not a time span.

    """
    found = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise typer.BadParameter(f"{text!r} is not a time span; write 90s, 15m, 2h, 1h30m or 7d")
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def section(title: str, lines: Iterable[str]) -> None:
    """Print lines, with a title before the first one."""
    for number, line in enumerate(lines):
        label = "" if number else title
        typer.echo(typer.style(f"{label:<11}", bold=True) + printable(line))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; if stdout is not a terminal, no cell is wrapped."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000
    rich_table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        rich_table.add_column(column, overflow="fold")
    for row in rows:
        rich_table.add_row(*("" if cell is None else printable(cell) for cell in row))
    console.print(rich_table)
