"""Sensors reach a real broker, mosquitto, as Home Assistant reads them."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.enums import Decision
from storage.settings import settings

mqtt = pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed here")
pytestmark = pytest.mark.slow
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")


class Broker:
    """A mosquitto with one user, and a client that hears all of its topics."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "ha", "geheim"], check=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\npassword_file {passwords}\n"
            f"user {getpass.getuser()}\n"  # root's would be another user otherwise
        )
        self.heard: dict[str, str] = {}
        self.retained: set[str] = set()

    def start(self) -> None:
        words = [str(MOSQUITTO), "-c", str(self._config)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline, "mosquitto does not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

    def listen(self) -> None:
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set("ha", "geheim")
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_message = lambda _client, _data, message: self._hear(message)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", self.port)
        self.client.loop_start()

    def _hear(self, message: Any) -> None:
        self.heard[message.topic] = message.payload.decode()
        if message.retain:
            self.retained.add(message.topic)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.heard.get("home/photomend/state", "{}"))

    @property
    def availability(self) -> str | None:
        return self.heard.get("home/photomend/availability")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed here (apt install mosquitto)")
    made = Broker(tmp_path)
    made.start()
    made.listen()
    yield made
    made.client.disconnect()
    made.client.loop_stop()
    made.stop()


@pytest.fixture
def use(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def change(password: str = "geheim") -> None:
        file = tmp_path / "password"
        file.write_text(f"{password}\n")
        values = {"address": broker.address, "user": "ha", "password_file": str(file)}
        monkeypatch.setenv("PHOTOMEND_MQTT", json.dumps(values | {"topic": "home/photomend"}))
        settings.cache_clear()

    return change


def test_home_assistant_finds_the_sensors_and_loses_them_when_the_watcher_is_killed(
    photomend, broker, use, end, eventually, healthy
):
    use()
    end("cat.jpg")
    end("dog.jpg", decision=Decision.CLEAN)
    watcher = photomend("watch")
    eventually(lambda: broker.state and broker.availability == "online")
    state = broker.state
    assert {name: state[name] for name in ("waiting", "mended", "failed", "running")} == {
        "waiting": 0, "mended": 1, "failed": 0, "running": 0,
    }  # fmt: skip
    assert state["last"]["name"] in ("cat.jpg", "dog.jpg")
    configs = {t: json.loads(c) for t, c in broker.heard.items() if t.endswith("/config")}
    assert {topic.split("/")[3] for topic in configs} == {
        "waiting", "running", "mended", "failed", "offline_galleries", "last_photo",
    }  # fmt: skip
    for topic, config in configs.items():
        assert topic.startswith("homeassistant/sensor/home_photomend/")
        assert config["state_topic"] == "home/photomend/state"
        assert config["availability_topic"] == "home/photomend/availability"
        assert config["value_template"][3:-3].strip().removeprefix("value_json.") in state
    assert len({config["unique_id"] for config in configs.values()}) == 6
    watcher.send_signal(signal.SIGKILL)
    eventually(lambda: broker.availability == "offline")  # the last will
    broker.client.disconnect()
    broker.client.loop_stop()
    broker.listen()
    eventually(lambda: set(configs) <= broker.retained)
    assert {"home/photomend/state", "home/photomend/availability"} <= broker.retained


def test_a_broker_that_comes_later_gets_the_values_and_a_stop_says_offline(
    photomend, broker, use, eventually, healthy
):
    use()
    broker.stop()
    watcher = photomend("watch")
    eventually(lambda: (settings().state_dir / "jobs.db").exists())
    broker.start()
    eventually(lambda: broker.state and broker.availability == "online")
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(30) == 0
    eventually(lambda: broker.availability == "offline")


def test_notify_test_names_what_the_broker_answered(broker, use, photomend, home, eventually):
    use()
    assert photomend("notify", "test").wait(60) == 0
    use(password="wrong")
    assert photomend("notify", "test").wait(60) == 1
    broker.stop()
    assert photomend("notify", "test").wait(60) == 1
    lines = (home / "log").read_text().splitlines()
    assert lines[0] == f"mqtt {broker.address}: it was taken"
    assert "it was NOT taken: Not authorized" in lines[1]
    assert "it was NOT taken: Connection refused" in lines[2]
    assert "geheim" not in (home / "log").read_text()
    broker.start()


def test_without_the_extra_the_command_says_how_to_install_it(
    home, tmp_path, photomend, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_MQTT", '{"address": "127.0.0.1:1"}')
    package = tmp_path / "without/paho/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ImportError('no module named paho', name='paho')")
    monkeypatch.setenv("PYTHONPATH", str(package.parents[1]))
    assert photomend("notify", "test").wait(60) == 3
    assert "[mqtt] needs an extra; `make -C" in (home / "log").read_text()
