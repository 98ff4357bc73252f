import dataclasses
import json
import tomllib

import pytest
from typer.testing import CliRunner

from daemon.commands.app import app
from daemon.reports import settings_template
from storage.settings import TABLES, Settings, make, settings
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import ImmichSettings, PhotoprismSettings
from storage.settings_paper import PaperSettings
from storage.settings_rules import Rule
from storage.settings_web import WebSettings

KINDS = (
    Settings,
    GallerySettings,
    PaperSettings,
    Rule,
    WebSettings,
    ImmichSettings,
    PhotoprismSettings,
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["config", *words])
    settings.cache_clear()


def test_a_new_settings_file_changes_nothing_and_explains_each_setting(run, tmp_path):
    assert run("init", str(tmp_path / "config.toml")).exit_code == 0
    text = (tmp_path / "config.toml").read_text()
    assert tomllib.loads(text) == {}
    for kind in KINDS:
        for item in dataclasses.fields(kind):
            assert item.name in (*TABLES, "libraries") or f"\n# {item.name} = " in text
    assert "## A photo is recorded when its size and mtime have not changed" in text


def test_the_values_of_a_new_settings_file_are_the_defaults():
    lines = settings_template.text().splitlines()
    said = "\n".join(line.removeprefix("# ") for line in lines if not line.startswith("##"))
    values = tomllib.loads(said)
    [rule], gallery = values["rules"], values["galleries"]["family"]
    apps = values["immich"], values["photoprism"]
    assert apps[0].pop("libraries")
    tables = (values, gallery, values["paper"], rule, values["web"], *apps)
    for kind, table in zip(KINDS, tables, strict=True):
        for item in dataclasses.fields(kind):
            if item.default is None:
                assert table.pop(item.name) == ""
    made, default = make(values, "the file"), Settings()
    assert (made.paper, made.web) == (PaperSettings(), WebSettings())
    for item in dataclasses.fields(Settings):
        if item.name not in ("galleries", "rules", "state_dir"):
            assert getattr(made, item.name) == getattr(default, item.name)


def test_a_file_that_is_there_stays(run, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("workers = 3\n")
    ended = run("init", str(file))
    assert ended.exit_code == 2
    assert file.read_text() == "workers = 3\n"


def test_show_names_where_each_setting_comes_from_and_hides_secrets(run, monkeypatch, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        'workers = 3\nredis_url = "redis://:geheim@localhost/0"\n'
        '[paper]\nclassifier_key = "geheim"\n'
    )
    monkeypatch.setenv("PHOTOMEND_CONFIG", str(file))
    monkeypatch.setenv("PHOTOMEND_SETTLE_SECONDS", "7")
    shown = run("show").output
    assert f"workers = 3  ({file})" in shown
    assert "settle_seconds = 7  (PHOTOMEND_SETTLE_SECONDS)" in shown
    assert "max_attempts = 3  (default)" in shown
    assert "geheim" not in shown
    found = json.loads(run("show", "--json").output)
    assert found["General"]["workers"]["origin"] == str(file)
    assert "geheim" not in json.dumps(found)
