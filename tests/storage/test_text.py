"""Whatever a file is called, people see it on one line and no terminal obeys it."""

import os

from storage.text import printable


def test_odd_bytes_and_control_characters_are_escaped_and_nothing_else():
    assert printable(os.fsdecode(b"caf\xe9 ") + "Gr\u00fcn \u732b") == "caf\\xe9 Gr\u00fcn \u732b"
    assert printable("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert printable("\ud800") == "\\ud800"
    assert printable(None) == "None"
    shown = printable(bytes(range(256)).decode("utf-8", "surrogateescape"))
    assert shown.isprintable() and shown.encode()
    assert printable(shown) == shown
