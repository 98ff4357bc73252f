"""Whatever a file is called, people see it on one line and no terminal obeys it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from storage.text import command, counted, printable, shortened

ROOT = Path(__file__).parents[2]


def test_odd_bytes_and_control_characters_are_escaped_and_nothing_else():
    assert printable(os.fsdecode(b"caf\xe9 ") + "Gr\u00fcn \u732b") == "caf\\xe9 Gr\u00fcn \u732b"
    assert printable("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert printable("\ud800") == "\\ud800"
    assert printable(None) == "None"
    shown = printable(bytes(range(256)).decode("utf-8", "surrogateescape"))
    assert shown.isprintable() and shown.encode()
    assert printable(shown) == shown


def test_a_number_agrees_with_its_noun():
    shown = [counted(number, "photo") for number in (0, 1, 2, 1000)]
    assert shown == ["0 photos", "1 photo", "2 photos", "1,000 photos"]


def test_nothing_else_escapes_what_people_read():
    # The command line's stream takes any text; the contact sheet's font has ASCII letters only.
    users = {
        str(path.relative_to(ROOT))
        for folder in ("daemon", "tasks", "storage")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"backslashreplace|(?<![\w.])ascii\(|%a\b|!a\}", path.read_text())
    }
    assert users == {"daemon/cli.py", "daemon/reports/contact_sheet.py"}


@pytest.mark.parametrize("name", ["-x", "--version", "g", "/a b"])
def test_a_name_that_begins_with_a_hyphen_is_no_option_of_the_printed_command(home, name):
    line = command(Path(sys.executable).with_name("photomend"), "forget", of=name)
    ended = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (ended.returncode, "--" in line.split()) == (1 if name != "g" else 2, name[0] == "-")
    assert name in ended.stderr


@pytest.mark.parametrize(
    "name",
    [
        b"plain", b"with space", b"it's", b'"quoted"', b"$HOME `id` !", b"caf\xe9", b"a\nb\x1b[31m",
        "Grün 猫".encode(), b"it's \\ caf\xe9'41", b"*?[a]", b"~", b"",
    ],
)  # fmt: skip
def test_advice_can_be_copied_into_a_shell(name):
    line = command("printf", "%s", os.fsdecode(name))
    assert line.isprintable() and printable(line) == line
    assert subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout == name


def test_names_are_cut_between_letters():
    assert shortened("cat", 3) == "cat"
    assert shortened("Gr\u00fcn", 3) == "Gr"
    assert shortened("Grun\u0308", 5) == "Gru"
    assert shortened("\u732b\u732b", 5) == "\u732b"
    assert shortened("a\U0001f468\u200d\U0001f469", 8) == "a"
    assert shortened(os.fsdecode(b"a\xe9\xe9"), 2) == os.fsdecode(b"a\xe9")
    assert shortened("\u0308\u0308", 2) == ""
    assert shortened("cat", 0) == ""
