import pytest

from storage.errors import SettingsError
from storage.settings import make
from storage.settings_origins import origins
from storage.settings_web import is_loopback, split


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8484", "[::1]:80", "localhost:1", "0.0.0.0:8484", ""]
)
def test_an_address_has_a_host_and_a_port(address):
    assert make({"web": {"address": address}}, "x").web.address == address


@pytest.mark.parametrize(
    "address", ["8484", "127.0.0.1", "nas:8484", ":8484", "1.2.3.4:70000", "[x]:1"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SettingsError, match="address must be an address with a port"):
        make({"web": {"address": address}}, "x")


@pytest.mark.parametrize("root", ["photos", "/photos/", "/a b", '/"'])
def test_what_is_no_path_is_refused(root):
    with pytest.raises(SettingsError, match="root_path must be a path"):
        make({"web": {"root_path": root}}, "x")


@pytest.mark.parametrize(
    ("address", "own"), [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False)]
)  # fmt: skip
def test_only_the_loopback_is_this_machine_alone(address, own):
    assert is_loopback(split(address)[0]) is own


def test_each_setting_knows_where_it_comes_from(tmp_path, monkeypatch, home):
    file = tmp_path / "config.toml"
    file.write_text('workers = 2\n[galleries.g]\npath = "/g"\n[web]\naddress = ""\n')
    monkeypatch.setenv("PHOTOMEND_CONFIG", str(file))
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    found = origins()
    assert found["workers"] == found["galleries.g.path"] == str(file)
    assert found["web.address"] == "PHOTOMEND_WEB"
    assert found["state_dir"] == "PHOTOMEND_STATE_DIR"
    assert "engine" not in found
