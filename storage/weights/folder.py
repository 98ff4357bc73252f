"""The weights of the paper engine: find them by name, download them, check them.

They are in one folder, under their own names, so that they can be copied there by hand on a machine
without a network. Only files whose hash is right are used.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from storage.errors import LicenceNotAccepted, WeightsMissing, WeightsUnknown, WeightsWrong
from storage.settings import settings
from storage.weights import hashes
from storage.weights.catalogue import TABLE, File, Weights
from storage.weights.partial_file import part_path, require_space

if TYPE_CHECKING:
    from storage.weights.download import NetworkLimits


class State(StrEnum):
    """Which files of some weights are in the folder; their contents are not read."""

    CHECKED = "checked"
    """All files are there, and have not changed since they were checked."""
    UNCHECKED = "not checked"
    """All files are there; `photomend weights verify`, or their first use, checks them."""
    PARTIAL = "partly"
    """Some of the files are there, or the beginning of one."""
    MISSING = "missing"


def find(name: str, others: Sequence[str] = ()) -> Weights:
    """Return the weights with a name, in upper or lower case.

    `others` are words that the message may suggest as well.

    Raises:
        WeightsUnknown: there are none; the message suggests the nearest word.

    """
    if same := [weights for weights in TABLE if weights.name.lower() == name.lower()]:
        return same[0]
    words = {word.lower(): word for word in (*(weights.name for weights in TABLE), *others)}
    near = get_close_matches(name.lower(), words, n=1, cutoff=0.4)
    hint = f"did you mean {words[near[0]]}?" if near else "`photomend weights list` names them"
    raise WeightsUnknown(f"there are no weights {name!r}; {hint}")


def path(name: str) -> Path:
    """Return the file of some weights, or the folder of their files, after checking all files.

    Raises:
        WeightsUnknown: there are none of this name.
        WeightsMissing: a file does not exist.
        WeightsWrong: a file is damaged or another one.

    """
    weights, folder = find(name), settings().weights_root
    verify(weights, folder)
    return folder / weights.place


def description(name: str) -> str:
    """Return the name of checked weights and the first 8 digits of each recorded hash.

    Receipts contain it, so that one can tell later which files a copy was made with.
    """
    weights, recorded = find(name), hashes.read(settings().weights_root)
    known = (recorded[file.path].sha256[:8] for file in weights.files if file.path in recorded)
    return " ".join((weights.name, *known))


def verify(
    weights: Weights, folder: Path, *, reread: bool = False, trust: bool = False
) -> list[hashes.RecordedHash]:
    """Check all files and return their recorded hashes; `hashes.check` explains the options.

    Raises:
        WeightsMissing: a file does not exist.
        WeightsWrong: a file is damaged or another one.

    """
    try:
        return [hashes.check(folder, file, reread=reread, trust=trust) for file in weights.files]
    except FileNotFoundError as error:
        raise WeightsMissing(
            f"{error.filename} is not there; put it there, or: photomend weights pull {weights.name}"
        ) from error


def state(weights: Weights, folder: Path) -> State:
    """Return which files are there, without reading them.

    Raises:
        WeightsWrong: the record of hashes is damaged.

    """
    recorded = hashes.read(folder)
    there = [file for file in weights.files if (folder / file.path).is_file()]
    if len(there) == len(weights.files):
        checked = all(hashes.is_unchanged(folder, f, recorded.get(f.path)) for f in there)
        return State.CHECKED if checked else State.UNCHECKED
    begun = any(part_path(folder / file.path).is_file() for file in weights.files)
    return State.PARTIAL if there or begun else State.MISSING


def is_present(name: str) -> bool:
    """Return True if all files of some weights are there; they are not read."""
    return state(find(name), settings().weights_root) in (State.UNCHECKED, State.CHECKED)


def pull(
    weights: Weights, folder: Path, *, accepted: bool = False, mirror: str = "",
    min_free_bytes: int = 0, limits: "NetworkLimits | None" = None,
    progress: Callable[[File, int, int | None], None] = lambda file, done, total: None,
) -> Iterator[tuple[File, str | None]]:  # fmt: skip
    """Download what is missing or wrong; yield each file and its address, None if it was right.

    `accepted` means that the user accepts the licence. `mirror` is an address that replaces all
    origins. `progress` takes a file, the bytes received, and its size if that is known.

    Raises:
        LicenceNotAccepted: a file is missing whose licence must be accepted first.
        NoRoom: the disk is too full.
        WeightsUnreachable: no origin sent all of the file; what arrived is kept.
        WeightsWrong: all origins have another file.
        WeightsBusy: another process downloads it.

    """
    from storage.weights import download

    require_licences([weights], folder, accepted=accepted)
    wanted = [file for file in weights.files if not _is_right(folder, file)]
    _require_space(weights, wanted, folder, min_free_bytes)
    for file in weights.files:
        origin = None
        if file in wanted:
            recorded = hashes.read(folder).get(file.path)
            origin = download.fetch(
                _mirrored(file, mirror), folder / file.path,
                file.sha256 or (recorded.sha256 if recorded else None),
                partial(hashes.record_download, folder, file),
                limits=limits or download.NetworkLimits(), min_free_bytes=min_free_bytes,
                progress=partial(progress, file), instead=weights.instead,
            )  # fmt: skip
        yield file, origin


def require_licences(wanted: Iterable[Weights], folder: Path, *, accepted: bool) -> None:
    """Raise if files must be downloaded whose licence must be accepted first and is not.

    Raises:
        LicenceNotAccepted: the message names all such licences.

    """
    missing = (State.MISSING, State.PARTIAL)
    bound = [w for w in wanted if not w.commercial and state(w, folder) in missing]
    if bound and not accepted:
        terms = "; ".join(f"{weights.name}: {weights.licence}" for weights in bound)
        raise LicenceNotAccepted(
            f"these licences restrict the use of the weights: {terms}. "
            "If you accept them, add --accept"
        )


def _is_right(folder: Path, file: File) -> bool:
    try:
        hashes.check(folder, file)
    except (FileNotFoundError, WeightsWrong):
        return False
    return True


def _require_space(weights: Weights, wanted: Sequence[File], folder: Path, least: int) -> None:
    """Raise NoRoom before the first download if all of them cannot fit."""
    if wanted:
        existing = next(place for place in (folder, *folder.parents) if place.is_dir())
        needed = sum(file.likely_bytes - _part_bytes(folder / file.path) for file in wanted)
        require_space(existing, weights.name, needed, least)


def _part_bytes(target: Path) -> int:
    try:
        return part_path(target).stat().st_size
    except FileNotFoundError:
        return 0


def _mirrored(file: File, mirror: str) -> File:
    if not mirror:
        return file
    return dataclasses.replace(file, origins=(f"{mirror.rstrip('/')}/{quote(file.path)}",))
