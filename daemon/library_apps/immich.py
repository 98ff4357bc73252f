"""Stack each result in immich with its original, the result in front; undo that when it is removed.

Each step looks first at what immich has, so a turn that was interrupted may be repeated. immich
itself is never asked to write into its libraries: it would do so for a description or a rating.
"""

import logging
import time
from contextlib import suppress
from pathlib import PurePosixPath

from daemon.library_apps.errors import NotThere, Refused, Trouble, Unmapped
from daemon.library_apps.immich_api import Asset, Immich
from daemon.library_apps.told import Told
from storage.database.records import Followup, Job
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import IMMICH, ImmichSettings
from storage.text import printable

log = logging.getLogger(__name__)

SCAN_PAUSE_SECONDS = 1800.0
"""Shortest pause between two scans of a library, which has immich look at each of its files."""


class ImmichApp:
    """The immich of the settings."""

    name = IMMICH

    def __init__(self, known: ImmichSettings) -> None:
        self._settings = known
        self._immich = Immich(known)
        self._scanned_at: dict[str, float] = {}
        """When a scan was asked for, by the path of the library in immich (monotonic seconds)."""

    def tell(self, taken: Followup, job: Job, gallery: GallerySettings) -> Told:
        """Stack the result with its original, or undo that if there is no result any more."""
        original = self._settings.path_of(gallery.path / taken.source)
        result = self._settings.path_of(gallery.output_root / taken.output)
        if original is None or result is None:
            raise Unmapped(f"{printable(taken.output)} is in no folder of [[immich.libraries]]")
        if job.output == taken.output:
            if (taken.known or {}).get("done"):  # what its owner made of it meanwhile stays
                return Told(None, taken.known)
            return self._stack(original, result, job)
        return self._unstack(original, result, taken)

    def _stack(self, original: str, result: str, job: Job) -> Told:
        refused: Refused | None = None
        for one, other in self._pairs(original, result):
            try:
                return self._link(one, other, job)
            except Refused as error:  # they belong to another user, whose photos this one sees
                refused = error
        raise refused or NotThere(f"no user of immich has both {original} and {result}")

    def _pairs(self, original: str, result: str) -> list[tuple[Asset, Asset]]:
        """Return the assets of the original and the result, for each user who has both."""
        found = []
        for path in (result, original):
            found.append(self._immich.find(path))
            if not found[-1]:
                self._scan(path)
                raise NotThere(f"immich does not know {printable(path)} yet")
        results, originals = found
        return [(one, other) for one in originals for other in results if one.owner == other.owner]

    def _link(self, original: Asset, result: Asset, job: Job) -> Told:
        """Stack two assets, and carry over what the original has."""
        now = [self._immich.asset(each.id) for each in (original, result)]
        if now[0] is None or now[1] is None:
            raise NotThere(f"immich has removed {printable(result.path)} or its original")
        original, result = now[0], now[1]
        stack = result.stack.id if result.stack else self._make_stack(original, result)
        self._carry_albums(original, result)
        self._carry_flags(original, result)
        with suppress(Refused):
            self._immich.note(result.id, {"original": original.id, "job": job.id})
        known = {"done": True, "original": original.id, "result": result.id, "stack": stack}
        return Told("stacked in immich with its original", known)

    def _make_stack(self, original: Asset, result: Asset) -> str:
        """Stack both with what the original is stacked with; another photo stays in front of these."""
        front = original.stack.primary if original.stack else original.id
        order = (
            [result.id, original.id] if front == original.id else [front, result.id, original.id]
        )
        return self._immich.make_stack(order)

    def _carry_albums(self, original: Asset, result: Asset) -> None:
        has = set(self._immich.albums(result.id))
        for album in self._immich.albums(original.id):
            if album not in has:
                with suppress(Refused):  # an album of others, to which this user may not add
                    self._immich.add_to_album(album, result.id)

    def _carry_flags(self, original: Asset, result: Asset) -> None:
        changes: dict[str, object] = {}
        if original.favourite and not result.favourite:
            changes["isFavorite"] = True
        if original.archived and not result.archived:
            changes["visibility"] = "archive"
        if changes:
            self._immich.update(result.id, **changes)

    def _unstack(self, original: str, result: str, taken: Followup) -> Told:
        """Take the result out of its stack: immich hides the original as long as it is in front."""
        known, refused, done = taken.known or {}, None, False
        results = {asset.id for asset in self._immich.find(result, deleted=True)}
        originals = {asset.id for asset in self._immich.find(original, deleted=True)}
        for asset_id in originals | ({known["original"]} if "original" in known else set()):
            try:
                ids = results | ({known["result"]} if "result" in known else set())
                done |= self._take_out(asset_id, ids)
            except Refused as error:  # it belongs to another user
                refused = error
        if refused is not None and not done:
            raise refused
        if results:
            self._scan(result)
        return Told("taken out of its stack in immich" if done else None)

    def _take_out(self, original: str, results: set[str]) -> bool:
        """Take results out of the stack of an original; return whether one was in it."""
        asset = self._immich.asset(original)
        stack = self._immich.stack(asset.stack.id) if asset and asset.stack else None
        if stack is None or not (ours := {*stack.assets, stack.primary} & results):
            return False
        if not set(stack.assets) - results - {original}:
            self._immich.delete_stack(stack.id)
            return True
        if stack.primary in ours:
            self._immich.set_front(stack.id, original)
        for result in sorted(ours):
            self._immich.remove_from_stack(stack.id, result)
        return True

    def _scan(self, path: str) -> None:
        """Ask immich to scan the library of a path, at most every half an hour."""
        if not self._settings.scan:
            return
        folder = PurePosixPath(path)
        present = time.monotonic()
        for library in self._settings.libraries:
            mine = library.immich_path
            last = self._scanned_at.get(mine, present - SCAN_PAUSE_SECONDS)
            if folder.is_relative_to(mine) and present - last >= SCAN_PAUSE_SECONDS:
                self._scanned_at[mine] = present
                try:
                    self._scan_libraries_of(folder)
                except (Trouble, Refused) as error:  # immich scans by itself once a day
                    log.info("immich is not asked to scan %s: %s", printable(mine), error)

    def _scan_libraries_of(self, file: PurePosixPath) -> None:
        for library in self._immich.libraries():
            if any(file.is_relative_to(path) for path in library.paths):
                self._immich.scan(library.id)
