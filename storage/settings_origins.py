"""Where each setting in effect comes from: a file, an environment variable, the command line or nowhere."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from storage import settings_file
from storage.settings import TABLES, Settings
from storage.settings_file import PREFIX

VARIABLE = "_PHOTOMEND_ORIGINS"
"""Environment variable by which `photomend up`, which passes all settings on, also passes these on."""
DEFAULT = "default"
COMMAND_LINE = "command line"


def origins() -> dict[str, str]:
    """Return where each setting that is not a default comes from; those of a table as "web.address"."""
    if passed := os.environ.get(VARIABLE):
        return dict(json.loads(passed))
    found: dict[str, str] = {}
    file = settings_file.settings_file()
    if file is not None:
        found |= _named(settings_file.read_file(file), str(file))
    for name in (item.name for item in fields(Settings)):
        variable = PREFIX + name.upper()
        if variable in os.environ:
            value: Any = None
            with suppress(ValueError):
                value = json.loads(os.environ[variable]) if name in TABLES else None
            found |= _named({name: value}, variable)
    return found


def to_environment(*, by_name: bool) -> dict[str, str]:
    """Return the variable that passes them on; `by_name` if the command line named the gallery."""
    named = {"galleries": COMMAND_LINE} if by_name else {}
    return {VARIABLE: json.dumps(origins() | named)}


def _named(values: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the names of the values that a file or a variable holds, each with where it is."""
    found = {}
    for name, value in values.items():
        found[name] = where
        if name in TABLES and isinstance(value, Mapping):
            found |= {f"{name}.{key}": where for key in value}
            for key, inner in value.items():
                if isinstance(inner, Mapping):
                    found |= {f"{name}.{key}.{item}": where for item in inner}
    return found
