"""What is told at once: which problems have lasted long enough, and since when; pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from daemon.console.output import span
from daemon.reports.health import Concern, Problem

DAY_SECONDS = 86_400.0
LASTING_SECONDS = {Concern.GALLERY: DAY_SECONDS, Concern.FULL: 300.0, Concern.WORKER: 900.0}
"""Time for which a problem has to last before it is told; others are left to digests. A worker may be
away for an update of the machine."""
FAILURES = "failures"
"""Begins the keys of failures of one cause, which are told at once."""
OVER_SECONDS = 600.0
"""Time for which a problem has to be gone before that is told: it may come back at once."""


@dataclass(frozen=True)
class Alert:
    """A problem that lasts, as far as is known."""

    since: float
    text: str
    gone_at: float | None = None
    """When it was first found gone; None while it is there."""


Alerts = dict[str, Alert]
"""What lasts, or has just ended, by the key of the problem."""


def lasting(problems: Iterable[Problem], failures: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the sentences of the problems that are told at once, by key.

    What several queues lack is one problem. `failures` are causes, each with its sentence.
    """
    found: dict[str, str] = {}
    for problem in problems:
        if problem.concern in LASTING_SECONDS:
            subject = "" if problem.concern is Concern.WORKER else problem.subject
            key = f"{problem.concern} {subject}".rstrip()
            found[key] = f"{found[key]}; {problem.text}" if key in found else problem.text
    return found | {f"{FAILURES} {cause}": text for cause, text in failures}


def updated(known: Alerts, present: dict[str, str], now: float) -> Alerts:
    """Return what is known now: new problems, those that last, and those that have just ended."""
    found = {key: Alert(now, text) for key, text in present.items()}
    for key, alert in known.items():
        if key in present:
            found[key] = replace(alert, text=present[key], gone_at=None)
        elif alert.gone_at is None:
            found[key] = replace(alert, gone_at=now)
        elif now - alert.gone_at < OVER_SECONDS:
            found[key] = alert
    return found


def moved(known: Alerts, seconds: float) -> Alerts:
    """Return the alerts after a step of the clock."""
    return {
        key: replace(
            alert, since=alert.since + seconds,
            gone_at=None if alert.gone_at is None else alert.gone_at + seconds,
        )
        for key, alert in known.items()
    }  # fmt: skip


def due(known: Alerts, now: float) -> dict[str, str]:
    """Return what has lasted long enough to be told, by key."""
    return {
        key: alert.text
        for key, alert in known.items()
        if now - alert.since >= _least_seconds(key) and alert.gone_at is None
    }


def news(told: dict[str, str], known: Alerts, now: float) -> tuple[str, str] | None:
    """Return title and text of a message for who was told `told`; None if nothing is new."""
    begun = {key: text for key, text in due(known, now).items() if key not in told}
    ended = {key: text for key, text in told.items() if key not in known}
    if not begun and not ended:
        return None
    lines = [
        f"{text}{_for_long(known[key], now) if key.startswith(Concern.GALLERY) else ''}"
        for key, text in begun.items()
    ]
    lines += [f"Over: {text}" for text in ended.values()]
    title = "photomend needs you" if begun else "photomend: this is over"
    return title, "\n\n".join(lines)


def after(told: dict[str, str], known: Alerts, now: float) -> dict[str, str]:
    """Return what somebody has been told after the message of `news`."""
    return {key: text for key, text in told.items() if key in known} | {
        key: text for key, text in due(known, now).items() if key not in told
    }


def _least_seconds(key: str) -> float:
    concern = key.partition(" ")[0]
    return 0.0 if concern == FAILURES else LASTING_SECONDS[Concern(concern)]


def _for_long(alert: Alert, now: float) -> str:
    return f" (for {span(now - alert.since)})"
