"""Rounds that publish what photomend does to an MQTT broker, if the settings name one."""

import logging
from functools import partial
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.messages import home_assistant
from daemon.messages.home_assistant import HomeAssistant
from daemon.reports.status import has_left
from storage.database import status
from storage.errors import DatabaseGone, SettingsError
from storage.settings_notify import MqttSettings

log = logging.getLogger(__name__)


class Sensors:
    """The sensors of this process, which connect in their first round."""

    def __init__(self, engine: sa.Engine, known: MqttSettings) -> None:
        self._engine = engine
        self._known = known
        self._lock = Lock()
        self._connection: HomeAssistant | None = None
        self._warned = ""

    def work(self) -> None:
        """Publish all values; a database that is away ends nothing."""
        if not self._known.address:
            return
        try:
            with self._lock:
                self._connection = self._connection or HomeAssistant(self._known)
            state = status.summary(self._engine, partial(has_left, self._engine))
            self._connection.publish(home_assistant.values(self._engine, state))
        except (SQLAlchemyError, DatabaseGone, SettingsError) as error:
            if str(error) != self._warned:
                log.warning("no sensor is published: %s", error)
            self._warned = str(error)

    def end(self) -> None:
        """Publish that photomend ends."""
        with self._lock:
            if self._connection is not None:
                self._connection.end()
