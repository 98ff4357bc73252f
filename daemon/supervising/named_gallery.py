"""The settings of `photomend up FOLDER`: those of the file, with this folder as the only gallery."""

import dataclasses
import os
from pathlib import Path

from storage import settings_origins
from storage.errors import SettingsError
from storage.settings import Settings, make, settings
from storage.settings_file import PREFIX
from storage.settings_gallery import GallerySettings
from storage.text import printable


def settings_with(
    config: Settings, path: Path | None, output: Path | None, backlog: str | None
) -> Settings:
    """Return the settings with the gallery of the command line as the only one."""
    if path is None:
        if not config.galleries:
            raise SettingsError(
                "there is no gallery; name a folder (photomend up ~/Photos) "
                "or add one to the settings"
            )
        return config
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        raise SettingsError(f"{path} is not a folder")
    name, gallery = next(
        ((n, g) for n, g in config.galleries.items() if g.path.resolve() == folder),
        (printable(folder), GallerySettings(folder)),
    )
    values = {"path": str(folder)} | _changed_values(gallery) | {"backlog": backlog or "all"}
    if output is not None:
        values["output"] = str(output.expanduser().resolve())
    named = {"galleries": {name: values}, "state_dir": config.state_dir}
    checked = make(named, "the command line")
    return dataclasses.replace(config, galleries=checked.galleries)


def _changed_values(gallery: GallerySettings) -> dict[str, object]:
    """Return the settings of a gallery that differ from their defaults."""
    default = GallerySettings(gallery.path)
    return {
        item.name: value
        for item in dataclasses.fields(gallery)
        if (value := getattr(gallery, item.name)) != getattr(default, item.name)
    }


def use(config: Settings, *, by_name: bool) -> None:
    """Make these the settings of this process and of the processes that it starts."""
    os.environ |= settings_origins.to_environment(by_name=by_name)
    os.environ[PREFIX + "CONFIG"] = os.devnull
    os.environ |= config.to_environment()
    settings.cache_clear()
