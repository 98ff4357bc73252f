"""A settings file in which each setting is explained, made from the docstrings of the settings.

All its lines are comments, so that it changes nothing until the owner edits it.
"""

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from storage.settings import TABLES, Settings
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import ImmichSettings, Library, PhotoprismSettings
from storage.settings_paper import PaperSettings
from storage.settings_rules import Rule
from storage.settings_web import WebSettings

WIDTH = 100
HEAD = """\
The settings of photomend. Each line that sets one is a comment: remove the # in front of it to change it.
`photomend config show` prints what is in effect."""
SECTIONS: tuple[tuple[str, Any, dict[str, object]], ...] = (
    ("[galleries.family]", GallerySettings, {"path": "/mnt/photos"}),
    ("[[rules]]", Rule, {"match": "2019/"}),
    ("[paper]", PaperSettings, {}),
    ("[web]", WebSettings, {}),
    ("[immich]", ImmichSettings, {}),
    ("[[immich.libraries]]", Library, {"folder": "/photos", "immich_path": "/mnt/media/photos"}),
    ("[photoprism]", PhotoprismSettings, {}),
)
"""The tables, with values for an example where there is no default."""


def text() -> str:
    """Return the content of the file."""
    lines = [*_comment(HEAD), ""]
    lines += _settings(Settings, {"state_dir": "~/.local/state/photomend"}, left_out=TABLES)
    for title, kind, examples in SECTIONS:
        lines += ["", f"# {title}", *_comment(inspect.cleandoc(kind.__doc__ or "")), ""]
        lines += _settings(kind, examples, left_out=("libraries",))  # a table of its own
    return "\n".join(lines) + "\n"


def _settings(
    kind: Any, examples: dict[str, object], left_out: tuple[str, ...] = ()
) -> Iterator[str]:
    explained = docstrings(kind)
    for item in dataclasses.fields(kind):
        if item.name not in left_out:
            unset = " Not set by default." if item.default is None else ""
            yield from _comment(explained.get(item.name, "") + unset)
            yield f"# {item.name} = {toml(examples.get(item.name, item.default))}"


def docstrings(kind: type) -> dict[str, str]:
    """Return the docstrings below the fields of a dataclass, which Python does not keep."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for item, below in zip(body.body, body.body[1:], strict=False):
        match item, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                found[name] = inspect.cleandoc(words)
    return found


def _comment(words: str) -> list[str]:
    return [f"## {line}" for line in textwrap.wrap(" ".join(words.split()), WIDTH - 3)]


def toml(value: object) -> str:
    """Return a value as TOML writes it; one that is not set is "", for the owner to fill."""
    match value:
        case StrEnum() | Path():
            return json.dumps(str(value))
        case tuple():
            return json.dumps([str(each) for each in value])
        case bool() | int() | float() | str():
            return json.dumps(value)
    return '""'
