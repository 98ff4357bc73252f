"""What the full scans of a gallery have recorded: its ignore rules, and that all old photos are known.

Later scans compare their rules with these: what a change of the rules shows did not arrive, and what
it hides is left alone.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.watching import ignore_rules
from daemon.watching.recorder import Recorder
from daemon.watching.scanner import FullScan, Scanner
from storage import filesystems
from storage.database.records import Gallery
from storage.database.tables import now as database_now

log = logging.getLogger(__name__)


class ScannedRules:
    """The rules by which one gallery was scanned, and whether it was ever scanned to the end."""

    def __init__(self, recorder: Recorder, scanner: Scanner) -> None:
        self._recorder = recorder
        self._scanner = scanner
        self._never_scanned = False
        self._some_hidden = False
        """Known photos were ignored since the last full scan ended."""
        self._last: dict[str, Any] | None = None
        """The rules of the last full scan that ended."""
        self._recorded: dict[str, Any] | None = None
        """The rules in the database."""
        self._unrecorded: dict[str, Any] | None = None
        """The rules of a full scan that ended, until all old photos that it found are recorded."""

    def begin(self, before: Gallery | None) -> None:
        """Start from what the database knows; `before` is the gallery's row before it went online."""
        self._never_scanned = self._recorder.is_first_scan(self._scanner.root)
        if before is not None and before.rules is not None:
            self._recorded = before.rules
            self._set_rules_before(before.rules)

    @property
    def next_is_first(self) -> bool:
        """Whether all that the next full scan finds is old."""
        return self._never_scanned and self._unrecorded is None

    def leave(self, folder: Path, hidden: Mapping[str, str]) -> None:
        """Leave queued photos alone that a change of the rules ignores, name and rule."""
        self._some_hidden = True
        self._recorder.leave(folder, hidden)

    def end(self, full_scan: FullScan, unvisited: set[str]) -> None:
        """Record what a full scan has shown that has ended; it did not visit these known folders."""
        self._leave_folders(unvisited)
        rules = ignore_rules.recorded(self._recorder.settings, full_scan.ignore_files)
        rules["identity"] = filesystems.identity(self._scanner.root)
        if self._some_hidden or rules != self._last:
            self._recorder.show_again(self._scanner.rules)
        self._some_hidden, self._last, self._unrecorded = False, rules, rules
        self._set_rules_before(rules)
        columns: dict[str, Any] = {"photos": full_scan.photos}
        columns["scan_seconds"] = time.monotonic() - full_scan.began
        if not self._never_scanned:
            columns["scanned_at"] = database_now()
        self._recorder.note(**columns)

    def note_recorded(self) -> None:
        """Record that a full scan is done, and its rules, once all old photos have settled."""
        if self._unrecorded is None or any(photo.old for photo in self._scanner.unsettled()):
            return
        if self._never_scanned:
            self._never_scanned = False
            self._recorder.note(scanned_at=database_now())
            log.info("gallery %s: the first full scan has ended", self._recorder.name)
        if self._unrecorded != self._recorded:
            self._recorded = self._unrecorded
            self._recorder.note(rules=self._recorded)
        self._unrecorded = None

    def _leave_folders(self, folders: set[str]) -> None:
        """Leave alone what is queued in those known folders that the rules ignore now."""
        before = self._scanner.rules_before
        for folder in folders:
            rule = self._scanner.rules.of(folder)
            if isinstance(rule, str) and not (before and isinstance(before.of(folder), str)):
                self._some_hidden = True
                self._recorder.leave_folder(Path(folder), rule)

    def _set_rules_before(self, rules: Mapping[str, Any]) -> None:
        self._scanner.rules_before = ignore_rules.from_record(self._scanner.root, rules)
