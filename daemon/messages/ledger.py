"""The file that holds what each receiver was told: `messages.json` in the state folder.

It is written before a message is sent. So a process that is killed meanwhile sends nothing twice.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from daemon.messages.alerts import Alert, Alerts
from storage import atomic_files

FILE = "messages.json"
_MODE = 0o600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What one receiver was told."""

    alerts: dict[str, str] = field(default_factory=dict)
    """The problems that it was told of and that have not ended for it, by key."""
    period: date | None = None
    """The period of its last digest; None before the first round."""
    until: float = 0.0
    """Its last digest covers what ended before this time."""


@dataclass(frozen=True)
class Ledger:
    """What is remembered from round to round."""

    alerts: Alerts = field(default_factory=dict)
    receivers: Mapping[str, Told] = field(default_factory=dict)
    """By the mark of the receiver."""

    def with_told(self, mark: str, told: Told) -> "Ledger":
        """Return the ledger after one receiver was told something."""
        return replace(self, receivers={**self.receivers, mark: told})


def mark(url: str) -> str:
    """Return what stands for a receiver in the file: nobody can read its address from it."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def read(state_dir: Path) -> Ledger:
    """Return the ledger; an empty one if there is none that can be read."""
    try:
        found = json.loads((state_dir / FILE).read_text())
        alerts = {str(key): Alert(**each) for key, each in found["alerts"].items()}
        return Ledger(alerts, {str(key): _told(each) for key, each in found["receivers"].items()})
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("what was told before cannot be read from %s: %s", state_dir / FILE, error)
        return Ledger()


def write(state_dir: Path, ledger: Ledger) -> bool:
    """Write the ledger; return whether that was possible."""
    try:
        text = json.dumps(asdict(ledger), indent=1, default=str)
        atomic_files.write(state_dir / FILE, text.encode(), _MODE)
    except OSError as error:
        log.warning("what is told cannot be written to %s: %s", state_dir / FILE, error)
        return False
    return True


def _told(values: dict[str, Any]) -> Told:
    day = values["period"]
    alerts = {str(key): str(text) for key, text in values["alerts"].items()}
    return Told(alerts, None if day is None else date.fromisoformat(day), float(values["until"]))
