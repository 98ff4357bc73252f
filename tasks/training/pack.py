"""Copy a few photos for training elsewhere: `python -m tasks.training.pack --photos FOLDER`.

Files are copied unchanged: first one of each source, then a second one of each, up to a total size.
On the other machine, `python -m tasks.training.fit noise --photos out/packed` fits a net to them.
"""

import argparse
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.training.data.photo_pool import photos_of, source_of

MEBIBYTES = 40
"""The default size of all copies."""


def packed(photos: Iterable[Path], max_bytes: int) -> Iterator[Path]:
    """Yield photos of at most `max_bytes` together, one of each source before a second of any."""
    counts: Counter[str] = Counter()
    ranked = []
    for path in photos:
        ranked.append((counts[source_of(path)], path))
        counts[source_of(path)] += 1
    remaining = max_bytes
    for _, path in sorted(ranked):
        size = path.stat().st_size
        if size <= remaining:
            remaining -= size
            yield path


def main() -> None:
    """Read the command line and copy the photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument("--out", type=Path, default=Path("out/packed"))
    parser.add_argument("--mebibytes", type=int, default=MEBIBYTES)
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise SystemExit(
            f"{arguments.out} exists already; remove it, or name another folder with --out"
        )
    chosen = list(packed(photos_of([arguments.photos]), arguments.mebibytes * 2**20))
    for path in chosen:
        copy = arguments.out / path.relative_to(arguments.photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    print(f"{arguments.out}: {len(chosen)} photos of {len(set(map(source_of, chosen)))} sources")


if __name__ == "__main__":
    main()
