"""Write the man page docs/photomend.1 from the commands and their helps.

`python tests/man_page.py` prints the page; with --write it is written.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from daemon.commands.app import app

PAGE = Path(__file__).parent.parent / "docs/photomend.1"
HEAD = """.TH PHOTOMEND 1 "" "photomend" "User Commands"
.SH NAME
photomend \\- watch photo galleries and mend a copy of each photo that needs it
.SH SYNOPSIS
.B photomend
[\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]
.SH DESCRIPTION
photomend watches folders of photos, finds out what is wrong with each new photo, and writes a
mended copy. It never changes an original.
.SH COMMANDS
"""
TAIL = """.SH EXIT STATUS
{exits}
.SH FILES
.TP
.I ~/.config/photomend/config.toml
Settings; else
.IR /etc/photomend/config.toml .
\\fBphotomend config init\\fR writes one that explains each setting.
.TP
.I ~/.local/state/photomend
The database, logs and locks.
.SH ENVIRONMENT
.TP
.B PHOTOMEND_CONFIG
The settings file.
.TP
.B PHOTOMEND_*
Each setting may be given by a variable of its name in capitals, such as PHOTOMEND_STATE_DIR.
"""


def page() -> str:
    """Return the man page of the commands that are there."""
    command: Any = typer.main.get_command(app)
    commands = "".join(_entries("photomend", command))
    exits = _escaped(str(command.epilog).removeprefix("Exit codes: "))
    return HEAD + commands + TAIL.format(exits=re.sub(r", (\d)", r"; \1", exits))


def _entries(name: str, command: Any) -> Iterator[str]:
    """Return an entry for a command, and for each below it."""
    for part, each in getattr(command, "commands", {}).items():
        if each.hidden:
            continue
        below = getattr(each, "commands", {})
        if not below or each.invoke_without_command:
            yield _entry(f"{name} {part}", each)
        yield from _entries(f"{name} {part}", each)


def _entry(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    words = "".join(f" \\fI{_escaped(one.metavar or one.name.upper())}\\fR" for one in arguments)
    text = [".SS", f"\\fB{_escaped(name)}\\fR{words}{' [options]' * bool(options)}"]
    text += [f"{_escaped(part)}\n.PP" for part in _paragraphs(command.help or "")]
    for one in [*arguments, *options]:
        if help := getattr(one, "help", None):
            text += [".TP", _label(one), _escaped(" ".join(help.split()))]
    return "\n".join(text).removesuffix("\n.PP") + "\n"


def _label(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"\\fI{_escaped(one.metavar or one.name.upper())}\\fR"
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in [*one.opts, *one.secondary_opts])
    return names if one.is_flag else f"{names} \\fI{_escaped(one.metavar or one.name.upper())}\\fR"


def _paragraphs(help: str) -> list[str]:
    return [" ".join(part.split()) for part in help.split("\n\n") if part.strip()]


def _escaped(text: str) -> str:
    """Return a text in which roff reads no request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(page(), end="")
