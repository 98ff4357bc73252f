import pytest

from daemon.reports import message_checks
from storage.settings import make


def checked(**tables):
    return {each.subject: (each.well, each.text) for each in message_checks.of(make(tables, "x"))}


def test_nothing_is_checked_without_a_receiver():
    assert checked() == {}


@pytest.mark.parametrize("mode", [0o640, 0o644])
def test_secrets_in_files_that_every_user_can_read(tmp_path, mode):
    file = tmp_path / "secret"
    file.write_text("json://sesam@nas\n")
    file.chmod(mode)
    found = checked(
        notify={"urls_file": str(file)}, mqtt={"address": "nas", "password_file": str(file)}
    )
    for subject in ("messages", "MQTT"):
        well, text = found[subject]
        assert well == (mode == 0o640)
        assert well or text == f"every user can read {file}: chmod o= {file}"
        assert "sesam" not in text


def test_files_that_cannot_be_read(tmp_path):
    missing = str(tmp_path / "missing")
    found = checked(
        notify={"urls_file": missing}, mqtt={"address": "nas", "password_file": missing}
    )
    assert (
        not found["messages"][0] and f"urls_file {missing} cannot be read" in found["messages"][1]
    )
    assert not found["MQTT"][0] and f"password_file {missing} cannot be read" in found["MQTT"][1]
