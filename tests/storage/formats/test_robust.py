"""All files that broke somebody's image library, through everything that reads photos."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import eligibility, inspection, photos
from storage.errors import TooLarge, UnreadablePhoto
from storage.formats.content_hash import of_file
from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance
from tests.storage import copier

pytestmark = pytest.mark.slow

SECONDS = 20.0
"""For one file; the slowest, a HEIC that is written eight times, takes two."""
MEGABYTES = 1000


def size(path: Path, limits: Limits) -> tuple[int, int]:
    with inspection.opened(path, limits) as seen:
        return seen.size


def left_alone(path: Path, limits: Limits) -> str | None:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen)


def content_hash(path: Path, limits: Limits) -> str:
    with path.open("rb") as file, inspection.opened(path, limits) as seen:
        assert seen.content_hash == of_file(file)
        return seen.content_hash


def test_each_file_ends_with_a_result_or_an_error_of_ours(
    clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    paths = sorted(path for path in (clear / "robust").rglob("*") if path.is_file())
    assert len(paths) > 700
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ended = {path: _whole_way(path, tmp_path, origin, limits) for path in paths}
    decoded = [path for path, end in ended.items() if end == "written"]
    refused = [path for path, end in ended.items() if end == "refused"]
    assert len(decoded) > 450
    assert len(refused) > 100
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 - before
    assert grown < MEGABYTES


def _whole_way(path: Path, folder: Path, origin: Provenance, limits: Limits) -> str:
    """Put one file through all that reads photos, and return how it ended."""
    begun = time.monotonic()
    for look in (size, left_alone):
        try:
            look(path, limits)
        except (UnreadablePhoto, TooLarge) as error:
            assert path.name in str(error)
    assert len(content_hash(path, limits)) == 64
    assert photos.ours(path) is None
    assert not photos.untouched(path)
    try:
        photo = photos.read(path, limits)
    except (UnreadablePhoto, TooLarge) as error:
        assert path.name in str(error)
        return "refused"
    copier.write(photo, folder / "output", origin, limits)
    assert photos.untouched(folder / "output")
    copier.refreshed(path, folder / "output", folder / "fresh", origin, limits)
    assert photos.untouched(folder / "fresh")
    assert time.monotonic() - begun < SECONDS
    return "written"


@pytest.mark.parametrize("name", ("hopper.jpg", "hopper.webp", "hopper_jpg.tif", "icc_profile.png"))
def test_no_cut_and_no_flipped_byte_makes_anything_else_than_our_errors(
    name: str, clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    whole = (clear / "robust/pillow" / name).read_bytes()
    path = tmp_path / name
    step = max(1, len(whole) // 60)
    for at in range(1, len(whole), step):
        flipped = bytearray(whole)
        flipped[at] ^= 0xFF
        for data in (whole[:at], bytes(flipped), whole[:at].ljust(len(whole), b"\0")):
            path.write_bytes(data)
            _whole_way(path, tmp_path, origin, limits)


@pytest.mark.parametrize("name", ("avif/hopper.avif", "avif/hopper.heif"))
def test_nor_in_a_container_of_boxes(
    name: str, clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    whole = (clear / "robust/pillow" / name).read_bytes()
    path = tmp_path / Path(name).name
    for at in range(1, 700, 11):
        flipped = bytearray(whole)
        flipped[at] ^= 0xFF
        for data in (whole[: at * len(whole) // 700], bytes(flipped)):
            path.write_bytes(data)
            _whole_way(path, tmp_path, origin, limits)


def test_a_header_of_65000_squared_takes_no_memory(clear: Path, tmp_path: Path) -> None:
    data = bytearray((clear / "robust/pillow/hopper.jpg").read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (65000).to_bytes(2, "big") * 2
    (tmp_path / "bomb.jpg").write_bytes(data)
    code = f"""
from pathlib import Path
from storage import eligibility, inspection, photos
from storage.errors import TooLarge
from storage.formats.safe_open import Limits
path, limits = Path({str(tmp_path / "bomb.jpg")!r}), Limits(10**9, 2 * 10**8, 0)
with inspection.opened(path, limits) as seen:
    for look in (lambda: seen.size, lambda: photos.decoded(seen)):
        try:
            look()
        except TooLarge:
            continue
        raise SystemExit("it was not refused")
    seen.content_hash, eligibility.left_alone(seen)
status = Path("/proc/self/status").read_text()
megabytes = int(status.split("VmHWM:")[1].split()[0]) // 1024
assert megabytes < {MEGABYTES}, megabytes
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
