"""Whether the unix socket of a Redis was made by one who may: others may have put theirs there."""

import os
from itertools import pairwise
from pathlib import Path

SHARED = 0o022
"""Mode of a folder in which its group or all may make entries."""
WORLD = 0o002


def why_not_trusted(path: str) -> str | None:
    """Return who else may have made the socket at `path`; None if nobody, or if there is none.

    An entry of a folder in which others may make entries must be this user's or root's, or in a
    folder that only its group shares, that of the folder's owner.
    """
    places = {Path(path).absolute(), Path(os.path.realpath(path))}
    reasons = (_why_not_trusted(place) for place in places)
    return next((reason for reason in reasons if reason is not None), None)


def _why_not_trusted(path: Path) -> str | None:
    trusted = {0, os.geteuid()}
    chain = [*reversed(path.parents), path]
    for folder, entry in pairwise(chain):
        try:
            around, found = folder.stat(), entry.lstat()
        except OSError:
            return None  # it cannot be connected to
        owners = trusted if around.st_mode & WORLD else trusted | {around.st_uid}
        if around.st_mode & SHARED and found.st_uid not in owners:
            return (
                f"others may write to the folder {folder}, and {entry} belongs to the user "
                f"{found.st_uid}; use a socket in a folder of its own"
            )
        trusted = trusted | {found.st_uid}
    return None
