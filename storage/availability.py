"""Where a gallery lies: its filesystem, whether that is still the one we know, what it can tell."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.watching import ignore_rules

_SHARES = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre",
        "beegfs", "gpfs", "ncpfs", "coda", "orangefs", "vboxsf", "vmhgfs", "prl_fs", "virtiofs",
    }
)  # fmt: skip
"""Others may write to these, and inotify says nothing of it."""
_MOUNTS = Path("/proc/self/mountinfo")
_LIMITS = (
    Path("/proc/sys/fs/inotify/max_user_watches"),
    Path("/proc/sys/user/max_inotify_watches"),
)


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo."""

    id: int
    """A filesystem that is mounted again gets a new one."""
    root: str
    """The folder of the filesystem that is mounted here."""
    point: str
    kind: str
    """ext4, nfs4, fuse.sshfs, …"""
    source: str
    """Device or share."""

    @property
    def tells_events(self) -> bool:
        """Whether inotify sees all that happens there."""
        return (
            self.kind not in _SHARES and self.kind != "fuse" and not self.kind.startswith("fuse.")
        )


def mount_of(path: str) -> Mount:
    """Return the mount that `path`, free of symbolic links, lies in: the longest that fits.

    Of several at the same place the last one hides the others.
    """
    best: Mount | None = None
    for line in _MOUNTS.read_bytes().splitlines():
        mount = _mount(line)
        inside = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    if best is None:
        raise FileNotFoundError(f"{path} is in no mount of this process")
    return best


def identity(root: str) -> str:
    """Return what tells the folder `root` from another that might be found at the same place."""
    mount, inode = mount_of(root), os.stat(root).st_ino  # noqa: PTH116
    return f"{mount.kind} {mount.source} {mount.root} {os.statvfs(root).f_fsid:x} {inode}"


def why_offline(
    path: Path, mount_point: Path | None, known_as: str | None, sample: Callable[[], Sequence[Path]]
) -> str | None:
    """Return what is wrong with a gallery's folder and what to do; None if it is the one we know.

    `sample` gives some photos that should be there; it is asked only when something is odd.
    """
    root = os.path.realpath(path)
    try:
        if mount_point is not None and not _is_mounted(mount_point):
            return (
                f"nothing is mounted at {mount_point} (mount_point); mount it: mount {mount_point}"
            )
        with os.scandir(root) as entries:
            empty = all(ignore_rules.by_name(entry.name) for entry in entries)
        if not empty and identity(root) == known_as:
            return None
        return _why_strange(path, root, empty=empty, known=sample())
    except FileNotFoundError:
        return (
            f"the folder {path} is not there; is its disk or share mounted? Look: findmnt -T {path}"
        )
    except OSError as error:
        return f"the folder {path} cannot be read ({error.strerror}); look: ls -l {path}"


def _why_strange(path: Path, root: str, *, empty: bool, known: Sequence[Path]) -> str | None:
    if not known:
        return None
    if empty:
        return (
            f"the folder {path} is empty, but photos are known in it; is its disk or share "
            f"mounted? Look: findmnt -T {path} (if it was emptied on purpose, nothing is to be "
            "done: it goes on with the first file)"
        )
    found = sum(os.path.lexists(f"{root}/{photo}") for photo in known)
    if 2 * found >= len(known):
        return None
    mount = mount_of(root)
    return (
        f"the folder {path} is now on {mount.source} ({mount.kind}) and holds {found} of "
        f"{len(known)} photos looked for, such as {str(known[0])!a}; is the right disk or "
        f"share mounted? Look: findmnt -T {path}"
    )


def _is_mounted(point: Path) -> bool:
    found = os.path.realpath(point)
    os.stat(found)  # noqa: PTH116  - an automounter mounts now
    return mount_of(found).point == found


def watch_budget() -> int:
    """Return how many folders one gallery may have watched: half of what a user is allowed."""
    return min(int(limit.read_text()) for limit in _LIMITS if limit.exists()) // 2


def watches() -> int:
    """Return how many inotify watches this process has, by the kernel's own count."""
    count = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(file) == "anon_inode:inotify":  # noqa: PTH115
                text = Path("/proc/self/fdinfo", file.name).read_text()
                count += text.count("inotify wd:")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return count


def folders(root: str, limit: int) -> int:
    """Count the folders that would be watched, ignored ones too, but not far beyond `limit`."""
    count, later = 0, [root]
    while later and count <= limit:
        try:
            with os.scandir(later.pop()) as entries:
                later += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # nor can it be watched
        count += 1
    return count


def _mount(line: bytes) -> Mount:
    before, _, after = line.partition(b" - ")
    number, _, _, root, point = map(_unescaped, before.split()[:5])
    kind, source = map(_unescaped, after.split(b" ")[:2])
    shown = [part.decode(errors="backslashreplace") for part in (root, kind, source)]
    return Mount(int(number), shown[0], os.fsdecode(point), shown[1], shown[2])


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), field)
