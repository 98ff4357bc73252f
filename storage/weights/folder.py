"""The weights of the paper engine: find them by name, fetch them, check them.

They lie in one folder, under their own names, so that a machine without a network can be given them
by hand. Only files whose hash is right are used.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import quote

from storage.errors import (
    LicenceNotAccepted,
    NoRoom,
    WeightsMissing,
    WeightsUnknown,
    WeightsWrong,
)
from storage.settings import settings
from storage.weights import download
from storage.weights import hashes as pins
from storage.weights.catalogue import TABLE, File, Weights
from storage.weights.partial_file import part_of


class State(StrEnum):
    """What is in the folder of some weights, by a look that reads no contents."""

    CHECKED = "checked"
    """All files are there and have not changed since they were found right."""
    THERE = "not checked"
    """All files are there; `photomend weights verify` reads them, and so does who needs them."""
    PARTLY = "partly"
    """Something is there: a file of several, or the beginning of one."""
    MISSING = "missing"


def named(name: str, others: Sequence[str] = ()) -> Weights:
    """Return the weights of a name; upper and lower case are one.

    `others` are words that could have been meant as well.

    Raises:
        WeightsUnknown: there are none; the message names the nearest word.

    """
    if same := [weights for weights in TABLE if weights.name.lower() == name.lower()]:
        return same[0]
    known = {word.lower(): word for word in (*(weights.name for weights in TABLE), *others)}
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {known[near[0]]}?" if near else "`photomend weights list` names them"
    raise WeightsUnknown(f"there are no weights {name!r}; {hint}")


def path(name: str) -> Path:
    """Return the file of some weights, or the folder of several files, when all of it is right.

    Raises:
        WeightsUnknown: there are none of this name.
        WeightsMissing: a file is not there.
        WeightsWrong: a file is not the one it should be.

    """
    weights, folder = named(name), settings().weights_root
    verify(weights, folder)
    return folder / weights.place


def told(name: str) -> str:
    """Return the name of some weights that were checked, and what their hashes begin with.

    For receipts: with it one can tell later which files a copy was made with.
    """
    weights, recorded = named(name), pins.read(settings().weights_root)
    hashes = (recorded[file.path].sha256[:8] for file in weights.files if file.path in recorded)
    return " ".join((weights.name, *hashes))


def verify(
    weights: Weights, folder: Path, *, again: bool = False, trust: bool = False
) -> list[pins.Pin]:
    """Check all files, and return what is recorded of them; see `pins.check` for the options.

    Raises:
        WeightsMissing: a file is not there.
        WeightsWrong: a file is not the one it should be.

    """
    try:
        return [pins.check(folder, file, again=again, trust=trust) for file in weights.files]
    except FileNotFoundError as error:
        raise WeightsMissing(
            f"{error.filename} is not there; put it there, or: photomend weights pull {weights.name}"
        ) from error


def look(weights: Weights, folder: Path) -> State:
    """Say what is there, without reading it.

    Raises:
        WeightsWrong: the record of hashes is damaged.

    """
    recorded = pins.read(folder)
    there = [file for file in weights.files if (folder / file.path).is_file()]
    if len(there) == len(weights.files):
        known = all(pins.stands(folder, file, recorded.get(file.path)) for file in there)
        return State.CHECKED if known else State.THERE
    begun = any(part_of(folder / file.path).is_file() for file in weights.files)
    return State.PARTLY if there or begun else State.MISSING


def is_here(name: str) -> bool:
    """Say whether all files of some weights are there, without reading them."""
    return look(named(name), settings().weights_root) in (State.THERE, State.CHECKED)


def pull(
    weights: Weights, folder: Path, *, accepted: bool = False, mirror: str = "",
    least_free_bytes: int = 0, patience: download.Patience | None = None,
    tell: Callable[[File, int, int | None], None] = lambda file, done, total: None,
) -> Iterator[tuple[File, str | None]]:  # fmt: skip
    """Fetch what is missing or wrong; yield each file and where it came from, None if it was right.

    `accepted` says that the user accepts the licence. `tell` hears how far a file has come, in
    bytes, and its size if that is known.

    Raises:
        LicenceNotAccepted: something is missing that is not free for all.
        NoRoom: the disk is too full.
        WeightsUnreachable: no origin gave the file; what arrived is kept.
        WeightsWrong: all origins have another file.
        WeightsBusy: another process fetches it.

    """
    ask([weights], folder, accepted=accepted)
    wanted = [file for file in weights.files if not _is_right(folder, file)]
    _make_room(weights, wanted, folder, least_free_bytes)
    for file in weights.files:
        origin = None
        if file in wanted:
            recorded = pins.read(folder).get(file.path)
            origin = download.fetch(
                _mirrored(file, mirror), folder / file.path,
                file.sha256 or (recorded.sha256 if recorded else None),
                partial(pins.arrived, folder, file),
                patience=patience or download.Patience(), least_free_bytes=least_free_bytes,
                tell=partial(tell, file),
            )  # fmt: skip
        yield file, origin


def ask(wanted: Iterable[Weights], folder: Path, *, accepted: bool) -> None:
    """Stop before a licence that must be accepted first, if anything must be fetched at all.

    Raises:
        LicenceNotAccepted: it was not; the message names all such licences.

    """
    missing = (State.MISSING, State.PARTLY)
    bound = [w for w in wanted if not w.commercial and look(w, folder) in missing]
    if bound and not accepted:
        terms = "; ".join(f"{weights.name}: {weights.licence}" for weights in bound)
        raise LicenceNotAccepted(
            f"these licences are not free for all: {terms}. Who accepts them adds --accept"
        )


def _is_right(folder: Path, file: File) -> bool:
    try:
        pins.check(folder, file)
    except (FileNotFoundError, WeightsWrong):
        return False
    return True


def _make_room(weights: Weights, wanted: Sequence[File], folder: Path, least: int) -> None:
    """Refuse before the first byte what cannot fit, so that no night is lost."""
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    coming = sum(file.likely_bytes - _begun(folder / file.path) for file in wanted)
    if wanted and free - coming < least:
        raise NoRoom(
            f"{there} has {free:,} bytes free; {weights.name} needs about {coming:,} more, "
            f"and {least:,} shall stay free"
        )


def _begun(target: Path) -> int:
    try:
        return part_of(target).stat().st_size
    except FileNotFoundError:
        return 0


def _mirrored(file: File, mirror: str) -> File:
    if not mirror:
        return file
    return dataclasses.replace(file, origins=(f"{mirror.rstrip('/')}/{quote(file.path)}",))
