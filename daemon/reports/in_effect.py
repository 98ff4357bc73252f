"""The settings in effect: name, value and where each comes from; secrets are hidden."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from storage.settings import TABLES, Settings, settings
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import ImmichSettings, PhotoprismSettings
from storage.settings_origins import DEFAULT, origins
from storage.settings_paper import PaperSettings
from storage.settings_web import WebSettings
from storage.urls import HIDDEN, without_passwords

SECRET = ("classifier_key",)
"""Settings whose value is never shown."""


@dataclass(frozen=True)
class Setting:
    """One setting as it is shown."""

    name: str
    value: str
    origin: str
    """The file or variable that sets it; "default" if none does."""


@dataclass(frozen=True)
class Table:
    """The settings of one table of the file."""

    title: str
    settings: list[Setting]


def tables() -> list[Table]:
    """Return all settings in effect, in the order of the file."""
    known, where = settings(), origins()
    top = [item.name for item in fields(Settings) if item.name not in TABLES]
    found = [Table("General", list(_rows(known, top, "", where)))]
    for name, gallery in known.galleries.items():
        inside = f"galleries.{name}."
        rows = list(_rows(gallery, [f.name for f in fields(GallerySettings)], inside, where))
        found.append(Table(f"Gallery {name}", rows))
    for title, value, kind in (
        ("paper", known.paper, PaperSettings),
        ("web", known.web, WebSettings),
        ("immich", known.immich, ImmichSettings),
        ("photoprism", known.photoprism, PhotoprismSettings),
    ):
        names = [item.name for item in fields(kind)]
        found.append(Table(f"[{title}]", list(_rows(value, names, f"{title}.", where))))
    return found


def to_json() -> dict[str, Any]:
    """Return them as one JSON object."""
    return {table.title: {row.name: asdict(row) for row in table.settings} for table in tables()}


def _rows(value: Any, names: list[str], inside: str, where: dict[str, str]) -> Iterator[Setting]:
    for name in names:
        origin = where.get(f"{inside}{name}", DEFAULT)
        if name == "path" and inside.startswith("galleries."):  # it has no default
            origin = where.get(f"{inside}{name}", where.get("galleries", DEFAULT))
        yield Setting(name, _shown(name, getattr(value, name)), origin)


def _shown(name: str, value: Any) -> str:
    if name in SECRET:
        return HIDDEN if value else "not set"
    match value:
        case None | "" | ():
            return "not set"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value))
    return without_passwords(str(value))
