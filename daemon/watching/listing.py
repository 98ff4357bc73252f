"""List the photos below a folder once, as the watcher's scanner finds them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.watching import ignore_rules
from daemon.watching.scanner import FullScan, Scanner
from storage.settings_gallery import GallerySettings


def photos(gallery: GallerySettings, below: str = "") -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to the gallery, and the fingerprint of each photo in a folder and below it."""
    rules = ignore_rules.gallery_rules(gallery)
    scanner = Scanner(os.path.realpath(gallery.path), rules, lambda _: {}, settle_seconds=0)
    scanner.full_scan = FullScan(to_visit=[below])
    for found in scanner.scan(time.monotonic()):
        for name, photo in sorted(found.settled.items()):
            yield Path(found.folder, name), photo.fingerprint
