"""Check that results can be stacked in immich: address, version, key, permissions and paths."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.library_apps.errors import Refused, Trouble
from daemon.library_apps.immich_api import ALL, PERMISSIONS, SCAN_PERMISSIONS, Immich
from daemon.reports import exposure
from daemon.reports.finding import Finding
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import ImmichSettings
from storage.text import command, printable

OLDEST = (1, 138, 0)
"""The first version that takes a single asset out of a stack."""
NEWEST_MAJOR = 3
"""The newest major version whose requests are known (@immich/sdk 3.2.2)."""
MAKE_KEY = "make a key in immich: Account Settings, API Keys"


def check(known: ImmichSettings, galleries: Mapping[str, GallerySettings]) -> Iterator[Finding]:
    """Check one thing after the other; the first trouble with the server ends it."""
    if not known.url:
        text = "no address is set; write url, api_key_file and libraries into [immich]"
        yield Finding("immich", False, text)
        return
    immich, subject = Immich(known), "immich key file"
    try:
        yield _key_file(immich)
        subject = "immich address"
        version = immich.version()
        yield _address(known, version)
        subject = "immich version"
        yield _version(version)
        subject = "immich key"
        yield from _permissions(immich, scan=known.scan)
        for name, gallery in galleries.items():
            for words, folder in (("gallery", gallery.path), ("output", gallery.output_root)):
                subject = f"immich {words} {name}"
                yield _folder(immich, subject, folder, is_output=words == "output")
    except (Trouble, Refused) as error:
        yield Finding(subject, False, str(error))


def _key_file(immich: Immich) -> Finding:
    subject, file = "immich key file", immich.server.secret_file
    try:
        immich.server.secret()
    except Trouble as error:
        return Finding(subject, False, f"{error}; {MAKE_KEY}")
    assert file is not None
    if immich.server.secret_is_public():
        text = (
            f"every user of this machine can read {printable(file)}: {command('chmod', 'o=', file)}"
        )
        return Finding(subject, False, text)
    return Finding(subject, True, f"{printable(file)} holds a key that only its users can read")


def _address(known: ImmichSettings, version: tuple[int, int, int]) -> Finding:
    number = ".".join(map(str, version))
    open_way = "; the key goes there unencrypted" if exposure.is_open(known.url) else ""
    return Finding("immich address", True, f"immich {number} answers at {known.url}{open_way}")


def _version(version: tuple[int, int, int]) -> Finding:
    if version < OLDEST:
        text = f"it is older than {'.'.join(map(str, OLDEST))}; update immich"
        return Finding("immich version", False, text)
    if version[0] > NEWEST_MAJOR:
        text = f"it is newer than {NEWEST_MAJOR}.x, which photomend knows; if something fails, update it"
        return Finding("immich version", True, text)
    return Finding("immich version", True, "photomend knows it")


def _permissions(immich: Immich, *, scan: bool) -> Iterator[Finding]:
    subject = "immich key"
    try:
        allowed = set(immich.permissions())
    except Refused:
        yield Finding(subject, True, "this version does not name what its keys allow")
        return
    if missing := [] if ALL in allowed else [p for p in PERMISSIONS if p not in allowed]:
        yield Finding(subject, False, f"the key lacks {', '.join(missing)}; add them in immich")
    else:
        yield Finding(subject, True, "the key allows all that is needed")
    if scan:
        yield _scans(immich)


def _scans(immich: Immich) -> Finding:
    try:
        count = len(immich.libraries())
    except (Trouble, Refused):
        text = (
            f"the key may not start scans (that needs {' and '.join(SCAN_PERMISSIONS)} of an "
            "administrator), so results wait for immich's own scan"
        )
        return Finding("immich scans", True, text)
    return Finding("immich scans", True, f"scans of {count} external libraries may be started")


def _folder(immich: Immich, subject: str, folder: Path, *, is_output: bool) -> Finding:
    path = immich.settings.path_of(folder / "photo")
    if path is None:
        text = f"{printable(folder)} is in no folder of [[immich.libraries]]; add it with its path in immich"
        return Finding(subject, False, text)
    path = path.removesuffix("/photo")
    if immich.shows(path):
        return Finding(subject, True, f"immich shows photos of {printable(path)}")
    text = f"immich shows no photo of {printable(path)}"
    if is_output:
        return Finding(subject, True, f"{text} yet; it must be an import path of a library there")
    return Finding(subject, False, f"{text}; is it an import path of a library, and scanned?")
