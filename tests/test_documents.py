"""What the documents name exists: commands with their options, settings, files, and links of the site."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from daemon.commands.app import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SPANS = re.compile(r"```[a-z]*\n(?P<block>.*?)```|`(?P<span>[^`\n]+)`", re.DOTALL)
CALL = re.compile(r"^(?:sudo (?:-u \w+ )?)?(?:\S*/)?photomend ([a-z-]+(?: .*)?)$")
MAKE = re.compile(r"(?:^|\s)make ([a-z-]+)")


def lines(page: Path) -> list[str]:
    """Return the lines of code of a page, without comments."""
    found = []
    for match in SPANS.finditer(page.read_text()):
        for line in (match["block"] or match["span"]).replace("\\\n", " ").splitlines():
            found += re.split(r" && |; ", line.partition(" #")[0].strip())
    return found


def unknown(words: list[str]) -> str | None:
    """Return what of a command line of photomend there is not."""
    command = typer.main.get_command(app)
    options = {"--help", "-h"}
    for word in words:
        options |= {name for each in command.params for name in each.opts + each.secondary_opts}
        if hasattr(command, "commands") and not word.startswith("-"):
            if word not in command.commands:
                return word
            command = command.commands[word]
        elif word.startswith("-") and word.partition("=")[0] not in options:
            return word
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_a_page_exists(page):
    calls = [match[1] for line in lines(page) if (match := CALL.search(line))]
    wrong = [call for call in calls if unknown(shlex.split(call.replace("…", ""))) is not None]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_target_of_make_that_a_page_names_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {match for line in lines(page) for match in MAKE.findall(line)} <= targets


def test_the_settings_page_is_that_of_the_code():
    made = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "tests/settings_page.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (ROOT / "docs/settings.md").read_text() == made.stdout, "make map writes it anew"
