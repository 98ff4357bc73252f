"""The settings file: where it is looked for, and what it holds."""

import os
import tomllib
from pathlib import Path
from typing import Any

from storage.errors import SettingsError

PLACES = ("~/.config/photomend/config.toml", "/etc/photomend/config.toml")
"""Where the settings file is looked for; `--config` or PHOTOMEND_CONFIG names another."""
PREFIX = "PHOTOMEND_"


def settings_file() -> Path | None:
    """Return the settings file in use, None if there is none."""
    if named := os.environ.get(PREFIX + "CONFIG"):
        return Path(named)
    places = (Path(os.path.expanduser(place)) for place in PLACES)  # noqa: PTH111 # see read_path
    return next((place for place in places if place.is_file()), None)


def read_file(file: Path) -> dict[str, Any]:
    """Return the values that a settings file holds, as they are written.

    Raises:
        SettingsError: it cannot be read, or is no TOML.

    """
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))  # Windows editors write a BOM
    except OSError as error:
        raise SettingsError(
            f"the settings file {file} cannot be read: {error.strerror or error}"
        ) from error
    except ValueError as error:  # neither UTF-8 nor TOML
        raise SettingsError(f"the settings file {file} is not TOML: {error}") from error
