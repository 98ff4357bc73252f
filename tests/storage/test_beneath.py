"""Files below a root are reached without following a link, and only if they are what they seem."""

import errno
import hashlib
import os
import signal
import stat
from pathlib import Path

import pytest

from storage import atomic_files, beneath, fingerprints, publishing, system_calls
from storage.beneath import Beneath
from storage.errors import OutputTaken, PathRefused, PhotoChanged


@pytest.fixture(params=["openat2", "each folder"])
def way(request, monkeypatch):
    """Both ways to open a folder: that of Linux 5.6, and that of older ones."""
    if request.param == "each folder":
        monkeypatch.setattr(system_calls, "has_openat2", lambda: False)
    elif not system_calls.has_openat2():
        pytest.skip("this kernel, or a sandbox around the tests, has no openat2")


@pytest.fixture(params=["renameat2", "hard links", "neither"])
def rename(request, monkeypatch):
    """All ways to rename: that of local filesystems, that of NFS, and that of some of FUSE."""
    if request.param != "renameat2":
        monkeypatch.setattr(system_calls, "renameat2", lambda *_: False)
    if request.param == "neither":

        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def root(tmp_path):
    """A root with a photo in it, which is itself reached by a link, beside a private folder."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private/cat.jpg").write_bytes(b"private")
    (tmp_path / "real/a/b").mkdir(parents=True)
    (tmp_path / "real/a/b/cat.jpg").write_bytes(b"photo")
    (tmp_path / "root").symlink_to("real")
    return tmp_path / "root"


def place(root, path="a/b/cat.jpg", recorded=None):
    return Beneath(root, Path(path), recorded)


def swap(path, target):
    """Put a link in the place of a file or a folder."""
    path.rename(path.with_name("moved away"))
    path.symlink_to(target)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.usefixtures("way")
def test_the_path_of_the_root_may_hold_links(root):
    with place(root).open() as file:
        assert file.read() == b"photo"
    assert place(root).status().st_size == 5 and place(root).is_file()
    assert publishing.sha256(place(root)) == sha256(b"photo")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("swapped", ["a", "a/b", "a/b/cat.jpg"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_link_below_the_root_is_not_followed(root, tmp_path, swapped, inside):
    outside = tmp_path / "private"
    (outside / "b").mkdir()
    (outside / "b/cat.jpg").write_bytes(b"private")
    outside = {"a": outside, "a/b": outside / "b", "a/b/cat.jpg": outside / "cat.jpg"}[swapped]
    swap(root / swapped, "moved away" if inside else outside)
    with pytest.raises(OSError) as caught:
        place(root).open().close()
    assert caught.value.errno == errno.ELOOP
    assert place(root).exists() == swapped.endswith("jpg") and not place(root).is_file()
    if not swapped.endswith("jpg"):
        with pytest.raises(OSError, match="link is not followed"):
            atomic_files.draft(place(root), "t").__enter__()
        assert not list(tmp_path.rglob("t"))


@pytest.mark.usefixtures("way")
def test_what_is_missing_or_no_folder_says_so(root):
    with pytest.raises(FileNotFoundError):
        place(root, "a/c/cat.jpg").open()
    with pytest.raises(NotADirectoryError):
        place(root, "a/b/cat.jpg/x").open()
    for path in ("a/c/cat.jpg", "a/b/cat.jpg/x"):
        assert not place(root, path).exists() and publishing.sha256(place(root, path)) is None


def test_what_is_no_regular_file_does_not_hang(root):
    os.mkfifo(root / "pipe")
    for path in ("pipe", "a", ""):
        with pytest.raises(OSError, match="no regular file") as caught:
            place(root, path).open()
        assert caught.value.errno == errno.ENXIO
    assert publishing.sha256(place(root, "pipe")) == ""


@pytest.mark.parametrize("path", ["/etc/passwd", "../private/cat.jpg", "a/../../private/cat.jpg"])
def test_a_path_that_leads_out_of_the_root_is_refused(root, path):
    with pytest.raises(PathRefused, match="does not name a file below"):
        place(root, path)


def test_only_the_recorded_version_is_opened(root):
    path = root / "a/b/cat.jpg"
    recorded = fingerprints.of(path.stat())
    place(root, recorded=recorded).open().close()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + fingerprints.SHIFT_NS))  # another time zone
    place(root, recorded=recorded).open().close()
    path.write_bytes(b"other")
    with pytest.raises(PhotoChanged, match="has changed since it was found"):
        place(root, recorded=recorded).open()
    place(root, recorded=recorded).latest().open().close()
    place(root, recorded=recorded).with_name("cat.jpg").open().close()


def test_a_file_that_grows_is_hashed_to_its_first_end_and_equals_nothing(root, monkeypatch):
    path, hashed = root / "a/b/cat.jpg", []

    class Growing:
        def update(self, data):
            hashed.append(data)
            with path.open("ab") as file:
                file.write(bytes(10))

    monkeypatch.setattr(beneath.hashlib, "sha256", Growing)
    assert publishing.sha256(place(root)) == ""
    assert hashed == [b"photo"]


def test_a_walk_visits_no_folder_behind_a_link(root, tmp_path):
    (root / "link").symlink_to(tmp_path / "private")
    (root / "a/.photomend-0123456789ab-7-3-af.tmp").touch()
    assert {str(file.relative) for file in beneath.walk(root)} == {
        "link", "a/b/cat.jpg", "a/.photomend-0123456789ab-7-3-af.tmp",
    }  # fmt: skip
    [(file, claim)] = publishing.temporaries(root)
    assert claim == (7, 3)
    file.unlink()
    file.unlink()
    assert not list(publishing.temporaries(root))


def test_a_draft_is_new_private_and_gone_unless_it_is_published(root):
    (root / "a/victim").write_bytes(b"keys")
    (root / "a/t").symlink_to("victim")
    with pytest.raises(FileExistsError), atomic_files.draft(place(root, "a/x.jpg"), "t"):
        pass
    old = os.umask(0)
    try:
        with publishing.draft(place(root, "a/x.jpg"), 7, 3) as draft:
            assert stat.S_IMODE((root / "a" / draft.temporary).stat().st_mode) == 0o600
            first = draft.temporary
        with publishing.draft(place(root, "a/x.jpg"), 7, 3) as draft:
            assert draft.temporary != first
    finally:
        os.umask(old)
    assert names(root / "a") == ["b", "t", "victim"]
    assert (root / "a/victim").read_bytes() == b"keys"


def test_what_is_written_whole_replaces_a_link_and_not_its_target(root, tmp_path):
    (root / "marker").symlink_to(tmp_path / "private/cat.jpg")
    atomic_files.write(root / "marker", b"new")
    assert (root / "marker").read_bytes() == b"new" and not (root / "marker").is_symlink()
    assert (tmp_path / "private/cat.jpg").read_bytes() == b"private"


@pytest.mark.usefixtures("rename")
def test_a_result_takes_a_free_name(root):
    with publishing.draft(place(root, "a/new.jpg"), 7, 3) as draft:
        draft.file.write(b"result")
        publishing.publish(draft, None)
    assert (root / "a/new.jpg").read_bytes() == b"result"
    assert names(root / "a") == ["b", "new.jpg"]


@pytest.mark.usefixtures("rename")
def test_a_result_takes_the_place_of_the_result_that_was_looked_at(root):
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        publishing.publish(draft, sha256(b"photo"))
    assert (root / "a/b/cat.jpg").read_bytes() == b"result"
    assert names(root / "a/b") == ["cat.jpg"]


@pytest.mark.usefixtures("rename")
def test_a_result_whose_predecessor_was_removed_takes_the_free_name(root):
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        (root / "a/b/cat.jpg").unlink()
        publishing.publish(draft, sha256(b"photo"))
    assert (root / "a/b/cat.jpg").read_bytes() == b"result"
    assert names(root / "a/b") == ["cat.jpg"]


@pytest.mark.usefixtures("rename")
@pytest.mark.parametrize("replaced", [None, sha256(b"photo")])
@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_what_came_to_a_results_name_meanwhile_stays(root, replaced, kind):
    path = root / "a/b/cat.jpg"
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        path.unlink()
        match kind:
            case "file":
                path.write_bytes(b"the owner's")
            case "link":
                path.symlink_to("../../../private/cat.jpg")
            case "pipe":
                os.mkfifo(path)
        with pytest.raises(OutputTaken, match="it stays"):
            publishing.publish(draft, replaced)
    assert names(root / "a/b") == ["cat.jpg"]
    modes = {"file": stat.S_ISREG, "link": stat.S_ISLNK, "pipe": stat.S_ISFIFO}
    assert modes[kind](path.lstat().st_mode)
    assert kind != "file" or path.read_bytes() == b"the owner's"


@pytest.mark.usefixtures("rename")
def test_a_result_that_changes_just_before_its_removal_stays(root, monkeypatch):
    path, rename_new = root / "a/b/cat.jpg", beneath.rename_new

    def edit(inside, old, new):
        if old == "cat.jpg":
            path.write_bytes(b"edited")
        rename_new(inside, old, new)

    monkeypatch.setattr(beneath, "rename_new", edit)
    assert not publishing.remove(place(root), sha256(b"photo"))
    assert path.read_bytes() == b"edited" and names(root / "a/b") == ["cat.jpg"]
    monkeypatch.undo()
    assert publishing.remove(place(root), sha256(b"edited"))
    assert names(root / "a/b") == []


@pytest.mark.usefixtures("rename")
def test_both_files_of_an_owner_who_is_as_fast_as_we_are_are_kept(root, monkeypatch):
    path, rename_new = root / "a/b/cat.jpg", beneath.rename_new

    def race(inside, old, new):
        if old == "cat.jpg":
            path.write_bytes(b"edited")
        rename_new(inside, old, new)
        if old == "cat.jpg":
            path.write_bytes(b"made anew")

    monkeypatch.setattr(beneath, "rename_new", race)
    monkeypatch.setattr(publishing, "ASIDE_SECONDS", 0)
    assert not publishing.remove(place(root), sha256(b"photo"))
    [(aside, ours)] = publishing.put_aside(root)
    assert (path.read_bytes(), aside.path.read_bytes(), ours) == (b"made anew", b"edited", False)


@pytest.mark.usefixtures("rename")
@pytest.mark.parametrize("moment", ["exchange", "sha256_in"])
@pytest.mark.parametrize("written", [b"photo", b"the owner's"])
def test_what_a_kill_left_aside_is_removed_unless_it_is_the_owners(
    root, monkeypatch, moment, written
):
    """A worker is killed before it exchanges the names, or before it compares the hash."""
    (root / "a/b/cat.jpg").write_bytes(written)
    if (child := os.fork()) == 0:
        try:
            _publish_and_die(root, monkeypatch, moment)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not list(publishing.put_aside(root))  # it may be of a process that lives
    publishing.remove_temporaries(place(root))
    monkeypatch.setattr(publishing, "ASIDE_SECONDS", 0)
    put_aside = list(publishing.put_aside(root))
    assert put_aside
    for file, ours in put_aside:
        assert ours == (file.path.read_bytes() != b"the owner's")
        if ours:
            file.unlink()
    left = {file.read_bytes() for file in (root / "a/b").iterdir()}
    assert left - {b"result"} == {written} or (moment, written) == ("sha256_in", b"photo")


def _publish_and_die(root, monkeypatch, moment):
    real = getattr(beneath, moment)

    def die(inside, name, *others):
        if name.endswith(".old"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(inside, name, *others)

    monkeypatch.setattr(beneath, moment, die)
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        publishing.publish(draft, sha256(b"photo"))


def test_what_its_owner_saves_while_a_file_goes_back_is_kept(root, monkeypatch):
    path, exchange = root / "a/b/cat.jpg", beneath.exchange
    path.write_bytes(b"edited")

    def save(inside, one, other):
        if path.read_bytes() == b"result":
            path.write_bytes(b"edited again")
        return exchange(inside, one, other)

    monkeypatch.setattr(beneath, "exchange", save)
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        with pytest.raises(OutputTaken):
            publishing.publish(draft, sha256(b"photo"))
    assert {file.read_bytes() for file in path.parent.iterdir()} == {b"edited", b"edited again"}


@pytest.mark.usefixtures("rename")
def test_a_draft_that_cannot_take_its_place_is_removed(root, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(beneath, "exchange", fail)
    with publishing.draft(place(root), 7, 3) as draft:
        draft.file.write(b"result")
        with pytest.raises(OSError, match="error"):
            publishing.publish(draft, sha256(b"photo"))
    assert names(root / "a/b") == ["cat.jpg"]
    assert (root / "a/b/cat.jpg").read_bytes() == b"photo"


def test_a_file_larger_than_any_result_is_not_hashed(root):
    with (root / "a/b/cat.jpg").open("r+b") as file:
        file.truncate(1 << 43)
    assert publishing.sha256(place(root)) == ""
    assert not publishing.remove(place(root), sha256(b"photo"))
