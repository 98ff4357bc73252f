"""Print values as text and as JSON, and read time spans."""

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

import typer

from storage.text import printable

LABEL = 11
"""Columns of the title of a section."""
GAP = 2
"""Columns between two columns of a table."""
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


class Red(str):
    """A line or cell about trouble: it is red on a terminal, unless NO_COLOR is set."""

    __slots__ = ()


def section(title: str, lines: Iterable[str]) -> None:
    """Print lines, with a title before the first one."""
    for number, line in enumerate(lines):
        label = typer.style(f"{'' if number else title:<{LABEL}}", bold=True)
        text = wrapped(printable(line), LABEL)
        red = isinstance(line, Red) and not os.environ.get("NO_COLOR")
        typer.echo(label + (typer.style(text, fg="red") if red else text))


def wrapped(text: str, indent: int = 0) -> str:
    """Return a text of which no word is broken at the end of a line of this terminal.

    It is printed from the column `indent` on. Elsewhere than on a terminal it stays one line.
    """
    if not sys.stdout.isatty():
        return text
    lines, room = [""], shutil.get_terminal_size().columns - indent
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cells(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return f"\n{'':{indent}}".join(lines)


def cells(text: str) -> int:
    """Return the number of columns that a text takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *,
    drop: Sequence[str] = (), cut: Mapping[str, int] | None = None,
) -> None:  # fmt: skip
    """Print a table; if stdout is not a terminal, all of it, and no cell is wrapped.

    On a terminal that is too narrow, the columns in `drop` are left out, the first one first, and
    the cells of those in `cut` are shortened to so many columns or more: a path keeps its end.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000
    rows = [*rows]
    texts = [["" if cell is None else printable(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(columns, *texts, strict=True)]
    fitted = _fitted(dict(zip(columns, widths, strict=True)), console.width, drop, cut or {})
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name in fitted:
        shown.add_column(name, overflow="fold", no_wrap=bool(drop or cut))
    for row, row_texts in zip(rows, texts, strict=True):
        shown.add_row(
            *(
                Text(
                    cut_to(text, fitted[name], from_end=isinstance(value, PurePath)),
                    "red" if isinstance(value, Red) else "",
                )
                for name, value, text in zip(columns, row, row_texts, strict=True)
                if name in fitted
            )
        )
    console.print(shown)


def _fitted(
    widths: Mapping[str, int], room: int, drop: Sequence[str], cut: Mapping[str, int]
) -> dict[str, int]:
    """Return the width of each column that is shown; the first ones get what room is left."""
    least = {name: min(width, cut.get(name, width)) for name, width in widths.items()}
    for name in drop:
        if sum(least.values()) + GAP * (len(least) - 1) > room:
            del least[name]
    left = room - sum(least.values()) - GAP * (len(least) - 1)
    fitted = {}
    for name, width in least.items():
        fitted[name] = width + max(0, min(widths[name] - width, left))
        left -= fitted[name] - width
    return fitted


def cut_to(text: str, room: int, *, from_end: bool = False) -> str:
    """Return as much of a text as fits into so many columns: its start, or its end."""
    if cells(text) <= room:
        return text
    while text and cells(text) > room - 1:
        text = text[1:] if from_end else text[:-1]
    return f"…{text}" if from_end else f"{text}…"
