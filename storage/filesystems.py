"""The mounts of this machine: which are network shares, and what inotify can watch on them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from storage.text import printable

NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre",
        "beegfs", "gpfs", "ncpfs", "coda", "orangefs", "vboxsf", "vmhgfs", "prl_fs", "virtiofs",
        "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gvfsd-fuse",
        "fuse.vmhgfs-fuse", "fuse.grpcfuse",
    }
)  # fmt: skip
"""Kinds of filesystem that other machines, or the host of a virtual machine, may write to."""
_MOUNTS = Path("/proc/self/mountinfo")
_LIMITS = (
    Path("/proc/sys/fs/inotify/max_user_watches"),
    Path("/proc/sys/user/max_inotify_watches"),
)


@dataclass(frozen=True)
class Mount:
    """One mount: a line of /proc/self/mountinfo."""

    id: int
    """The kernel's id of the mount; it is new after each mount."""
    root: str
    """The folder of the filesystem that is mounted."""
    point: str
    kind: str
    """ext4, nfs4, fuse.sshfs, …"""
    source: str
    """Device or share."""

    @property
    def is_network(self) -> bool:
        """Whether other machines may write to it; processes cannot share memory through it."""
        return self.kind in NETWORK

    @property
    def tells_events(self) -> bool:
        """Whether inotify reports every change; a FUSE filesystem may be on a network share."""
        return not self.is_network and self.kind.partition(".")[0] != "fuse"


def mount_of(path: str) -> Mount:
    """Return the mount that holds `path`, which must be free of symbolic links.

    Of several at the same place the last one hides the others. A process in a chroot may not see
    its root's mount; the kind and source are then "unknown".
    """
    best = Mount(0, "/", "", "unknown", "unknown")
    for line in _MOUNTS.read_bytes().splitlines():
        mount = _mount(line)
        inside = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if inside and len(mount.point) >= len(best.point):
            best = mount
    return best


def identity(root: str) -> str:
    """Return the identity of the folder `root`: it differs if another folder takes its place."""
    mount, inode = mount_of(root), os.stat(root).st_ino  # noqa: PTH116
    return f"{mount.kind} {mount.source} {mount.root} {os.statvfs(root).f_fsid:x} {inode}"


def watch_budget() -> int:
    """Return the maximum number of watched folders per gallery: half of the user's limit."""
    return min(int(limit.read_text()) for limit in _LIMITS if limit.exists()) // 2


def watches() -> int:
    """Return the number of inotify watches of this process, as the kernel counts them."""
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
    """Return the number of folders to watch, ignored ones included; stop counting above `limit`."""
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
    return Mount(int(number), printable(root), point, printable(kind), printable(source))


def _unescaped(field: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), field))
