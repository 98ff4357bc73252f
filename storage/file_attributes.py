"""Give copies the permissions, times and extended attributes of their sources."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOT_ALLOWED = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS,
                errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.ENODATA)  # fmt: skip
"""Errors of filesystems that cannot set times, permissions or attributes, or have no room for them."""
_OWNERS = "user."
"""The attributes that programs of the owner set: tags, ratings and comments of file managers."""
_OF_BYTES = re.compile(r"sha\d|md5|crc|hash|checksum", re.IGNORECASE)
"""Names of attributes that hold a checksum of the source's bytes."""


def keep(source: Path, copy: Path) -> None:
    """Give a file the source's extended attributes, permissions and times, where that is allowed.

    Never its owner or group, set-user-id bits or checksums.
    """
    status = source.stat()
    with _where_allowed():
        for name in os.listxattr(source):
            if name.startswith(_OWNERS) and not _OF_BYTES.search(name):
                with _where_allowed():
                    os.setxattr(copy, name, os.getxattr(source, name))
    with _where_allowed():
        copy.chmod(status.st_mode & 0o777)
    with _where_allowed():
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def make_folder(source: Path, copy: Path, levels: int) -> None:
    """Make a folder, and up to `levels` of its parents, with the permissions of the source's.

    Those that are there stay as they are. The owner may always write into a new one.
    """
    if copy.is_dir():
        return
    if levels > 0:
        make_folder(source.parent, copy.parent, levels - 1)
    copy.mkdir(parents=True, exist_ok=True)
    with _where_allowed():
        mode = stat.S_IMODE(copy.stat().st_mode) & 0o7000
        copy.chmod(mode | source.stat().st_mode & 0o777 | 0o700)


@contextmanager
def _where_allowed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
