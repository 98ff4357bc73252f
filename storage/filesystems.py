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
    device: str = ""
    """Major and minor number of the filesystem, the same for all its mounts; "" if unknown."""

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
    mounted = f"{mount.kind} {mount.source} {printable(mount.root)}"
    return f"{mounted} {os.statvfs(root).f_fsid:x} {inode}"


@dataclass(frozen=True)
class Location:
    """A folder by what it is: all symbolic links, `..` and bind mounts are resolved."""

    path: Path
    """Its real path."""
    device: str
    """The filesystem that it is on, as in `Mount`."""
    device_path: Path
    """Its path in that filesystem, whatever the mount point."""

    def is_inside(self, other: "Location") -> bool:
        """Return whether this is the folder `other`, or below it."""
        by_path = self.path.is_relative_to(other.path)
        same_device = self.device == other.device != ""
        return by_path or (same_device and self.device_path.is_relative_to(other.device_path))


def location(path: Path) -> Location:
    """Return where a folder is; it may be missing."""
    real = os.path.realpath(path)
    mount = mount_of(real)
    return Location(
        Path(real), mount.device, Path(mount.root, os.path.relpath(real, mount.point or "/"))
    )


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
    number, _, device, root, point = map(_unescaped, before.split()[:5])
    kind, source = map(_unescaped, after.split(b" ")[:2])
    return Mount(int(number), root, point, printable(kind), printable(source), device)


def _unescaped(field: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), field))
