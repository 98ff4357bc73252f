"""Keep photomend busy for long, as an owner does, and record what it holds: `make soak MINUTES=120`.

Photos arrive, are tagged, renamed and deleted, and settings change twice. Writes out/soak.csv and
out/soak.svg; exits with 1 if a curve grows though the number of photos on their way does not.
"""

import argparse
import csv
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from chaos import Up, add_photo

SAMPLE_SECONDS = 10.0
PHOTO_SECONDS = 3.6
"""Mean pause between two photos: 2,000 in two hours."""
COMMENT = b"\xff\xfe"
LARGEST_GROWTH = 1.25
"""Largest ratio of the last quarter of a curve to its second one."""
CURVES = {
    "memory_mb": "memory (PSS) of all processes, MB",
    "descriptors": "open file descriptors of all processes",
    "processes": "processes",
    "database_mb": "database and its log, MB",
    "database_bytes_per_job": "bytes of the database for each job",
    "logs_mb": "logs, MB",
    "state_files": "files in the state folder",
    "jobs": "jobs",
    "waiting": "jobs on their way",
}
BOUNDED = ("memory_mb", "descriptors", "processes", "database_bytes_per_job", "state_files")
Row = dict[str, float]


class Owner:
    """Changes a gallery as an owner does."""

    def __init__(self, gallery: Path, seed: int) -> None:
        self.gallery, self._rng, self.added = gallery, random.Random(seed), 0

    def act(self) -> None:
        """Add a photo, and sometimes tag, rename or delete another one."""
        add_photo(self.gallery, self.added, self._rng)
        self.added += 1
        acts = (self._tag, self._rename, self._rename_folder, self._delete, bool, bool)
        if photos := sorted(self.gallery.rglob("*.jpg")):
            self._rng.choice(acts)(self._rng.choice(photos))

    def _tag(self, photo: Path) -> None:
        """Add a comment, by another file that takes the name, as programs for tags do."""
        coded, text = photo.read_bytes(), f"tag {self.added}".encode()
        new = photo.with_name(f".{photo.name}.new")
        new.write_bytes(coded[:2] + COMMENT + (len(text) + 2).to_bytes(2, "big") + text + coded[2:])
        new.replace(photo)

    def _rename(self, photo: Path) -> None:
        photo.rename(photo.with_name(f"{photo.stem}-{self.added}.jpg"))

    def _rename_folder(self, photo: Path) -> None:
        photo.parent.rename(photo.parent.with_name(f"{photo.parent.name}-{self.added}"))

    def _delete(self, photo: Path) -> None:
        photo.unlink()


def soak(folder: Path, minutes: float, seed: int) -> list[Row]:
    """Run for so many minutes, and return what was measured every few seconds."""
    owner = Owner(folder / "gallery", seed)
    owner.gallery.mkdir()
    up, rows = Up(folder, None), []
    began = time.monotonic()
    settings = [{"PHOTOMEND_LEAST_CHANGE": "any"}, {"PHOTOMEND_LEAST_CHANGE": "visible"}]
    next_sample, next_photo = began + SAMPLE_SECONDS, began
    while (now := time.monotonic()) < began + minutes * 60:
        if now - began > minutes * 60 * (3 - len(settings)) / 3 and settings:
            up.stop()
            up.environment |= settings.pop(0)
            (owner.gallery / ".photomendignore").write_text(f"*-{len(settings)}.jpg\n")
            up.start()
        if now >= next_photo:
            owner.act()
            next_photo += PHOTO_SECONDS
        if now >= next_sample:
            rows.append({"seconds": round(now - began), **measure(up)})
            next_sample = now + SAMPLE_SECONDS
        time.sleep(0.2)
    up.stop()
    return rows


def measure(up: Up) -> Row:
    """Return the present height of each curve."""
    memory = descriptors = processes = 0
    for process in up.processes():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory += process.memory_full_info().pss
            descriptors += process.num_fds()
            processes += 1
    state = up.folder / "state"
    files = [path for path in state.rglob("*") if path.is_file()]
    database = sum(_size(path) for path in files if path.name.startswith("jobs.db"))
    jobs = up.rows()
    waiting = sum(str(job.status) in ("queued", "running") for job in jobs)
    logs = _size(up.folder / "log") + sum(_size(path) for path in (state / "logs").rglob("*"))
    return {
        "memory_mb": round(memory / 1e6, 1), "descriptors": descriptors, "processes": processes,
        "database_mb": round(database / 1e6, 3),
        "database_bytes_per_job": round(database / max(len(jobs), 1)),
        "logs_mb": round(logs / 1e6, 4), "state_files": len(files), "jobs": len(jobs),
        "waiting": waiting,
    }  # fmt: skip


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def growth(rows: Sequence[Row], curve: str) -> float:
    """Return the median of the last quarter of a curve, times that of its second quarter."""
    quarter = len(rows) // 4
    second = statistics.median(row[curve] for row in rows[quarter : 2 * quarter])
    return statistics.median(row[curve] for row in rows[-quarter:]) / max(second, 1e-9)


def chart(rows: Sequence[Row]) -> str:
    """Draw each curve in a frame of its own, from 0 to its maximum."""
    width, height, gap = 640, 90, 30
    drawn = []
    for number, (curve, title) in enumerate(CURVES.items()):
        top, last = number * (height + gap) + gap, rows[-1]["seconds"] or 1
        highest = max(row[curve] for row in rows) or 1
        points = " ".join(
            f"{row['seconds'] / last * width:.1f},{top + height * (1 - row[curve] / highest):.1f}"
            for row in rows
        )
        drawn.append(
            f'<text x="0" y="{top - 6}">{title}: at most {highest:g}</text>'
            f'<rect y="{top}" width="{width}" height="{height}" fill="#f4f4f4"/>'
            f'<polyline points="{points}" fill="none" stroke="#26547c"/>'
        )
    whole = len(CURVES) * (height + gap) + gap
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" '
        f'font-family="sans-serif" font-size="12">{"".join(drawn)}</svg>\n'
    )


def main() -> None:
    """Run, write the curves, and exit with 1 if one grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = soak(Path(folder), options.minutes, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "soak.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator=os.linesep)
        table.writeheader()
        table.writerows(rows)
    (options.out / "soak.svg").write_text(chart(rows))
    for curve, title in CURVES.items():
        last = statistics.mean(row[curve] for row in rows[-len(rows) // 4 :])
        print(
            f"{title:<44} {last:>12g} in the last quarter, {growth(rows, curve):.2f} x the second"
        )
    grown = [curve for curve in BOUNDED if growth(rows, curve) > LARGEST_GROWTH]
    print(f"grew: {', '.join(grown) or 'nothing'}")
    sys.exit(bool(grown))


if __name__ == "__main__":
    main()
