"""All files that broke somebody's image library, through everything that reads photos."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import photos
from storage.errors import TooLarge, UnreadablePhoto
from storage.photos import Limits, Provenance

SECONDS = 20.0
"""For one file; the slowest, a HEIC that is written eight times, takes two."""
MEGABYTES = 1000


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
    for look in (photos.size, photos.left_alone):
        try:
            look(path, limits)
        except (UnreadablePhoto, TooLarge) as error:
            assert path.name in str(error)
    assert len(photos.content_hash(path)) == 64
    assert photos.ours(path) is None
    assert not photos.untouched(path)
    try:
        photo = photos.read(path, limits)
    except (UnreadablePhoto, TooLarge) as error:
        assert path.name in str(error)
        return "refused"
    photos.write(photo, folder / "output", origin, limits)
    assert photos.untouched(folder / "output")
    photos.refreshed(path, folder / "output", folder / "fresh", origin, limits)
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
from storage import photos
from storage.errors import TooLarge
path, limits = Path({str(tmp_path / "bomb.jpg")!r}), photos.Limits(10**9, 2 * 10**8, 0)
for look in (photos.size, photos.read):
    try:
        look(path, limits)
    except TooLarge:
        continue
    raise SystemExit("it was not refused")
photos.content_hash(path), photos.left_alone(path, limits)
status = Path("/proc/self/status").read_text()
megabytes = int(status.split("VmHWM:")[1].split()[0]) // 1024
assert megabytes < {MEGABYTES}, megabytes
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
