"""The code that the documents show: blocks, spans within sentences, and the examples of the helps."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from daemon.commands.app import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<block>.*?)^ *```$|`(?P<span>[^`\n]+)`",
    re.DOTALL | re.MULTILINE,
)
_EXAMPLE = re.compile(r"^(?:Examples?: )?((?:sudo )?photomend .*)$")


@dataclass(frozen=True)
class Code:
    """What a page shows as code; its language is None within a sentence."""

    language: str | None
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without comments, each whole if it goes on in the next one."""
        whole = re.sub(r"\\\n *", "", self.text).splitlines()
        return [line for one in whole if (line := one.partition(" #")[0].strip())]


def codes(page: Path) -> list[Code]:
    """Return all code of a page, in order."""
    return [
        Code(None, found["span"])
        if found["block"] is None
        else Code(found["language"], re.sub(rf"(?m)^{found['indent']}", "", found["block"]))
        for found in _CODE.finditer(page.read_text())
    ]


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page in a language; that of a shell is the empty string."""
    return [code.text for code in codes(page) if code.language == language]


def examples() -> Iterator[str]:
    """Yield each example in the help of a command."""
    yield from _examples(typer.main.get_command(app))


def _examples(command: Any) -> Iterator[str]:
    for paragraph in (command.help or "").split("\n\n"):
        if found := _EXAMPLE.match(" ".join(paragraph.split())):
            yield found[1]
    for below in getattr(command, "commands", {}).values():
        if not below.hidden:
            yield from _examples(below)
