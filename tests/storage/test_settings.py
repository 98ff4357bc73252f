"""Settings come from a file and the environment; what cannot be is one clear sentence."""

import json
import os
from pathlib import Path

import pytest

from storage.errors import SettingsError
from storage.settings import SOCKET_PATH_BYTES, Settings, make, settings


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PHOTOMEND_")]:
        monkeypatch.delenv(name)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def write(tmp_path, monkeypatch):
    def config(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text)
        monkeypatch.setenv("PHOTOMEND_CONFIG", str(file))
        return file

    return config


def test_the_environment_overrides_the_file(write, monkeypatch):
    write('settle_seconds = 3\n[galleries.family]\npath = "/mnt/photos"\n')
    monkeypatch.setenv("PHOTOMEND_SETTLE_SECONDS", "7.5")
    assert settings().settle_seconds == 7.5
    assert settings().gallery("family").output_root == Path("/mnt/photos-mended")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("settel_seconds = 3", "settel_seconds is no setting"),
        ("settle_seconds = 'soon'", "settle_seconds = 'soon' cannot be"),
        ("settle_seconds = -1", "not below 0"),
        ("settle_seconds = nan", "not below 0"),
        ("settle_seconds = [", "cannot be read"),
        ("galleries = 3", "must be tables"),
        ("[galleries.a]\noutput = '/o'", "needs its folder"),
        ("[galleries.a]\npath = 'photos'", "absolute"),
        ("[galleries.a]\npath = '/p'\noutput = '/p/o'", "lies inside"),
        ("[galleries.a]\npath = '/p'\n[galleries.b]\npath = '/o'\noutput = '/p/o'", "lies inside"),
        ("[galleries.a]\npath = '/p'\nbacklog = 'some'", "backlog is"),
        ("[galleries.a]\npath = '/p'\nbacklog = 'since yesterday'", "backlog is"),
        ("[galleries.a]\npath = '/p'\nwatch = 'polling'", "watch is"),
        ("[galleries.a]\npath = '/p'\nname = 'mended'", "name is a preset"),
        ("[galleries.a]\npath = '/p'\nignore = '*.bak'", "list of texts"),
    ],
)
def test_what_cannot_be_is_one_sentence_that_names_file_and_key(write, text, says):
    file = write(text)
    with pytest.raises(SettingsError, match=says) as raised:
        settings()
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value).strip() or "cannot be read" in says


@pytest.mark.parametrize(
    "text",
    [
        "redis_url = 'redis://:se/sam@nas:6379/0'",
        "redis_url = 'redis://:se#sam@nas'",
        "redis_url = 'redis://:12/sesam@nas'",
        "redis_url = 'redis://nas/0?password=sesam'",
        "redis_url = 'redis+socket://:sesam@/run/redis.sock'",
        "redis_url = 'redis+socket:///run/redis.sock?password=sesam'",
        "redis_url = 'http://:sesam@nas'",
        "redis_url = 'sesam@nas'",
        "redis_url = ['redis://:sesam@nas']",
        "database_url = ['postgresql://me:sesam@nas/db']",
        "weights_mirror = 'ftp://me:sesam@nas'",
        "weights_mirror = 'https://me:sesam@nas'",
        "[paper]\nclassifier_key = ['sesam']",
    ],
)
def test_a_setting_that_cannot_be_does_not_show_its_password(write, text):
    write(text)
    with pytest.raises(SettingsError, match=r"redis_url|database_url|mirror|key") as raised:
        settings()
    assert "sam" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://nas", "redis://:p%40w@nas:6379/0", "rediss://me:pw@[::1]:6379/1?socket_timeout=3",
        "redis+socket:///run/a@b/redis.sock?virtual_host=1", "redis://",
    ],
)  # fmt: skip
def test_a_redis_may_be_named_in_these_ways(write, url):
    write(f"redis_url = '{url}'")
    assert settings().broker == url


def test_an_unknown_variable_is_refused(monkeypatch):
    monkeypatch.setenv("PHOTOMEND_SETTEL", "1")
    with pytest.raises(SettingsError, match="PHOTOMEND_SETTEL"):
        settings()


def test_settings_reach_other_processes_unchanged(write, monkeypatch):
    write(
        'max_attempts = 5\n[galleries.family]\npath = "/mnt/photos"\nname = "immich-stack"\n'
        'ignore = ["*.bak"]\nbacklog = "since 2024-05-01"\n'
    )
    before = settings()
    monkeypatch.delenv("PHOTOMEND_CONFIG")
    for name, value in before.to_environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert settings() == before


def test_the_copies_may_lie_beside_their_originals_only_if_asked_for_by_name():
    gallery = {"path": "/p", "output": "/p"}
    with pytest.raises(SettingsError):
        make({"galleries": {"a": gallery}}, "here")
    beside = make({"galleries": {"a": gallery | {"name": "digikam"}}}, "here")
    assert beside.gallery("a").output_root == Path("/p")


def test_a_socket_of_redis_fits_whatever_the_state_folder():
    deep = Settings(state_dir=Path("/tmp") / ("x" * 200))
    assert len(os.fsencode(deep.redis_socket)) <= SOCKET_PATH_BYTES
    assert json.loads(deep.to_environment()["PHOTOMEND_GALLERIES"]) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("engine = 'best'", "engine is lite, paper or auto"),
        ("paper = 3", "must be a table"),
        ("[paper]\nsteps = ['colour']", "'colour' is none of them"),
        ("[paper]\nenlarge = 3", "enlarge is one of 1, 2, 4"),
        ("[paper]\nfaces = 'sometimes'", "faces is one of on, off"),
        ("[paper]\nfaithful = 'yes'", "must be true or false"),
        ("[paper]\nfidelity = 1.5", "fidelity is 0 to 1"),
        ("[paper]\nreflection_detector = 'yolo.pt'", "absolute"),
        ("[paper]\nfaithfull = true", "faithfull is no setting"),
    ],
)
def test_what_the_paper_engine_cannot_do_is_one_sentence(write, text, says):
    file = write(text)
    with pytest.raises(SettingsError, match=says) as told:
        settings()
    assert str(file) in str(told.value)


def test_the_paper_engines_settings_reach_other_processes(write, monkeypatch, tmp_path):
    write("engine = 'auto'\n[paper]\nfaithful = true\nsteps = ['classify']\nfaces = 'on'\n")
    known = settings()
    for name, value in known.to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHOTOMEND_CONFIG", os.devnull)
    settings.cache_clear()
    assert settings() == known
    assert known.paper.steps == ("classify",)
