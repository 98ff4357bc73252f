import json

import pytest

from storage.errors import SettingsError
from storage.settings import make, settings
from storage.settings_notify import broker


def notify(**values):
    return make({"notify": values}, "the file").notify


@pytest.mark.parametrize(
    "urls", ["tgram://geheim/1", ["geheim"], [7, "geheim"], ["json://nas", "geheim@x"], {"a": "geheim"}]
)  # fmt: skip
def test_a_wrong_receiver_is_refused_and_not_shown(urls):
    with pytest.raises(SettingsError, match="urls must be a list of addresses of apprise") as found:
        notify(urls=urls)
    assert "geheim" not in str(found.value)


def test_receivers_come_from_the_settings_and_from_a_file_each_once(tmp_path):
    file = tmp_path / "receivers"
    file.write_text("# the phone\nntfy://nas/photos\n\n  json://nas \n")
    known = notify(urls=["json://nas"], urls_file=str(file))
    assert known.receivers() == ("json://nas", "ntfy://nas/photos")


@pytest.mark.parametrize("content", [b"json://nas\ngeheim\n", b"\xff", None])
def test_a_wrong_file_of_receivers_is_named_and_not_shown(tmp_path, content):
    file = tmp_path / "receivers"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=str(file)) as found:
        notify(urls_file=str(file)).receivers()
    assert "geheim" not in str(found.value)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("nas", ("nas", 1883, False)), ("192.0.2.7:1884", ("192.0.2.7", 1884, False)),
        ("mqtts://nas.example", ("nas.example", 8883, True)), ("mqtt://[::1]:1", ("::1", 1, False)),
    ],
)  # fmt: skip
def test_the_address_of_a_broker(address, found):
    assert broker(make({"mqtt": {"address": address}}, "x").mqtt.address) == found


@pytest.mark.parametrize("address", ["geheim@nas", "http://geheim", "nas:0", "nas:99999", "a b"])
def test_what_is_no_broker_is_refused_and_not_shown(address):
    with pytest.raises(SettingsError, match="address must be an address without") as found:
        make({"mqtt": {"address": address}}, "x")
    assert address not in str(found.value)


@pytest.mark.parametrize("topic", ["", "/a", "a/", "a/#", "+", "a b", "a//b"])
def test_what_is_no_topic_is_refused(topic):
    with pytest.raises(SettingsError, match="topic must be a topic"):
        make({"mqtt": {"topic": topic}}, "x")


def test_processes_get_the_settings_of_the_receivers(home, monkeypatch):
    made = {"urls": ["json://nas"], "digest": "daily", "digest_hour": 5, "urls_file": "/r"}
    monkeypatch.setenv("PHOTOMEND_NOTIFY", json.dumps(made))
    settings.cache_clear()
    first = settings()
    monkeypatch.setenv("PHOTOMEND_NOTIFY", first.to_environment()["PHOTOMEND_NOTIFY"])
    settings.cache_clear()
    assert settings().notify == first.notify
    assert first.notify.digest_hour == 5
