"""Sensors in Home Assistant by MQTT: what photomend does, and whether it runs at all.

paho's own thread connects, and connects again; a broker that is away or hangs delays nothing here.
"""

import json
import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.messages.receivers import Answer
from daemon.reports import words
from daemon.reports.labels import label
from storage import installation
from storage.database import digest as rows
from storage.database.status import Summary
from storage.enums import Decision, Status
from storage.errors import SettingsError
from storage.settings_notify import MqttSettings, broker
from storage.text import printable

if TYPE_CHECKING:
    from paho.mqtt.client import Client

DISCOVERY = "homeassistant"
"""Begins the topics in which Home Assistant looks for sensors (its documentation, MQTT discovery)."""
ONLINE, OFFLINE = "online", "offline"
STALE_SECONDS = 900
"""Age from which Home Assistant shows a value as unavailable."""
LONGEST_PAUSE_SECONDS = 300
END_SECONDS, TRIAL_SECONDS = 3.0, 10.0
"""Longest waits for the broker: at the end, and in a trial."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sensor:
    """A sensor, as Home Assistant shows it."""

    key: str
    name: str
    icon: str
    more: tuple[tuple[str, str], ...] = (
        ("state_class", "measurement"),
        ("unit_of_measurement", "photos"),
    )
    attributes: str = ""
    """The key of the state under which there are further values; "" if there are none."""


SENSORS = (
    Sensor("waiting", "Waiting", "mdi:tray-full"),
    Sensor("running", "Running", "mdi:image-edit"),
    Sensor("mended", "Mended", "mdi:image-check"),
    Sensor("failed", "Failed", "mdi:image-broken"),
    Sensor(
        "offline_galleries", "Offline galleries", "mdi:folder-alert",
        (("state_class", "measurement"),), "offline",
    ),
    Sensor("last_photo", "Last photo", "mdi:clock", (("device_class", "timestamp"),), "last"),
)  # fmt: skip


class HomeAssistant:
    """The connection to the broker."""

    def __init__(self, known: MqttSettings) -> None:
        """Begin to connect.

        Raises:
            SettingsError: the extra is not installed, or the password cannot be read.

        """
        self._topic = known.topic
        self._state = ""
        self._client = client(known)
        self._client.will_set(f"{self._topic}/availability", OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = _disconnected
        host, port, _ = broker(known.address)
        self._client.connect_async(host, port)
        self._client.loop_start()

    def publish(self, state: dict[str, Any]) -> None:
        """Publish the values of the sensors; while the broker is away, they wait for it."""
        self._state = json.dumps(state)
        if self._client.is_connected():
            self._say("state", self._state)

    def end(self) -> None:
        """Say that photomend ends, and disconnect."""
        if self._client.is_connected():
            said = self._client.publish(f"{self._topic}/availability", OFFLINE, qos=1, retain=True)
            said.wait_for_publish(END_SECONDS)
        self._client.disconnect()  # paho's thread is not waited for: it may look up a name

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            return log.warning("the MQTT broker refuses photomend: %s", reason)
        log.info("connected to the MQTT broker")
        for sensor in SENSORS:
            place = f"{DISCOVERY}/sensor/{_node(self._topic)}/{sensor.key}/config"
            client.publish(place, json.dumps(discovery(sensor, self._topic)), qos=1, retain=True)
        self._say("availability", ONLINE)
        return self._say("state", self._state) if self._state else None

    def _say(self, name: str, text: str) -> None:
        self._client.publish(f"{self._topic}/{name}", text, qos=1, retain=True)


def client(known: MqttSettings) -> "Client":
    """Return a client for the broker of the settings, which is not connected yet.

    Raises:
        SettingsError: the extra is not installed, or the password cannot be read.

    """
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as error:
        raise SettingsError(f"[mqtt] needs an extra; {installation.get_extra('mqtt')}") from error
    made = Client(CallbackAPIVersion.VERSION2)
    if known.user:
        made.username_pw_set(known.user, known.password())
    if broker(known.address)[2]:
        made.tls_set()
    made.reconnect_delay_set(1, LONGEST_PAUSE_SECONDS)
    return made


def discovery(sensor: Sensor, topic: str) -> dict[str, Any]:
    """Return the description by which Home Assistant makes a sensor."""
    node, made = _node(topic), version("photomend")
    described = {
        "name": sensor.name, "unique_id": f"{node}_{sensor.key}", "icon": sensor.icon,
        "state_topic": f"{topic}/state", "value_template": f"{{{{ value_json.{sensor.key} }}}}",
        "availability_topic": f"{topic}/availability", "expire_after": STALE_SECONDS,
        "device": {"identifiers": [node], "name": node, "model": "photomend", "sw_version": made},
        "origin": {"name": "photomend", "sw_version": made}, **dict(sensor.more),
    }  # fmt: skip
    if sensor.attributes:
        described["json_attributes_topic"] = f"{topic}/state"
        described["json_attributes_template"] = f"{{{{ value_json.{sensor.attributes} | tojson }}}}"
    return described


def values(engine: sa.Engine, state: Summary) -> dict[str, Any]:
    """Return the values of all sensors."""
    last, jobs = rows.last_ended(engine), state.counts.jobs
    offline = sorted(label(gallery.name) for gallery in state.galleries if not gallery.online)
    ended = None if last is None else datetime.fromtimestamp(last.finished_at or 0.0, UTC)
    return {
        "waiting": jobs[Status.QUEUED], "running": jobs[Status.RUNNING],
        "mended": state.counts.decisions[Decision.RESTORED], "failed": jobs[Status.FAILED],
        "offline_galleries": len(offline), "offline": {"names": offline},
        "last_photo": None if ended is None else ended.isoformat(timespec="seconds"),
        "last": {} if last is None else {"name": printable(last.name), "what": words.short(last)},
    }  # fmt: skip


def trial(known: MqttSettings) -> Answer:
    """Connect to the broker, and return what it answered.

    Raises:
        SettingsError: the extra is not installed, or the password cannot be read.

    """
    answers: list[str] = []
    tried = client(known)
    tried.on_connect = lambda _client, _data, _flags, reason, _more: answers.append(
        str(reason) if reason.is_failure else ""
    )
    host, port, _ = broker(known.address)
    try:
        tried.connect_timeout = TRIAL_SECONDS
        tried.connect(host, port)
        until = time.monotonic() + TRIAL_SECONDS
        while not answers and time.monotonic() < until:
            tried.loop(0.1)
        tried.disconnect()
    except OSError as error:
        return Answer(False, error.strerror or str(error))
    return Answer(answers == [""], answers[0] if answers else "no answer")


def _disconnected(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
    if reason.is_failure:
        log.warning("the MQTT broker is away: %s", reason)


def _node(topic: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", topic)
