"""The mounts of this machine: real ones, in a user namespace of their own."""

import os

import pytest

from storage import filesystems
from storage.database.engine import open_engine
from storage.errors import SettingsError


def test_the_mount_of_a_folder_is_the_innermost_and_the_last(in_namespace):
    assert in_namespace("""
os.makedirs("a b/in")
here = os.getcwd()
sh("mount", "-t", "tmpfs", "one", "a b")
os.mkdir("a b/in")
sh("mount", "-t", "tmpfs", "two", "a b/in")
sh("mount", "-t", "tmpfs", "three", "a b/in")
for path in ("a b", "a b/in", "a bc"):
    mount = filesystems.mount_of(f"{here}/{path}")
    print(mount.source if mount.kind == "tmpfs" else "outside", mount.tells_events)
""") == ["one True", "three True", "outside True"]


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p"])
def test_shares_are_not_trusted_to_tell_events(kind):
    assert not filesystems.Mount(1, "/", "/mnt", kind, "server:/photos").tells_events


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"])
def test_local_filesystems_are_trusted_to_tell_events(kind):
    assert filesystems.Mount(1, "/", "/mnt", kind, "/dev/sda1").tells_events


def test_the_limit_of_watches_and_those_in_use_are_the_kernel_s(tmp_path):
    from daemon.watching.inotify import ChangedFolders, InotifyWatch

    for number in range(5):
        (tmp_path / f"{number}/in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert 0 < filesystems.watch_budget() < 2**31
    assert filesystems.folders(str(tmp_path), 100) == 11
    before = filesystems.watches()

    watch = InotifyWatch(ChangedFolders(str(tmp_path)))
    assert filesystems.watches() - before == 11
    assert watch.is_alive()
    watch.close()
    assert filesystems.watches() == before


def test_the_same_place_with_another_filesystem_has_another_identity(in_namespace):
    first, same, second = in_namespace("""
os.mkdir("g")
root = os.path.realpath("g")
print(filesystems.identity(root)); print(filesystems.identity(root))
sh("mount", "-t", "tmpfs", "share", root)
print(filesystems.identity(root))
""")
    assert first == same != second


def mounted_as(kind: str, point: str, source: str = "server:/photos") -> str:
    return f"40 20 0:50 / {point} rw,relatime shared:1 - {kind} {source} rw\n"


def test_a_mount_point_may_have_any_name(tmp_path, monkeypatch):
    odd = os.fsdecode(b"/mnt/caf\xe9 bar")
    lines = mounted_as("ext4", "/") + mounted_as("cifs", odd.replace(" ", r"\040"), odd[5:8])
    (tmp_path / "mountinfo").write_bytes(os.fsencode(lines))
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "mountinfo")
    mount = filesystems.mount_of(f"{odd}/2024")
    assert (mount.point, mount.kind, mount.source) == (odd, "cifs", "caf")
    assert filesystems.mount_of("/mnt").kind == "ext4"


def test_a_path_in_no_visible_mount_is_on_an_unknown_filesystem(tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_text(mounted_as("proc", "/proc"))
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "mountinfo")
    assert filesystems.mount_of("/home/me").kind == "unknown"
    assert filesystems.identity(str(tmp_path)).startswith("unknown unknown / ")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs"])
def test_sqlite_is_refused_on_a_share(kind, tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_text(mounted_as("ext4", "/") + mounted_as(kind, str(tmp_path)))
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "mountinfo")
    with pytest.raises(SettingsError, match=rf"network share \({kind}\).*set state_dir"):
        open_engine(f"sqlite:///{tmp_path}/state/photomend.db")


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "fuse.mergerfs", "unknown"])
def test_sqlite_is_opened_elsewhere(kind, tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_text(mounted_as(kind, str(tmp_path)))
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "mountinfo")
    open_engine(f"sqlite:///{tmp_path}/photomend.db").dispose()
