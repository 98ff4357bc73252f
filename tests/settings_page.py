"""Write docs/settings.md from the docstrings of the settings.

`python tests/settings_page.py` prints the page; with --write it is written.
"""

import dataclasses
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from daemon.reports import settings_template as template
from storage.settings import TABLES, Settings
from storage.settings_values import types_of

PAGE = Path(__file__).parent.parent / "docs/settings.md"
MARK = "\n<!-- Below this line, `make map` writes what the settings' docstrings say. -->\n"


def page() -> str:
    """Return the page with the tables of the settings that are there."""
    introduction, mark, _ = PAGE.read_text().partition(MARK)
    lines = ["", "## In general", "", *_table(Settings, TABLES)]
    for title, kind, _examples in template.SECTIONS:
        lines += ["", f"## In `{title}`", "", *_table(kind)]
    return introduction + mark + "\n".join(lines) + "\n"


def _table(kind: Any, left_out: tuple[str, ...] = ()) -> Iterator[str]:
    explained, types = template.docstrings(kind), types_of(kind)
    yield "| Setting | Default | |"
    yield "|---|---|---|"
    for item in dataclasses.fields(kind):
        if item.name not in left_out:
            words = f"{explained.get(item.name, '')} {_choices(types[item.name])}"
            cell = " ".join(words.split()).replace("|", r"\|")
            yield f"| `{item.name}` | {_default(item.name, item.default)} | {cell} |"


def _default(name: str, value: Any) -> str:
    if name == "state_dir":
        value = "~/.local/state/photomend"
    if isinstance(value, float) and value == int(value):
        value = int(value)
    is_unset = value is None or value is dataclasses.MISSING or value in ("", ())
    return "" if is_unset else f"`{template.toml(value)}`"


def _choices(kind: Any) -> str:
    """Return the words that a setting takes, if they are few."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, StrEnum):
            *words, last = (f"`{word}`" for word in part)
            return f"{', '.join(words)} or {last}." if words else ""
    return ""


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(page(), end="")
