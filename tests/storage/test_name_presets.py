"""The names of the presets, by the rules of the apps that group files by name."""

import re
from pathlib import Path

import pytest

from storage import publishing
from storage.settings_gallery import NAME_PRESETS

NAMES = [
    "IMG_1234.jpg",
    "PXL_20250823_193751711.jpg",
    "a b (2).png",
    "Ferien_v2.jpeg",
    "x.y.tif",
    "ä.webp",
]
"""Names of photos, some with what an app reads as a sequence or a version."""


def result_of(name: str, preset: str) -> str:
    source = Path("2024", name)
    first = next(publishing.candidates(source, NAME_PRESETS[preset], source.suffix))
    assert first.parent == source.parent
    return first.name


@pytest.mark.parametrize("name", NAMES)
def test_photoprism_stacks_a_result_by_its_sequential_name(name):
    """Files of one folder are one photo if their names are equal up to "(" (docs, Stacks)."""

    def base(file: str) -> str:
        return Path(file).stem.partition("(")[0].strip()

    assert base(result_of(name, "photoprism")) == base(name)


@pytest.mark.parametrize("name", NAMES)
def test_digikam_reads_a_result_as_a_version(name):
    """A version is named like the photo, then _v and a number (handbook, Editing Options, Versioning)."""
    version = re.fullmatch(r"(.+)_v(\d+)", Path(result_of(name, "digikam")).stem)
    assert (version[1], version[2]) == (Path(name).stem, "1")


@pytest.mark.parametrize("name", NAMES)
def test_immich_stack_groups_a_result_and_puts_it_in_front(name):
    """Names are equal up to the first ~ or ., and one with "edit" is the parent (its README, defaults)."""
    result = result_of(name, "immich-stack")
    assert re.split(r"[~.]", result)[0] == re.split(r"[~.]", name)[0]
    assert "edit" in result.removeprefix(Path(name).stem)


@pytest.mark.parametrize("preset", NAME_PRESETS)
def test_a_result_has_the_suffix_of_its_photo(preset):
    assert result_of("a.jpg", preset).endswith(".jpg")
