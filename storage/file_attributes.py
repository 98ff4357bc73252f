"""Give copies the permissions, times and extended attributes of their sources."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from storage import beneath
from storage.beneath import Beneath

_NOT_ALLOWED = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS,
                errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.ENODATA)  # fmt: skip
"""Errors of filesystems that cannot set times, permissions or attributes, or have no room for them."""
_OWNERS = "user."
"""The attributes that programs of the owner set: tags, ratings and comments of file managers."""
_OF_BYTES = re.compile(r"sha\d|md5|crc|hash|checksum", re.IGNORECASE)
"""Names of attributes that hold a checksum of the source's bytes."""


def keep(source: Path | Beneath, copy: BinaryIO) -> None:
    """Give an open file the source's extended attributes, permissions and times, where allowed.

    Never its owner or group, set-user-id bits or checksums.
    """
    copied = copy.fileno()
    copy.flush()  # what is written later would change the times
    with beneath.at(source).latest().open() as file:
        status = os.fstat(theirs := file.fileno())
        with _where_allowed():
            for name in os.listxattr(theirs):
                if name.startswith(_OWNERS) and not _OF_BYTES.search(name):
                    with _where_allowed():
                        os.setxattr(copied, name, os.getxattr(theirs, name))
    with _where_allowed():
        os.fchmod(copied, status.st_mode & 0o777)
    with _where_allowed():
        os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns))


def make_root(source: Path, copy: Path) -> None:
    """Make a folder of the owner's, with the permissions of another one, unless it is there."""
    if copy.is_dir():
        return
    copy.mkdir(parents=True, exist_ok=True)
    with _where_allowed():
        copy.chmod(_mode_like(source.stat(), copy.stat()))


def make_folder(source: Beneath, copy: Beneath) -> None:
    """Make a folder below a root, and those that it is in, with the permissions of the source's.

    What is there stays as it is. The owner may always write into a new folder.

    Raises:
        OSError: one of those that it is in is no folder (ENOTDIR), or a link (ELOOP).

    """
    make_root(source.root, copy.root)
    for below in [*reversed(copy.relative.parents), copy.relative][1:]:
        with suppress(FileExistsError):
            with Beneath(copy.root, below).folder() as inside:
                os.mkdir(below.name, 0o700, dir_fd=inside)
            with (
                suppress(OSError),
                beneath.folder(source.root, below) as theirs,
                beneath.folder(copy.root, below) as ours,
            ):
                os.fchmod(ours, _mode_like(os.fstat(theirs), os.fstat(ours)))


def _mode_like(source: os.stat_result, copy: os.stat_result) -> int:
    return stat.S_IMODE(copy.st_mode) & 0o7000 | source.st_mode & 0o777 | 0o700


@contextmanager
def _where_allowed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
