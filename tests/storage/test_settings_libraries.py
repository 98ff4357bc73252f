"""The settings of apps that show photos."""

import json
from pathlib import Path

import pytest

from daemon.reports import in_effect
from storage.errors import SettingsError
from storage.settings import make, settings
from storage.settings_libraries import ImmichSettings, Library

IMMICH = ImmichSettings(
    libraries=(
        Library(Path("/photos"), "/mnt/media"),
        Library(Path("/photos/family"), "/family/"),
        Library(Path("/out"), "/"),
    )
)


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("/photos/2024/a.jpg", "/mnt/media/2024/a.jpg"),
        ("/photos/family/a b.jpg", "/family/a b.jpg"),
        ("/out/ä.jpg", "/ä.jpg"),
    ],
)
def test_a_file_has_the_path_of_its_innermost_library(file, path):
    assert IMMICH.path_of(Path(file)) == path
    assert IMMICH.file_of(path) == Path(file)


@pytest.mark.parametrize("file", ["/photosx/a.jpg", "/elsewhere/a.jpg", "/photos/\udce4.jpg"])
def test_a_file_in_no_library_or_with_odd_bytes_has_no_path(file):
    assert IMMICH.path_of(Path(file)) is None


@pytest.mark.parametrize("path", ["/mnt/media/../../etc/passwd", "/mnt/media/\0"])
def test_a_path_that_leaves_its_library_names_no_file(path):
    assert IMMICH.file_of(path) is None


@pytest.mark.parametrize(
    "url",
    ["nas:2283", "ftp://nas", "http://", "http://me:geheim@nas", "http://nas:0", "http://nas/?key=geheim",
     "http://nas/ x", "http://n\u00e4s"],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused_without_its_password(url):
    with pytest.raises(SettingsError, match='url must be an address like "http://nas') as refused:
        make({"immich": {"url": url}}, "x")
    assert "geheim" not in str(refused.value)


def test_a_key_in_the_settings_is_refused_and_not_shown():
    with pytest.raises(SettingsError, match="there are api_key_file") as refused:
        make({"immich": {"api_key": "geheim"}}, "x")
    assert "geheim" not in str(refused.value)


def test_an_incomplete_library_is_refused():
    with pytest.raises(SettingsError, match="immich_path is missing"):
        make({"immich": {"libraries": [{"folder": "/photos"}]}}, "x")
    with pytest.raises(SettingsError, match="immich_path must be an absolute path"):
        make({"immich": {"libraries": [{"folder": "/photos", "immich_path": "media"}]}}, "x")


def test_they_reach_the_processes_of_up_and_are_shown(home, monkeypatch):
    table = {
        "url": "https://nas.example",
        "api_key_file": "/etc/immich.key",
        "scan": False,
        "libraries": [{"folder": "/photos", "immich_path": "/mnt/media"}],
    }
    made = make({"immich": table, "photoprism": {"originals": "/photos"}}, "x")
    for name, value in made.to_environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert (settings().immich, settings().photoprism) == (made.immich, made.photoprism)
    shown = in_effect.to_json()
    assert shown["[immich]"]["libraries"]["value"] == "/photos is /mnt/media"
    assert shown["[immich]"]["api_key_file"]["value"] == "/etc/immich.key"
    assert json.loads(made.to_environment()["PHOTOMEND_IMMICH"])["libraries"] == table["libraries"]
