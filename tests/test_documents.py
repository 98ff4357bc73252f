"""What the documents name exists: commands with their options, settings, files and links."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from daemon.commands.app import app
from storage.settings import settings
from tests.documents import PAGES, ROOT, blocks, codes

CALL = re.compile(r"^(?:sudo (?:-u \w+ )?)?(?:\S*/)?photomend ([a-z-]+(?: .*)?)$")
MAKE = re.compile(r"(?:^|\s)make ([a-z-]+)")
LINK = re.compile(r"\]\(([^)#:\s]*)(#[\w-]+)?\)")
FILE = re.compile(r"(?:daemon|docs|storage|systemd|tasks|tests)/[\w./-]*[\w]")
OTHERS = [ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "SECURITY")]
GALLERY = '[galleries.family]\npath = "/photos"\n'
"""What rules of a page may name."""
LANGUAGES = {None, "", "json", "nginx", "text", "toml", "yaml"}
all_pages = pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)


def lines(page: Path) -> list[str]:
    """Return the lines of code of a page, without comments."""
    return [
        part for code in codes(page) for one in code.lines for part in re.split(r" && |; ", one)
    ]


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


@all_pages
def test_each_command_of_a_page_exists(page):
    calls = [match[1] for line in lines(page) if (match := CALL.search(line))]
    wrong = [call for call in calls if unknown(shlex.split(call.replace("…", ""))) is not None]
    assert not wrong


@all_pages
def test_each_target_of_make_that_a_page_names_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {match for line in lines(page) for match in MAKE.findall(line)} <= targets


@all_pages
def test_each_link_and_file_of_a_page_is_there(page):
    text = page.read_text()
    wrong = []
    for file, anchor in LINK.findall(text):
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor[1:] not in anchors(target)):
            wrong.append(file + anchor)
    for code in codes(page):
        if code.language is None and FILE.fullmatch(code.text):
            wrong += [] if (ROOT / code.text).exists() else [code.text]
    assert not wrong


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of a page are reached."""
    heads = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@all_pages
def test_each_block_of_a_page_is_in_a_language_that_is_tested(page):
    assert {code.language for code in codes(page)} <= LANGUAGES


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Load settings from a file and from variables, as photomend does."""
    for name in [name for name in os.environ if name.startswith("PHOTOMEND_")]:
        monkeypatch.delenv(name)

    def load(text: str = "", **variables: str) -> Any:
        file = tmp_path / "config.toml"
        file.write_text(text)
        monkeypatch.setenv("PHOTOMEND_CONFIG", str(file))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        return settings()

    yield load
    settings.cache_clear()


@all_pages
def test_the_settings_of_a_page_are_allowed(page, loaded):
    for block in blocks(page, "toml"):
        known = block if "[galleries." in block else block + GALLERY
        assert loaded(known) != loaded(GALLERY)


def variables(text: str) -> dict[str, str]:
    """Return the variables of photomend in YAML, also those that are commented out."""
    rows = yaml.safe_load(
        re.sub(r"(?m)^( *)# (PHOTOMEND_\w+:|ports:|deploy:|  resources:)", r"\1\2", text)
    )
    known = rows.get("services", {}).get("photomend", rows).get("environment", {})
    return {name: value for name, value in known.items() if name.startswith("PHOTOMEND_")}


@pytest.mark.parametrize("page", ["docs/install.md", "docs/container/compose.yaml"])
def test_the_variables_of_the_composition_are_allowed(page, loaded):
    found = [ROOT / page] if page.endswith("yaml") else blocks(ROOT / page, "yaml")
    for text in [one.read_text() if isinstance(one, Path) else one for one in found]:
        known = variables(text)
        assert known and loaded("", **known).web.address == "0.0.0.0:8484"


@all_pages
def test_the_yaml_and_json_of_a_page_can_be_read(page):
    for block in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(block), dict)
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.skipif(not shutil.which("nginx"), reason="apt install nginx-light")
@all_pages
def test_nginx_accepts_its_blocks(page, tmp_path):
    for block in blocks(page, "nginx"):
        file = tmp_path / "nginx.conf"
        file.write_text(
            f"pid {tmp_path}/pid; events {{}} http {{ server {{ listen 18; {block} }} }}"
        )
        ran = subprocess.run(
            ["nginx", "-t", "-c", file], check=False, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr


def test_the_settings_page_is_that_of_the_code():
    made = subprocess.run(
        [sys.executable, ROOT / "tests/settings_page.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (ROOT / "docs/settings.md").read_text() == made.stdout, "make map writes it anew"
