"""The list of photos to evaluate: a CSV file with the columns path, label, truth and group.

A column `camera` is optional.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.enums import Category
from storage.errors import PhotomendError

COLUMNS = ("path", "label", "truth", "group")
CAMERA = "camera"
"""An optional column."""
LABELS = {
    "A": Category.SUPER_RESOLUTION, "B": Category.REFLECTION,
    "C": Category.MOTION_BLUR, "D": Category.CLEAN, "?": None, "": None,
}  # fmt: skip
"""Labels: the paper's letters, and a question mark for a photo without a label."""


class BadManifest(PhotomendError):
    """The manifest or one of its rows is wrong; the message says where and why."""


@dataclass(frozen=True)
class Row:
    """One photo to evaluate."""

    line: int
    path: Path
    label: Category | None
    """None where it is not known."""
    truth: Path | None
    """The ground truth of the photo; None if there is none."""
    group: str
    camera: str = ""
    """The camera that took the photo; empty if the manifest does not name it."""

    @property
    def has_other_truth(self) -> bool:
        """Whether the photo has a ground truth that is not the photo itself."""
        return self.truth is not None and self.truth != self.path


def read(manifest: Path) -> Iterator[Row | BadManifest]:
    """Yield each row, or its error; paths are relative to the manifest.

    Raises:
        BadManifest: it is not there, no text, or lacks a column.

    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadManifest(f"{manifest} cannot be read: {error}") from error
    rows = csv.DictReader(text.splitlines())
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise BadManifest(
            f"{manifest} lacks the column {missing[0]}; its first line must be {','.join(COLUMNS)}"
        )
    for found in rows:
        values = {name: found.get(name) or "" for name in (*COLUMNS, CAMERA)}
        yield _row(manifest, rows.line_num, values)


def _row(manifest: Path, line: int, values: dict[str, str]) -> Row | BadManifest:
    path, label, truth, group = (values[name].strip() for name in COLUMNS)
    if label not in LABELS:
        return BadManifest(f"line {line}: the label {label!r} is none of {', '.join(LABELS)[:-2]}")
    for name in (path, truth):
        if name and not (manifest.parent / name).is_file():
            return BadManifest(f"line {line}: {name} is not there")
    if not path:
        return BadManifest(f"line {line}: it names no photo")
    folder = manifest.parent
    seen = folder / truth if truth else None
    return Row(line, folder / path, LABELS[label], seen, group, values[CAMERA].strip())
