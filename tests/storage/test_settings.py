"""Settings come from a file and the environment; what is not allowed is one clear sentence."""

import json
import os
from pathlib import Path
from urllib.parse import unquote

import pytest

from storage import database
from storage.enums import EngineChoice, FaceNet, WatchMode
from storage.errors import SettingsError
from storage.settings import SOCKET_PATH_BYTES, Settings, make, settings

GALLERY = "[galleries.a]\npath = '/p'\n"


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
        file.write_text(text, "utf-8")
        monkeypatch.setenv("PHOTOMEND_CONFIG", str(file))
        return file

    return config


def refused() -> str:
    with pytest.raises(SettingsError) as raised:
        settings()
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_the_environment_overrides_the_file(write, monkeypatch):
    write('settle_seconds = 3\n[galleries.family]\npath = "/mnt/photos"\n')
    monkeypatch.setenv("PHOTOMEND_SETTLE_SECONDS", "7.5")
    monkeypatch.setenv("PHOTOMEND_WORKERS", "2")
    monkeypatch.setenv("PHOTOMEND_ENGINE", "auto")
    assert settings().settle_seconds == 7.5
    assert repr(settings().workers) == "2"
    assert settings().engine is EngineChoice.AUTO
    assert settings().gallery("family").output_root == Path("/mnt/photos-mended")


NUMBER = "a number from 0 to 1000000000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backlog = 'all'", "backlog is no setting; it belongs in [galleries.NAME]"),
        ("hours = '1:00-2:00'", "hours is no setting; it belongs in [schedule]"),
        ("match = '*.png'", "match is no setting; it belongs in [[rules]]"),
        ("settel_seconds = 3", "settel_seconds is no setting; did you mean settle_seconds?"),
        ("settle_seconds = 'soon'", f'settle_seconds must be {NUMBER}, not "soon"'),
        ("settle_seconds = '3'", f'settle_seconds must be {NUMBER}, not "3"'),
        ("settle_seconds = -1", f"settle_seconds must be {NUMBER}, not -1"),
        ("settle_seconds = nan", f"settle_seconds must be {NUMBER}, not NaN"),
        ("settle_seconds = inf", f"settle_seconds must be {NUMBER}, not Infinity"),
        ("settle_seconds = true", f"settle_seconds must be {NUMBER}, not true"),
        ("settle_seconds = 1e300", f"settle_seconds must be {NUMBER}, not 1e+300"),
        ("settle_seconds = 07:30:00", f'settle_seconds must be {NUMBER}, not "07:30:00"'),
        ("settle_seconds = 0", "settle_seconds must be more than 0, not 0"),
        ("heartbeat_seconds = 0", "heartbeat_seconds must be more than 0, not 0"),
        ("max_attempts = 0", "max_attempts must be more than 0, not 0"),
        ("max_pending_notifications = 0", "max_pending_notifications must be more than 0, not 0"),
        ("deadline_seconds = 0", "deadline_seconds must be more than 0, not 0"),
        (
            "worker_timeout_seconds = 9",
            "worker_timeout_seconds = 9 must be at least twice heartbeat_seconds = 5",
        ),
        ("workers = 1.5", f"workers must be a whole {NUMBER[2:]}, not 1.5"),
        ("workers = true", f"workers must be a whole {NUMBER[2:]}, not true"),
        ("workers = inf", f"workers must be a whole {NUMBER[2:]}, not Infinity"),
        ("workers = nan", f"workers must be a whole {NUMBER[2:]}, not NaN"),
        ("workers = -1", f"workers must be a whole {NUMBER[2:]}, not -1"),
        ("state_dir = ''", 'state_dir must be an absolute path, like "/mnt/photos", not ""'),
        ("weights_dir = 3", 'weights_dir must be an absolute path, like "/mnt/photos", not 3'),
        (r'state_dir = "/a\u0000b"', r'absolute path, like "/mnt/photos", not "/a\u0000b"'),
        ("state_dir = '~nobody-here/b'", 'absolute path, like "/mnt/photos", not "~nobody-here/b"'),
        ("redis_url = 3", "redis_url must be a text in quotes"),
        ("engine = 'best'", 'engine must be "lite", "paper" or "auto", not "best"'),
        ("engine = 3", 'engine must be "lite", "paper" or "auto", not 3'),
        ("galleries = 3", "galleries must be tables, like [galleries.family], not 3"),
        ("galleries.a = 3", "[galleries.a]: this must be a table, not 3"),
        ("paper = 3", "[paper]: this must be a table, not 3"),
    ],
)
def test_what_is_not_allowed_is_one_sentence_that_names_file_and_key(write, text, message):
    file = write(text)
    found = refused()
    assert found.startswith(f"{file}")
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output = '/o'", "path is missing; add it"),
        ("path = 'photos'", 'path must be an absolute path, like "/mnt/photos", not "photos"'),
        (
            "backlog = 'some'",
            'must be "new", "all" or a day, like "since 2024-05-01", not \'some\'',
        ),
        ("backlog = 'since yesterday'", "not 'since yesterday'"),
        ("backlog = 'since 0001-01-01'", "not 'since 0001-01-01'"),
        ("watch = 'sometimes'", 'watch must be "auto", "events" or "polling", not "sometimes"'),
        ("name = 'mended'", "name must be a preset (mirror, immich-stack, photoprism, digikam) or"),
        ("name = 'a/{stem}{ext}'", "not 'a/{stem}{ext}'"),
        ("name = '{stem}{ext}}'", "not '{stem}{ext}}'"),
        ("name = '{stem}{ext}{id}'", "not '{stem}{ext}{id}'"),
        ("ignore = '*.bak'", 'ignore must be a list of texts, like ["*.bak"], not "*.bak"'),
        ("ignore = [3]", 'ignore must be a list of texts, like ["*.bak"], not [3]'),
        ("rescan_seconds = 0", "rescan_seconds must be more than 0, not 0"),
        ("faces = 'off'", 'faces must be true or false, not "off"'),
        ("faces = 0", "faces must be true or false, not 0"),
        ("pth = '/o'", "pth is no setting; did you mean path?"),
        ("strength = 'much'", 'strength must be "gentle", "normal" or "strong", not "much"'),
        ("colour = 1", "colour is no setting; there are backlog, faces, ignore, "),
    ],
)
def test_a_gallery_that_is_not_allowed_is_one_sentence_that_names_its_table(write, text, message):
    needs_no_path = text.startswith(("path", "output"))
    file = write(f"[galleries.a]\n{text}\n" if needs_no_path else GALLERY + text)
    found = refused()
    assert found.startswith(f"{file}, [galleries.a]: ")
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = ['colour']", "steps must be a list of some of classify, super-resolution"),
        ("enlarge = 3", "enlarge must be 1, 2 or 4, not 3"),
        ("enlarge = true", "enlarge must be 1, 2 or 4, not true"),
        ("invsr_steps = 6", "invsr_steps must be 1, 2, 3, 4 or 5, not 6"),
        ("faces = 'on'", 'faces must be true or false, not "on"'),
        ("face_net = 'GFPGAN'", 'face_net must be "CodeFormer" or "GFPGANv1.4", not "GFPGAN"'),
        ("faithful = 'yes'", 'faithful must be true or false, not "yes"'),
        ("fidelity = 1.5", "fidelity must be a number from 0 to 1, not 1.5"),
        ("reflection_strength = -1", "reflection_strength must be a number from 0 to 1"),
        ("reflection_detector = 'yolo.pt'", "reflection_detector must be an absolute path"),
        ("faithfull = true", "faithfull is no setting; did you mean faithful?"),
    ],
)
def test_what_the_paper_engine_cannot_do_is_one_sentence(write, text, message):
    file = write(f"[paper]\n{text}")
    found = refused()
    assert found.startswith(f"{file}, [paper]: ")
    assert message in found


@pytest.mark.parametrize(
    "text",
    [
        "[galleries.a]\npath = '/p'\noutput = '/p/o'",
        "[galleries.a]\npath = '/p'\n[galleries.b]\npath = '/o'\noutput = '/p/o'",
    ],
)
def test_results_are_never_written_into_a_gallery(write, text):
    write(text)
    assert "lies inside the gallery a (/p); set output to a folder outside" in refused()


def test_two_galleries_are_two_folders(write):
    write("[galleries.a]\npath = '/p'\n[galleries.b]\npath = '/p'")
    assert "the galleries a and b have the same path" in refused()


def test_a_file_may_come_from_an_editor_of_windows(write):
    file = write("workers = 3\r\nmax_attempts = 4\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert (settings().workers, settings().max_attempts) == (3, 4)


def test_a_file_that_cannot_be_read_is_one_sentence(write, monkeypatch):
    file = write("settle_seconds = [")
    assert refused().startswith(f"the settings file {file} is not TOML: ")
    file.write_bytes(b"# caf\xe9")
    assert refused().startswith(f"the settings file {file} is not TOML: ")
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/none/config.toml")
    assert refused() == (
        "the settings file /none/config.toml cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SETTEL_SECONDS", "1", "settel_seconds is no setting; did you mean settle_seconds?"),
        ("SETTLE_SECONDS", "soon", f'settle_seconds must be {NUMBER}, not "soon"'),
        ("SETTLE_SECONDS", "inf", f"settle_seconds must be {NUMBER}, not Infinity"),
        ("SETTLE_SECONDS", "", f'settle_seconds must be {NUMBER}, not ""'),
        ("MAX_ATTEMPTS", "0", "max_attempts must be more than 0, not 0"),
        ("WORKERS", "1.5", f"workers must be a whole {NUMBER[2:]}, not 1.5"),
        ("STATE_DIR", "state", 'state_dir must be an absolute path, like "/mnt/photos"'),
        ("REDIS_URL", "http://me:sesam@nas", "not http://me:***@nas"),
    ],
)
def test_a_wrong_variable_is_named_and_not_the_file(write, monkeypatch, name, text, message):
    write("settle_seconds = 3")
    monkeypatch.setenv(f"PHOTOMEND_{name}", text)
    found = refused()
    assert found.startswith(f"the environment variable PHOTOMEND_{name}: ")
    assert message in found


@pytest.mark.parametrize(
    "name",
    [
        "PORT", "PORT_6379_TCP", "PORT_6379_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT",
        "SERVICE_PORT_HTTP", "REDIS_PORT", "REDIS_SERVICE_HOST", "REDIS_PORT_6379_TCP_PROTO",
        "NAME", "ENV_PATH", "DB_ENV_POSTGRES_USER", "DB_NAME",
    ],
)  # fmt: skip
def test_variables_that_kubernetes_and_docker_make_are_not_settings(monkeypatch, name):
    monkeypatch.setenv("PHOTOMEND_CONFIG", os.devnull)
    monkeypatch.setenv(f"PHOTOMEND_{name}", "tcp://10.0.0.1:6379")
    assert settings().redis_url == ""
    monkeypatch.setenv("PHOTOMEND_SETTEL_SECONDS", "3")
    settings.cache_clear()
    assert "did you mean settle_seconds?" in refused()


@pytest.mark.parametrize("name", ["a b", "what?", "100%25 sure", "x#y", "q?mode=ro", "caf\udce9"])
def test_a_state_folder_may_have_any_name(monkeypatch, tmp_path, name):
    state = tmp_path / name
    monkeypatch.setenv("PHOTOMEND_CONFIG", os.devnull)
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(state))
    database.migrate(settings().database)
    database.open_checked(settings().database).dispose()
    assert [path.name for path in state.iterdir()] == ["jobs.db"]
    assert "?" not in settings().broker
    assert unquote(settings().broker, errors="surrogateescape").endswith(
        str(settings().redis_socket)
    )


def test_a_table_in_the_environment_is_json(monkeypatch):
    monkeypatch.setenv("PHOTOMEND_PAPER", "{faces}")
    assert refused().startswith("the environment variable PHOTOMEND_PAPER is not JSON: ")
    monkeypatch.setenv("PHOTOMEND_PAPER", '{"faces": "on"}')
    assert "PHOTOMEND_PAPER, [paper]: faces must be true or false" in refused()


def test_without_a_home_folder_the_state_folder_must_be_set(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert "set state_dir" in refused()
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", "/srv/state")
    assert settings().database == "sqlite:////srv/state/jobs.db"


@pytest.mark.parametrize(
    "text",
    [
        "redis_url = 'redis://:se/sam@nas:6379/0'",
        "redis_url = 'redis://:se#sam@nas'",
        "redis_url = 'redis://:12/sesam@nas'",
        "redis_url = 'redis://nas/0?password=sesam'",
        "redis_url = 'redis+socket://:sesam@nas/run/redis.sock'",
        "redis_url = 'redis://:sesam@nas/0?master_name=main'",
        "redis_url = 'redis://nas/0?sentinel_password=sesam'",
        "redis_url = 'sentinel://:sesam@nas/0'",
        "redis_url = 'redis://:sesam@nas,other/0'",
        "redis_url = 'redis+socket:///run/redis.sock?password=sesam'",
        "redis_url = 'http://:sesam@nas'",
        "redis_url = 'sesam@nas'",
        "redis_url = ['redis://:sesam@nas']",
        "database_url = ['postgresql://me:sesam@nas/db']",
        "weights_mirror = 'ftp://me:sesam@nas'",
        "weights_mirror = 'https://me:sesam@nas'",
        "weights_mirror = 'https://me:sesam@[nas'",
        "weights_mirror = 'https://'",
        "[paper]\nclassifier_key = ['sesam']",
    ],
)
def test_a_setting_that_is_not_allowed_does_not_show_its_password(write, text):
    write(text)
    with pytest.raises(SettingsError, match=r"redis_url|database_url|mirror|key") as raised:
        settings()
    assert "sam" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://nas", "redis://:p%40w@nas:6379/0", "rediss://me:pw@[::1]:6379/1?socket_timeout=3",
        "redis+socket:///run/a@b/redis.sock?virtual_host=1", "redis://",
        "redis+socket://me:p%40w@/run/redis.sock?virtual_host=2", "unix://:pw@/run/redis.sock?db=2",
        "sentinel://:pw@nas:26379,other/1?master_name=main",
        "sentinel://:pw@nas/1?master_name=main&sentinel_password=their%40own",
    ],
)  # fmt: skip
def test_a_redis_may_be_named_in_these_ways(write, url):
    write(f"redis_url = '{url}'")
    assert settings().broker == url


def test_settings_reach_other_processes_unchanged(write, monkeypatch):
    write(
        'max_attempts = 5\nengine = "auto"\nworkers = 2\n'
        '[galleries."fämily"]\npath = "/mnt/phötos"\nname = "immich-stack"\nfaces = false\n'
        'ignore = ["*.bak"]\nbacklog = "since 2024-05-01"\nwatch = "events"\n'
        '[paper]\nfaithful = true\nsteps = ["classify"]\nfaces = true\nface_net = "GFPGANv1.4"\n'
        'reflection_detector = "/models/yolo.pt"\n'
    )
    before = settings()
    monkeypatch.setenv("PHOTOMEND_CONFIG", os.devnull)
    for name, value in before.to_environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert settings() == before
    assert settings().gallery("fämily").watch is WatchMode.EVENTS
    assert settings().paper.face_net is FaceNet.GFPGAN
    assert settings().paper.steps == ("classify",)


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
    ("rule", "message"),
    [
        ("", "match is missing; add it"),
        ("match = '!a'", "must be a pattern as in .gitignore"),
        ("match = '# no'", "must be a pattern as in .gitignore"),
        ("match = '[a'", "must be a pattern as in .gitignore"),
        ("match = '*'\nmode = 'maybe'", 'mode must be "off", "ask" or "on", not "maybe"'),
        ("match = '*'\ncategories = ['clean']", "categories must be categories of photos that"),
        ("match = '*'\ncategories = ['noise']", 'must be "super-resolution", "reflection", '),
        ("match = '*'\nallow = 'edits'", 'allow must be a list of words, like ["edits"], not "ed'),
        ("match = '*'\npublish = 'later'", 'publish must be "at once" or "after review"'),
        ("match = '*'\ngalleries = ['b']", "there is no gallery 'b'; there are a"),
        ("match = '*'\ncategoriez = 1", "categoriez is no setting; did you mean categories?"),
    ],
)
def test_a_rule_that_is_not_allowed_is_one_sentence_that_names_its_number(write, rule, message):
    file = write(f"{GALLERY}[[rules]]\nmatch = 'a'\n[[rules]]\n{rule}\n")
    found = refused()
    assert found.startswith(f"{file}, [[rules]] 2: ")
    assert message in found


def test_rules_are_a_list_of_tables(write):
    write("rules = 3")
    assert "rules must be a list of tables, each under [[rules]], not 3" in refused()


def test_rules_are_the_same_in_another_process(write, monkeypatch):
    write(
        f"{GALLERY}[[rules]]\nmatch = '2019/'\ngalleries = ['a', '/home/me/Photos']\nmode = 'ask'\n"
        "categories = ['reflection']\nallow = ['edits', 'chats']\n[[rules]]\nmatch = '*.png'\n"
        "strength = 'gentle'\nfaces = false\npublish = 'after review'\n"
    )
    rules, variables = settings().rules, settings().to_environment()
    assert [rule.match for rule in rules] == ["2019/", "*.png"]
    write("")
    monkeypatch.setenv("PHOTOMEND_GALLERIES", variables["PHOTOMEND_GALLERIES"])
    monkeypatch.setenv("PHOTOMEND_RULES", variables["PHOTOMEND_RULES"])
    settings.cache_clear()
    assert settings().rules == rules
