"""Rounds of messages: find what each receiver should know now, and send it; one round at a time."""

import logging
import time
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.console.output import span
from daemon.messages import alerts, calendar, digest, ledger, receivers
from daemon.messages.ledger import Ledger, Told
from daemon.messages.receivers import Answer, Message
from daemon.reports import health
from daemon.reports.status import has_left
from daemon.web.words import ADVICE
from storage import atomic_files
from storage.database import digest as rows
from storage.database import status
from storage.database.status import Summary
from storage.errors import DatabaseGone, SettingsError
from storage.settings import settings
from storage.urls import hidden

MANY = 10
"""Number of photos that fail for one cause within a day from which that is told at once."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0
"""Pause after which a message is sent again that was not delivered; it doubles up to the longest."""
STEP_SECONDS = 60.0
"""Least difference of two clocks from one round to the next that is a step of the clock on the wall."""

LOCK = "messages.lock"
"""File in the state folder whose lock a round holds."""

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A message, and what its receiver was told once it has it."""

    message: Message
    told: Told
    is_digest: bool


@dataclass
class Pause:
    """A receiver that did not take the last message."""

    seconds: float
    until: float


class Messenger:
    """What the rounds of one process keep between them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._ledger: Ledger | None = None
        self._written: Ledger | None = None
        self._clocks = _clocks()
        self._pauses: dict[str, Pause] = {}
        self._warned = ""

    def work(self) -> None:
        """Do a round, unless another watcher of this state folder does one.

        A database that is away or a wrong file of receivers ends nothing.
        """
        try:
            if urls := settings().notify.receivers():
                with atomic_files.locked(settings().state_dir / LOCK, wait=False) as held:
                    if held is not None:
                        self.round(urls)
            self._warned = ""
        except (SQLAlchemyError, DatabaseGone, SettingsError, OSError) as error:
            if str(error) != self._warned:
                log.warning("no messages are sent: %s", error)
            self._warned = str(error)

    def round(self, urls: tuple[str, ...]) -> None:
        """Send to each receiver what it does not know yet."""
        state = status.summary(self._engine, partial(has_left, self._engine))
        problems = health.find(self._engine, state)
        known = self._renewed(urls, state, alerts.lasting(problems, self._failures(state.now)))
        wanted: dict[str, Wanted] = {}
        for url in urls:
            found = self._wanted(url, known, state, [problem.text for problem in problems])
            if found is not None:
                known = known.with_told(ledger.mark(url), found.told)
                if found.message.text:
                    wanted[url] = found
        self._send(known, wanted)

    def _renewed(self, urls: tuple[str, ...], state: Summary, present: dict[str, str]) -> Ledger:
        """Return the ledger with the alerts of now, for the receivers of the settings."""
        before = self._before()
        last, self._clocks = self._clocks, _clocks()
        now, step = self._clocks[0], (self._clocks[0] - last[0]) - (self._clocks[1] - last[1])
        moved = alerts.moved(before.alerts, step if abs(step) > STEP_SECONDS else 0.0)
        told = {}
        for mark in map(ledger.mark, urls):
            own = before.receivers.get(mark, Told(until=state.now))
            day = calendar.believed(own.period, self._period())
            told[mark] = replace(own, period=day, until=min(own.until, state.now))
        self._ledger = Ledger(alerts.updated(moved, present, now), told)
        return self._ledger

    def _before(self) -> Ledger:
        """Return the ledger of the file, or what could not be written to it."""
        if self._ledger is not None and self._ledger != self._written:
            return self._ledger
        self._written = ledger.read(settings().state_dir)
        return self._written

    def _wanted(
        self, url: str, known: Ledger, state: Summary, problems: list[str]
    ) -> Wanted | None:
        """Return what a receiver should be told now; an alert goes before a digest."""
        mark, now = ledger.mark(url), self._clocks[0]
        told = known.receivers[mark]
        pause = self._pauses.get(mark)
        if pause is not None and time.monotonic() < pause.until:
            return None
        if news := alerts.news(told.alerts, known.alerts, now):
            after = replace(told, alerts=alerts.after(told.alerts, known.alerts, now))
            return Wanted(Message(url, *news), after, is_digest=False)
        rhythm, hour = settings().notify.digest, settings().notify.digest_hour
        if not calendar.is_due(rhythm, hour, datetime.now(), told.period):
            return None
        after = replace(told, period=self._period(), until=state.now)
        made = digest.make(self._engine, settings(), state, told.until, problems)
        said = Message(url, made.title, made.text, made.pictures) if made else Message(url, "", "")
        return Wanted(said, after, is_digest=True)

    def _send(self, known: Ledger, wanted: dict[str, Wanted]) -> None:
        """Send messages; what was not delivered is taken back from the ledger."""
        before = self._ledger or known
        if not self._write(known):  # an alert may be about that disk; a digest waits
            wanted = {url: each for url, each in wanted.items() if not each.is_digest}
        answers = receivers.send([each.message for each in wanted.values()])
        kept = before if self._written != known else known
        for (url, each), answer in zip(wanted.items(), answers, strict=True):
            mark = ledger.mark(url)
            kept = kept.with_told(mark, _told(before.receivers[mark], each.told, answer))
        self._ledger = kept
        self._write(kept)
        for url, answer in zip(wanted, answers, strict=True):
            self._note(url, ledger.mark(url), answer)

    def _write(self, known: Ledger) -> bool:
        """Write the ledger if it has changed; return whether the file holds it."""
        if known != self._written and ledger.write(settings().state_dir, known):
            self._written = known
        return known == self._written

    def _note(self, url: str, mark: str, answer: Answer) -> None:
        if answer.delivered:
            self._pauses.pop(mark, None)
            return log.info("a message was sent to %s", hidden(url))
        if answer.unsure:
            return log.warning(
                "%s gave no answer, and may have the message; the next digest covers this time, too: %s",
                hidden(url), answer.said,
            )  # fmt: skip
        last = self._pauses.get(mark)
        seconds = min(2 * last.seconds if last else FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._pauses[mark] = Pause(seconds, time.monotonic() + seconds)
        return log.warning(
            "a message to %s was not delivered, and is sent again in %s: %s", hidden(url),
            span(seconds), answer.said,
        )  # fmt: skip

    def _failures(self, now: float) -> list[tuple[str, str]]:
        failed = rows.failed(self._engine, now - alerts.DAY_SECONDS)
        return [
            (
                kind,
                f"{count:,} photos failed within a day: {ADVICE[kind].title}. {ADVICE[kind].advice}",
            )
            for kind, count in failed.items()
            if count >= MANY
        ]

    def _period(self) -> date:
        return calendar.period(
            settings().notify.digest, settings().notify.digest_hour, datetime.now()
        )


def _told(before: Told, after: Told, answer: Answer) -> Told:
    """Return what a receiver was told. One that gave no answer may have the message.

    So the same is not sent again; but the next digest begins where the last certain one ended.
    """
    if answer.delivered:
        return after
    return replace(after, until=before.until) if answer.unsure else before


def _clocks() -> tuple[float, float]:
    """Return the clock on the wall, and one that takes no steps and runs on in a suspend."""
    return time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
