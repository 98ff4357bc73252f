"""The results of an evaluation as CSV, one row for each photo."""

import csv
from collections.abc import Sequence
from pathlib import Path

from storage.enums import Degradation
from tasks.evaluation.run import Evaluated

Cells = dict[str, str | float | None]


def write(found: Sequence[Evaluated], file: Path) -> None:
    """Write what was found, decided and measured for each photo.

    Figures of the guard are in the last columns, named as in the receipt after `guard_`. A cell is
    empty where nothing was measured.
    """
    rows = [_row(each) for each in found]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as opened:
        written = csv.DictWriter(
            opened, sorted(columns, key=lambda name: name.startswith("guard_"))
        )
        written.writeheader()
        written.writerows(rows)


def _row(each: Evaluated) -> Cells:
    figures = dict(each.figures)
    change = figures.pop("visible_change", None)
    row: Cells = {
        "path": str(each.row.path), "group": each.row.group, "camera": each.camera,
        "label": each.row.label, "category": each.verdict.category, "decision": each.decision,
        "reason": each.reason, "failed": each.failed,
        **{kind.value: _short(each.verdict.severities[kind]) for kind in Degradation},
        **_compared(each), "visible_change": _short(change), "seconds": _short(each.seconds),
    }  # fmt: skip
    return row | {f"guard_{name}": _short(figure) for name, figure in figures.items()}


def _compared(each: Evaluated) -> Cells:
    """Return the likeness to the truth, of the photo, the kept image and the baseline."""
    before, after, peer = each.before, each.after, each.baseline
    return {
        "psnr_before": _short(before.psnr if before else None),
        "psnr_after": _short(after.psnr if after else None),
        "fsim_before": _short(before.fsim if before else None, 5),
        "fsim_after": _short(after.fsim if after else None, 5),
        "gain": _short(each.gain),
        "baseline_psnr": _short(peer.psnr if peer else None),
        "baseline_gain": _short(peer.psnr - before.psnr if peer and before else None),
    }


def _short(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
