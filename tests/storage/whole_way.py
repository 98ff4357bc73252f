"""Put files through all that reads and writes photos, each in a process of its own, and measure it.

`python whole_way.py FOLDER [NUMBER]` prints a line of JSON for each file of the folder; with a number, for
each generator of `hostile_files`, whose files are written to the folder and removed.
"""

import json
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import hostile_files
from conftest import LIMITS, _origin

from storage import eligibility, inspection, photos
from storage.errors import TooLarge, UnreadablePhoto
from tests.storage import copier

STOP_SECONDS = 30


def whole_way(path: Path, output: Path) -> str:
    """Return how a file ends: "written", or the sentence why there is no copy."""
    try:
        with inspection.opened(path, LIMITS) as seen:
            if (reason := eligibility.left_alone(seen)) is not None:
                return reason
            assert min(seen.size) > 0
            assert len(seen.content_hash) == 64
            photo = photos.decoded(seen)
    except (UnreadablePhoto, TooLarge) as error:
        return str(error)
    copier.write(photo, output, _origin(), LIMITS)
    return "written" if photos.untouched(output) else "touched"


def measured(path: Path) -> tuple[float, float, str]:
    """Return the seconds of CPU, the megabytes and the end of one file."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (STOP_SECONDS, STOP_SECONDS))
        with tempfile.TemporaryDirectory() as folder:
            end = whole_way(path, Path(folder) / f"output{path.suffix}")
        os.write(writing, end.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        end = pipe.read()
    _, status, used = os.wait4(child, 0)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, end or f"status {status}"


def main(folder: Path, number: int) -> None:
    """Print the name of each file, and what was measured."""
    for name in hostile_files.KINDS if number else sorted(path.name for path in folder.iterdir()):
        if number:
            (folder / name).write_bytes(hostile_files.KINDS[name](number))
        print(json.dumps([name, *measured(folder / name)]), flush=True)
        if number:
            (folder / name).unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
