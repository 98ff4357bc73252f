"""The settings of a gallery, `[galleries.NAME]`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated

from storage.enums import Publish, Strength, WatchMode, WhenDeleted
from storage.settings_values import Check, Positive
from storage.text import printable

NAME_PRESETS = {
    "mirror": "{stem}{ext}",
    "immich-stack": "{stem}~edit{ext}",
    "photoprism": "{stem} (mended){ext}",
    "digikam": "{stem}_v1{ext}",
}
"""Names that library apps group with the original (each app's own documentation)."""
BESIDE = ("immich-stack", "photoprism", "digikam")
"""The presets with which a copy may be written beside its original, inside the gallery."""


def _is_backlog(text: str) -> bool:
    try:
        return text == "new" or _since(text) < float("inf")
    except ValueError:
        return False


def _since(backlog: str) -> float:
    match backlog.split():
        case ["all"]:
            return float("-inf")
        case ["since", day]:
            return datetime.fromisoformat(day).timestamp()
        case _:
            return float("inf")


def _is_name(text: str) -> bool:
    template = NAME_PRESETS.get(text, text)
    rest = template.replace("{stem}", "").replace("{ext}", "")
    return "{stem}" in template and "{ext}" in template and not set(rest) & set("{}/\0")


Backlog = Annotated[str, Check(_is_backlog, '"new", "all" or a day, like "since 2024-05-01"')]
Name = Annotated[
    str,
    Check(
        _is_name, f"a preset ({', '.join(NAME_PRESETS)}) or a file name with {{stem}} and {{ext}}"
    ),
]


@dataclass(frozen=True)
class GallerySettings:
    """One watched folder tree and where its results go."""

    path: Path
    """The watched folder on this machine. Nothing is written into it, except with a `name` that
    puts copies beside their originals."""
    output: Path | None = None
    """Folder for results; `<path>-mended` if not set. It must lie outside of all galleries, except
    with a `name` that puts copies beside their originals: then it is `path`."""
    mount_point: Path | None = None
    """The gallery is offline while this folder is not a mount point."""
    watch: WatchMode = WatchMode.AUTO
    """How new photos are found: by `events` of the file system beside full scans, by full scans only
    (`polling`), or `auto`: events on local disks, polling on network shares."""
    rescan_seconds: Positive = 3600.0
    """Seconds between two full scans of the gallery."""
    backlog: Backlog = "new"
    """Which old photos are mended, that is, those of the first full scan and those that another `path`
    or fewer `ignore` patterns show: `new` (none), `all`, or those changed `since 2024-05-01`. A change
    also holds for what was recorded before."""
    ignore: tuple[str, ...] = ()
    """Patterns of files that are left out, in the syntax of `.gitignore`; `.photomendignore` files
    in the gallery add theirs, and undo none of these. A new pattern also stops what is queued."""
    faces: bool = True
    """Whether a network may change faces in these photos. If true, `[paper]` decides."""
    strength: Strength = Strength.NORMAL
    """How much of the change of a photo its result has: half, all, or a quarter more."""
    publish: Publish = Publish.AT_ONCE
    """When a result appears in the output folder: `at once`, or `after review`, once you have kept it."""
    when_deleted: WhenDeleted = WhenDeleted.KEEP
    """What happens to the copy of a photo that you delete: `keep` it, or move it to the `trash` a day later,
    if a full scan has not found the photo anywhere. It stays with `trash_days = 0`."""
    name: Name = "mirror"
    """How results are named: `mirror` (like the photo), `immich-stack`, `photoprism`, `digikam`, or a
    template with {stem} and {ext}."""

    @property
    def output_root(self) -> Path:
        """The folder for results."""
        if self.output is not None:
            return self.output
        if self.name in BESIDE:
            return self.path
        return self.path.with_name(self.path.name + "-mended")

    @property
    def template(self) -> str:
        """The name of a result, with {stem} and {ext}."""
        return NAME_PRESETS.get(self.name, self.name)

    def to_json(self) -> dict[str, str | float | bool | list[str]]:
        """Return all values as the database keeps them, to notice a change."""
        shown: dict[str, str | float | bool | list[str]] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                shown[item.name] = [printable(part) for part in value]
            else:
                shown[item.name] = value if isinstance(value, float | bool) else printable(value)
        return shown

    def changes(self, before: Mapping[str, object] | None) -> list[str]:
        """Return what differs from `before`, as `to_json` made it; None means that all does."""
        return [
            f"{name} = {json.dumps((before or {}).get(name))}, now {json.dumps(value)}"
            for name, value in self.to_json().items()
            if (before or {}).get(name) != value
        ]

    @property
    def since(self) -> float:
        """Photos of the first full scan are mended if their mtime is not before this second."""
        return _since(self.backlog)
