"""Looks at folders: real files, a clock that the test sets."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from daemon.watching import ignore_rules
from daemon.watching.scanner import Gallery, Walk
from storage.settings import GallerySettings

SETTLE = 5


class Looker:
    """Walks a gallery at a given second, and remembers what was taken as the database would."""

    def __init__(self, root: Path, **wishes: object) -> None:
        self.root = root
        self.rows: dict[Path, dict[str, set[str]]] = {}
        rules = ignore_rules.rules(GallerySettings(root, **wishes))
        self.gallery = Gallery(str(root), rules, lambda f: self.rows.get(f, {}), SETTLE)

    def walk(self, second: float) -> list[str]:
        self.gallery.walk = Walk()
        taken = self.look(second)
        self.gallery.walk = None
        return taken

    def look(self, second: float) -> list[str]:
        taken = []
        for look in self.gallery.look(second):
            known = self.rows.setdefault(Path(look.folder), {})
            for name, sight in look.settled.items():
                known.setdefault(name, set()).add(sight.fingerprint)
                taken.append(str(Path(look.folder) / name))
        return sorted(taken)

    def settled(self) -> list[str]:
        assert self.walk(0) == []
        return self.walk(SETTLE)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery"


def put(path: Path, data: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_photo_that_is_copied_slowly_is_taken_when_it_stands_still(root):
    looker = Looker(root)
    for second in range(0, 20, 4):
        with (root / "cat.jpg").open("ab") as file:
            file.write(b"more")
        assert looker.walk(second) == []
    assert looker.walk(20) == []
    assert looker.walk(21) == ["cat.jpg"]
    assert looker.walk(40) == []


def test_a_photo_of_full_size_whose_time_moves_is_still_arriving(root):
    photo = put(root / "cat.jpg", bytes(1000))
    looker = Looker(root)
    for second in (0, 4, 8):
        os.utime(photo, (second, second))
        assert looker.walk(second) == []
    assert looker.walk(13) == ["cat.jpg"]


def test_a_photo_that_goes_on_after_a_pause_is_taken_again_as_a_new_version(root):
    photo = put(root / "cat.jpg")
    looker = Looker(root)
    assert looker.settled() == ["cat.jpg"]
    photo.write_bytes(b"the whole photo")
    assert looker.walk(10) == []
    assert looker.walk(15) == ["cat.jpg"]


def test_a_photo_renamed_into_place_is_taken_under_its_last_name_only(root):
    looker = Looker(root)
    part = put(root / "cat.jpg.part")
    assert looker.settled() == []
    part.rename(root / "cat.jpg")
    assert looker.walk(6) == []
    assert looker.walk(11) == ["cat.jpg"]


def test_a_time_in_the_future_or_before_1970_does_no_harm(root):
    os.utime(put(root / "future.jpg"), (2e9 + 1e9, 2e9 + 1e9))
    os.utime(put(root / "past.jpg"), (-1e9, -1e9))
    looker = Looker(root)
    assert looker.settled() == ["future.jpg", "past.jpg"]
    assert looker.walk(20) == []


def test_a_look_knows_when_the_next_one_is_worth_while(root):
    put(root / "cat.jpg")
    looker = Looker(root)
    looker.walk(100)
    assert looker.gallery.next_look() == 100 + SETTLE
    assert looker.look(104) == []
    assert looker.look(105) == ["cat.jpg"]
    assert looker.gallery.next_look() == float("inf")


def test_a_marked_folder_is_looked_at_with_all_below_it_if_that_is_wished(root):
    put(root / "a/b/c/cat.jpg")
    looker = Looker(root)
    looker.gallery.mark("a")
    assert (looker.look(0), looker.look(SETTLE)) == ([], [])
    looker.gallery.mark("a", deep=True)
    assert (looker.look(10), looker.look(10 + SETTLE)) == ([], ["a/b/c/cat.jpg"])


def test_what_is_ignored_by_name_is_never_looked_at(root):
    for folder in (
        ".hidden", "@eaDir", ".stfolder", ".stversions", "#recycle", "@Recycle", "#snapshot",
        ".@__thumb", ".zfs", "~snapshot", ".Trash-1000", "lost+found", "upload.part",
    ):  # fmt: skip
        put(root / folder / "deep/cat.jpg")
    put(root / "._cat.jpg")
    put(root / ".photomend-0-1-1.tmp")
    put(root / "cat.jpg.crdownload")
    put(root / "notes.txt")
    put(root / "jpg")
    put(root / "2024/CAT.JPG")
    assert Looker(root).settled() == ["2024/CAT.JPG"]
    looker = Looker(root)
    looker.gallery.mark("@eaDir/deep", deep=True)
    assert (looker.look(0), looker.look(SETTLE)) == ([], [])


def test_the_patterns_of_the_owner_are_gitignore_s(root):
    for name in (
        "raw/a.jpg",
        "2024/raw/b.jpg",
        "a_small.jpg",
        "2024/b_small.jpg",
        "keep_small.jpg",
    ):
        put(root / name)
    wishes = ("/raw/", "*_small.jpg", "!keep_small.jpg")
    assert Looker(root, ignore=wishes).settled() == ["2024/raw/b.jpg", "keep_small.jpg"]


def test_an_ignore_file_holds_for_its_folder_and_all_below_and_the_innermost_wins(root):
    for name in ("x.jpg", "a/x.jpg", "a/b/x.jpg", "a/b/y.jpg", "c/z.jpg"):
        put(root / name)
    put(root / "a/.photomendignore", b"x.jpg\n\\\n!\n")
    put(root / "a/b/.photomendignore", b"!x.jpg\ny.jpg")
    put(root / "c/.photomendignore", b"*")
    looker = Looker(root)
    assert looker.settled() == ["a/b/x.jpg", "x.jpg"]
    looker.gallery.mark("a", deep=True)
    assert (looker.look(10), looker.look(20)) == ([], [])


def test_a_photo_that_is_ignored_now_has_not_vanished(root):
    put(root / "cat.jpg")
    looker = Looker(root)
    assert looker.settled() == ["cat.jpg"]
    put(root / ".photomendignore", b"cat.jpg")
    looker.gallery.walk = Walk()
    assert list(looker.gallery.look(10)) == []


def test_our_own_results_beside_the_originals_and_output_trees_are_not_photos(root):
    for name in ("cat.jpg", "cat~edit.jpg", "2023-mended/.photomend-output", "2023-mended/old.jpg"):
        put(root / name)
    assert Looker(root, name="immich-stack").settled() == ["cat.jpg"]


def test_odd_entries_cost_no_walk(root, tmp_path, caplog):
    names = [
        os.fsdecode(b"caf\xe9.jpg"),
        "e\u0301.jpg",
        "\u00e9.jpg",
        "x" * 251 + ".jpg",
        "a\nb.jpg",
    ]
    for name in names:
        put(root / name)
    put(root / "empty.jpg", b"")
    put(tmp_path / "outside/cat.jpg")
    (root / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside/cat.jpg")
    (root / "folder.jpg").mkdir()
    put(root / "folder.jpg/inside.jpg")
    os.mkfifo(root / "pipe.jpg")
    os.mkfifo(root / ".photomendignore")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.jpg"))
        found = Looker(root).settled()
    assert found == sorted([*names, "empty.jpg", "folder.jpg/inside.jpg"])
    assert not caplog.records


def test_an_unreadable_folder_costs_one_warning_and_is_not_gone(root, tmp_path):
    put(root / "a/cat.jpg")
    put(root / "b/dog.jpg")
    program = f"""
import os, sys
from daemon.watching.scanner import Gallery, Walk
from daemon.watching.ignore_rules import Rules
import logging
logging.basicConfig(format="%(message)s")
os.chown({str(root)!r}, 1, 1); os.chmod({str(root / "b")!r}, 0); os.chmod({str(tmp_path)!r}, 0o755)
fd = os.open({str(root)!r}, os.O_RDONLY)
os.setuid(65534)
gallery = Gallery(f"/proc/self/fd/{{fd}}/.", Rules(), lambda f: {{}}, 0)
for _ in range(2):
    gallery.walk = Walk()
    print([(look.folder, list(look.settled), look.missing) for look in gallery.look(0)])
"""
    if os.getuid() != 0:
        pytest.skip("only root can become a user who may not read a folder")
    run = subprocess.run(
        [shutil.which("python3", path=str(Path(os.sys.executable).parent)), "-c", program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines() == ["[('a', ['cat.jpg'], False)]"] * 2
    assert run.stderr.count("cannot be looked at: Permission denied") == 1


def test_a_walk_can_be_interrupted_for_what_events_tell(root):
    for number in range(50):
        put(root / f"{number}/cat.jpg")
    looker = Looker(root)
    looker.gallery.walk = Walk()
    list(looker.gallery.look(0, walk_for=0))
    assert looker.gallery.walk.to_visit
    while looker.gallery.walk.to_visit:
        list(looker.gallery.look(0, walk_for=0.0001))
    assert len(looker.gallery.walk.visited) == 51


def test_no_look_opens_a_photo(root):
    photo = put(root / "cat.jpg")
    os.utime(photo, (1e9, 1e9))
    before = photo.stat().st_atime_ns
    time.sleep(0.01)
    assert Looker(root).settled() == ["cat.jpg"]
    assert photo.stat().st_atime_ns == before
