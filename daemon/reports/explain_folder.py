"""Sum up the photos of a folder: what became of them and why, and how many wait."""

import os
import re
from collections import Counter
from pathlib import Path

from daemon.console import session, targets
from daemon.reports import words
from daemon.reports.explain import Explanation, Rule
from daemon.watching import ignore_rules
from storage.database import search
from storage.database.search import Kind
from storage.enums import Decision, Status
from storage.rules import PREFIX
from storage.text import command, counted

REASONS = 5
"""Number of reasons that are named for each decision: the most frequent."""
_FIGURES = re.compile(r" ?\([^()]*\d[^()]*\)|\b\d[\d.,]*( ?%)?")
"""What differs between reasons that mean the same: numbers, and what is in brackets with them."""


def explain_folder(path: Path) -> Explanation | None:
    """Return the sums for a folder in a gallery; None if `path` is something else."""
    place = targets.place(path) if path.is_dir() else None
    if place is None:
        return None
    rules = targets.gallery(place.gallery)
    if place.source != Path() and (why := ignore_rules.why_ignored(rules, place.source)):
        return Explanation(str(path), Rule.IGNORED, "nothing: it is ignored", [why])
    kinds = search.kinds(session.engine(), place.gallery, place.source)
    total = sum(kind.count for kind in kinds)
    where = f"{os.path.realpath(path)} in the gallery {place.gallery}"
    facts = [f"{where}: {counted(total, 'photo')}", *_sums(kinds)]
    return Explanation(str(path), Rule.FOLDER, _now(kinds, path), facts)


def _sums(kinds: list[Kind]) -> list[str]:
    """Return a line for each decision or status, the most frequent first, and for its reasons."""
    names: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    for kind in kinds:
        name = _name(kind)
        names[name] += kind.count
        if why := _without_figures(kind.reason or kind.error_kind or ""):
            reasons.setdefault(name, Counter())[why] += kind.count
    lines = []
    for name, count in names.most_common():
        lines.append(f"{count:,} {name}")
        known = reasons.get(name, Counter()).most_common()
        lines += [f"  {number:,}: {why}" for why, number in known[:REASONS]]
        if len(known) > REASONS:
            lines.append(f"  {sum(number for _, number in known[REASONS:]):,}: other reasons")
    return lines


def _without_figures(reason: str) -> str:
    """Return a reason without what differs between photos; a rule keeps its number and pattern."""
    return reason if reason.startswith(PREFIX) else _FIGURES.sub("", reason)


def _name(kind: Kind) -> str:
    if kind.status is Status.DONE and kind.decision is not None:
        return words.DECISIONS[kind.decision]
    return "wait" if kind.status is Status.QUEUED else words.STATUSES[kind.status]


def _now(kinds: list[Kind], path: Path) -> str:
    """Return how many photos wait, and what to type for those that were left alone or failed."""
    waiting = sum(kind.count for kind in kinds if kind.status in (Status.QUEUED, Status.RUNNING))
    now = "nothing waits"
    if waiting:
        now = f"{counted(waiting, 'photo')} {'waits' if waiting == 1 else 'wait'}"
    if any(kind.decision is Decision.LEFT_ALONE for kind in kinds):
        now += f"; `{command('photomend', 'jobs', '--decision', 'left alone', of=path)}` lists "
        now += "what was left alone"
    return now
