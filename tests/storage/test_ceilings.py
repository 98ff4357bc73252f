"""Small files that ask for much time or memory end soon, with a sentence or a copy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from storage.formats.containers import jpeg

SECONDS, MEGABYTES = 10.0, 1000.0
HOSTILE = Path(__file__).parent / "hostile"
SENTENCES = {
    "exif-extents.heic": "item 2 has 20000000000 bytes, more than the file",
    "grid-28x28-clap.heic": "64 x 64 pixels, made from 822 megapixels, more than max_megapixels",
    "iloc-zero.heic": "it has too many parts",
    "namespaces.png": "the XMP packet has too many namespaces",
    "properties.jpg": "written",
}
COPIED = {
    "comments.jpg", "resources.jpg", "fill-bytes.jpg", "extension-pieces.jpg", "properties.jpg",
    "exif-everywhere.jpg", "exif-chain.png", "text-bombs.png", "strips-at-one-place.tif",
    "values-at-one-place.tif", "chunks.webp", "xmp-elements.png", "xmp-items.webp",
}  # fmt: skip
"""Kinds whose photo is all right, and is copied."""


def measured(*arguments: str | Path) -> dict[str, tuple[float, float, str]]:
    command = [sys.executable, Path(__file__).parent / "whole_way.py", *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name: (cpu, mb, end) for name, cpu, mb, end in map(json.loads, ran.stdout.splitlines())}


def check(found: dict[str, tuple[float, float, str]]) -> None:
    beyond = {
        name: each
        for name, each in found.items()
        if each[0] > SECONDS or each[1] > MEGABYTES or each[2].startswith("status")
    }
    assert not beyond


def test_files_that_cost_much_end_soon_with_the_right_sentence() -> None:
    found = measured(HOSTILE)

    check(found)
    assert found.keys() == SENTENCES.keys()
    for name, sentence in SENTENCES.items():
        assert sentence in found[name][2]


@pytest.mark.slow
def test_files_of_their_kinds_end_soon(tmp_path: Path) -> None:
    found = measured(tmp_path, "6000")

    check(found)
    assert len(found) > 100
    assert {name for name in COPIED if found[name][2] != "written"} == set()
    assert "recursion" not in str(found)


def test_a_jpeg_that_grows_is_read_to_the_size_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "grows.jpg"
    path.write_bytes(b"\xff\xd8" + b"\xff\xfe\0\3a" + b"\xff\xda\0\2" + bytes(50))
    size = path.stat().st_size
    with path.open("rb") as file, path.open("ab") as guest:
        found = jpeg.segments(file)
        assert next(found).marker == jpeg.COM
        guest.write(bytes(100_000) + b"\xff\xd9")
        guest.flush()
        assert [segment.stop for segment in found] == [size]
