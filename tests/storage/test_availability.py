"""Where galleries lie: real mounts, in a user namespace of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from storage import availability

UNSHARE = ["unshare", "-rm", sys.executable, "-c"]


@pytest.fixture
def in_namespace(tmp_path):
    """Run a program that may mount; what it prints is returned."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow user namespaces")

    def run(program: str) -> list[str]:
        prelude = (
            "import os, subprocess\nfrom pathlib import Path\nfrom storage import availability\n"
            "sh = lambda *words: subprocess.run(words, check=True)\n"
        )
        ended = subprocess.run(
            [*UNSHARE, prelude + program], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    return run


def test_the_mount_of_a_folder_is_the_innermost_and_the_last(in_namespace):
    assert in_namespace("""
os.makedirs("a b/in")
here = os.getcwd()
sh("mount", "-t", "tmpfs", "one", "a b")
os.mkdir("a b/in")
sh("mount", "-t", "tmpfs", "two", "a b/in")
sh("mount", "-t", "tmpfs", "three", "a b/in")
for path in ("a b", "a b/in", "a bc"):
    mount = availability.mount_of(f"{here}/{path}")
    print(mount.source if mount.kind == "tmpfs" else "outside", mount.tells_events)
""") == ["one True", "three True", "outside True"]


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p"])
def test_shares_are_not_trusted_to_tell_events(kind):
    assert not availability.Mount(1, "/", "/mnt", kind, "server:/photos").tells_events


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"])
def test_local_filesystems_are_trusted_to_tell_events(kind):
    assert availability.Mount(1, "/", "/mnt", kind, "/dev/sda1").tells_events


def test_the_limit_of_watches_and_those_in_use_are_the_kernel_s(tmp_path):
    from daemon.watching.inotify import ChangedFolders, InotifyWatch

    for number in range(5):
        (tmp_path / f"{number}/in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert 0 < availability.watch_budget() < 2**31
    assert availability.folders(str(tmp_path), 100) == 11
    before = availability.watches()
    watch = InotifyWatch(ChangedFolders(str(tmp_path)))
    assert availability.watches() - before == 11
    assert watch.is_alive()
    watch.close()
    assert availability.watches() == before


def why(path: Path, known: list[str], identity: str | None = None, **wishes: Path) -> str | None:
    point = wishes.get("mount_point")
    return availability.why_offline(path, point, identity, lambda: list(map(Path, known)))


def test_a_gallery_of_which_nothing_is_known_may_be_any_folder(tmp_path):
    assert why(tmp_path, []) is None


def test_a_missing_folder_is_offline(tmp_path):
    assert "is not there" in str(why(tmp_path / "away", []))
    assert "is not there" in str(why(tmp_path / "away", ["cat.jpg"]))


def test_an_empty_folder_where_photos_are_known_is_offline(tmp_path):
    (tmp_path / "lost+found").mkdir()
    assert "is empty" in str(why(tmp_path, ["cat.jpg"], availability.identity(str(tmp_path))))


def test_another_folder_is_offline_unless_it_holds_half_of_what_is_known(tmp_path):
    (tmp_path / "cat.jpg").touch()
    assert why(tmp_path, ["cat.jpg", "dog.jpg"], "ext4 elsewhere") is None
    reason = str(why(tmp_path, ["cat.jpg", "dog.jpg", "cow.jpg"], "ext4 elsewhere"))
    assert "holds 1 of 3" in reason and "findmnt -T" in reason


def test_the_same_folder_may_lose_any_photos_but_not_all(tmp_path):
    (tmp_path / "new.jpg").touch()
    assert why(tmp_path, ["cat.jpg", "dog.jpg"], availability.identity(str(tmp_path))) is None


def test_a_folder_that_must_be_mounted_is_offline_while_it_is_not(in_namespace, tmp_path):
    (tmp_path / "point").mkdir()
    assert "nothing is mounted" in str(why(tmp_path, [], mount_point=tmp_path / "point"))
    assert in_namespace("""
point = Path(os.getcwd(), "point")
sh("mount", "-t", "tmpfs", "share", point)
print(availability.why_offline(point, point, None, list))
""") == ["None"]


def test_the_same_place_with_another_filesystem_has_another_identity(in_namespace):
    first, same, second = in_namespace("""
os.mkdir("g")
root = os.path.realpath("g")
print(availability.identity(root)); print(availability.identity(root))
sh("mount", "-t", "tmpfs", "share", root)
print(availability.identity(root))
""")
    assert first == same != second


def test_a_folder_that_cannot_be_listed_is_offline(tmp_path):
    file = tmp_path / "gallery"
    file.touch()
    assert "cannot be read" in str(why(file, []))
