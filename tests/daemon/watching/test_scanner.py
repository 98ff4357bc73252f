"""Scans of real files, with a clock that the test sets."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from daemon.watching import ignore_rules
from daemon.watching.scanner import FullScan, ScannedFolder, Scanner
from storage.settings_gallery import GallerySettings

SETTLE = 5


class Scans:
    """Scans of a gallery at given seconds; settled photos are remembered as the database would."""

    def __init__(self, root: Path, **wishes: object) -> None:
        self.known: dict[Path, dict[str, set[str]]] = {}
        rules = ignore_rules.gallery_rules(GallerySettings(root, **wishes))
        self.scanner = Scanner(str(root), rules, lambda f: self.known.get(f, {}), SETTLE)

    def full(self, second: float) -> list[str]:
        self.scanner.full_scan = FullScan()
        settled = self.due(second)
        self.scanner.full_scan = None
        return settled

    def due(self, second: float) -> list[str]:
        settled = []
        for found in self.scanner.scan(second):
            known = self.known.setdefault(Path(found.folder), {})
            for name, photo in found.settled.items():
                known.setdefault(name, set()).add(photo.fingerprint)
                settled.append(str(Path(found.folder) / name))
        return sorted(settled)

    def settled(self) -> list[str]:
        assert self.full(0) == []
        return self.full(SETTLE)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery"


def put(path: Path, data: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_photo_that_is_copied_slowly_settles_after_the_copy_ends(root):
    scans = Scans(root)
    for second in range(0, 20, 4):
        with (root / "cat.jpg").open("ab") as file:
            file.write(b"more")
        assert scans.full(second) == []
    assert scans.full(20) == []
    assert scans.full(21) == ["cat.jpg"]
    assert scans.full(40) == []


def test_a_photo_of_full_size_whose_mtime_changes_has_not_settled(root):
    photo = put(root / "cat.jpg", bytes(1000))
    scans = Scans(root)
    for second in (0, 4, 8):
        os.utime(photo, (second, second))
        assert scans.full(second) == []
    assert scans.full(13) == ["cat.jpg"]


def test_a_photo_that_is_written_again_after_a_pause_is_a_new_version(root):
    photo = put(root / "cat.jpg")
    scans = Scans(root)
    assert scans.settled() == ["cat.jpg"]
    photo.write_bytes(b"the whole photo")
    assert scans.full(10) == []
    assert scans.full(15) == ["cat.jpg"]


def test_a_photo_renamed_into_place_is_found_under_its_last_name_only(root):
    scans = Scans(root)
    part = put(root / "cat.jpg.part")
    assert scans.settled() == []
    part.rename(root / "cat.jpg")
    assert scans.full(6) == []
    assert scans.full(11) == ["cat.jpg"]


def test_a_time_in_the_future_or_before_1970_does_no_harm(root):
    os.utime(put(root / "future.jpg"), (2e9 + 1e9, 2e9 + 1e9))
    os.utime(put(root / "past.jpg"), (-1e9, -1e9))
    scans = Scans(root)
    assert scans.settled() == ["future.jpg", "past.jpg"]
    assert scans.full(20) == []


def test_the_next_scan_is_due_when_a_photo_may_have_settled(root):
    put(root / "cat.jpg")
    scans = Scans(root)
    scans.full(100)
    assert scans.scanner.next_scan() == 100 + SETTLE
    assert scans.due(104) == []
    assert scans.due(105) == ["cat.jpg"]
    assert scans.scanner.next_scan() == float("inf")


def test_a_marked_folder_is_scanned_recursively_on_request(root):
    put(root / "a/b/c/cat.jpg")
    scans = Scans(root)
    scans.scanner.mark("a")
    assert (scans.due(0), scans.due(SETTLE)) == ([], [])
    scans.scanner.mark("a", recursive=True)
    assert (scans.due(10), scans.due(10 + SETTLE)) == ([], ["a/b/c/cat.jpg"])


def test_files_and_folders_with_ignored_names_are_not_scanned(root):
    for folder in (
        ".hidden", "@eaDir", ".stfolder", ".stversions", "#recycle", "@Recycle", "#snapshot",
        ".@__thumb", ".zfs", "~snapshot", ".Trash-1000", "lost+found", "upload.part",
    ):  # fmt: skip
        put(root / folder / "deep/cat.jpg")
    put(root / "._cat.jpg")
    put(root / ".photomend-0-1-1.tmp")
    put(root / "~$cat.jpg")
    put(root / "cat.jpg.crdownload")
    put(root / "notes.txt")
    put(root / "jpg")
    put(root / "2024/CAT.JPG")
    assert Scans(root).settled() == ["2024/CAT.JPG"]
    scans = Scans(root)
    scans.scanner.mark("@eaDir/deep", recursive=True)
    assert (scans.due(0), scans.due(SETTLE)) == ([], [])


def test_the_ignore_setting_follows_gitignore(root):
    for name in (
        "raw/a.jpg",
        "2024/raw/b.jpg",
        "a_small.jpg",
        "2024/b_small.jpg",
        "keep_small.jpg",
    ):
        put(root / name)
    wishes = ("/raw/", "*_small.jpg", "!keep_small.jpg")
    assert Scans(root, ignore=wishes).settled() == ["2024/raw/b.jpg", "keep_small.jpg"]


def test_the_innermost_ignore_file_decides(root):
    for name in ("x.jpg", "a/x.jpg", "a/b/x.jpg", "a/b/y.jpg", "c/z.jpg"):
        put(root / name)
    put(root / "a/.photomendignore", b"x.jpg\n\\\n!\n")
    put(root / "a/b/.photomendignore", b"!x.jpg\ny.jpg")
    put(root / "c/.photomendignore", b"*")
    scans = Scans(root)
    assert scans.settled() == ["a/b/x.jpg", "x.jpg"]
    scans.scanner.mark("a", recursive=True)
    assert (scans.due(10), scans.due(20)) == ([], [])


def test_a_photo_that_becomes_ignored_has_not_vanished(root):
    put(root / "cat.jpg")
    scans = Scans(root)
    assert scans.settled() == ["cat.jpg"]
    put(root / ".photomendignore", b"cat.jpg\ndog.jpg")
    put(root / "dog.jpg")
    rule = 'cat.jpg is ignored by "cat.jpg" in .photomendignore'
    scans.scanner.full_scan = FullScan()
    found = ScannedFolder("", {}, frozenset(), ignored={"cat.jpg": rule})
    assert list(scans.scanner.scan(10)) == [found]
    assert scans.full(20) == []


def test_what_the_first_scan_finds_is_old_and_what_arrives_where_it_has_been_is_new(root):
    for number in range(3):
        put(root / f"{number}/old.jpg")
    scans = Scans(root)
    scans.scanner.full_scan = scan = FullScan(first=True)
    list(scans.scanner.scan(0, full_scan_seconds=0))
    while len(scan.visited) < 2:
        list(scans.scanner.scan(0, full_scan_seconds=0.00001))
    [been] = scan.visited - {""}
    [waiting, *_] = scan.to_visit
    for folder in (been, waiting, "made later", f"{been}/made later", f"{waiting}/made later"):
        put(root / folder / "new.jpg")
        scans.scanner.mark(folder)
    list(scans.scanner.scan(1))
    scans.scanner.full_scan = None
    found = {
        f"{scanned.folder}/{name}": photo.old
        for scanned in scans.scanner.scan(1 + SETTLE)
        for name, photo in scanned.settled.items()
    }
    new = {f"{been}/new.jpg", "made later/new.jpg", f"{been}/made later/new.jpg"}
    assert {name for name, old in found.items() if not old} == new
    assert len(found) == 8


def test_folders_wait_for_the_end_of_a_full_scan_so_that_moves_are_known(root):
    for folder in ("a", "b"):
        put(root / folder / "cat.jpg")
    scans = Scans(root)
    scans.scanner.mark("", recursive=True)
    list(scans.scanner.scan(0))
    scans.scanner.full_scan = FullScan()
    assert list(scans.scanner.scan(SETTLE, full_scan_seconds=0)) == []
    assert scans.due(SETTLE) == ["a/cat.jpg", "b/cat.jpg"]


def test_what_a_change_of_the_rules_shows_is_old(root):
    for name in ("a.jpg", "raw/b.jpg"):
        put(root / name)
    scans = Scans(root)
    record = ignore_rules.recorded(GallerySettings(root, ignore=("raw/",)), {"": "a.jpg"})
    scans.scanner.rules_before = ignore_rules.from_record(str(root), record)
    put(root / "c.jpg")
    scans.scanner.full_scan = FullScan()
    list(scans.scanner.scan(0))
    old = {photo.fingerprint: photo.old for photo in scans.scanner.unsettled()}
    assert sorted(old.values()) == [False, True, True]


def test_a_folder_replaced_by_a_link_is_missing_and_one_with_a_forged_marker_is_not(root, tmp_path):
    for folder in ("2023", "2024"):
        put(root / folder / "cat.jpg")
    scans = Scans(root)
    assert scans.settled() == ["2023/cat.jpg", "2024/cat.jpg"]
    (root / "2023").rename(tmp_path / "2023")
    (root / "2023").symlink_to(tmp_path / "2023", target_is_directory=True)
    put(root / "2024/.photomend-output")
    for folder in ("2023", "2024"):
        scans.scanner.mark(folder)
    assert list(scans.scanner.scan(10)) == [ScannedFolder("2023", {}, frozenset(), missing=True)]


def test_results_beside_originals_are_ignored(root):
    for name in ("cat.jpg", "cat~edit.jpg"):
        put(root / name)
    assert Scans(root, name="immich-stack").settled() == ["cat.jpg"]


def test_the_marker_of_an_output_hides_nothing_in_a_gallery(root):
    put(root / ".photomend-output", b'{"gallery": "g"}')
    put(root / "2023/.photomend-output", b'{"gallery": "g"}')
    put(root / "2023/cat.jpg")
    assert Scans(root).settled() == ["2023/cat.jpg"]


def test_ignore_files_only_add_to_what_the_settings_ignore(root):
    for name in (
        "private/a.jpg",
        "b_small.jpg",
        "2024/c_small.jpg",
        "2024/d.jpg",
        "kept_small.jpg",
    ):
        put(root / name)
    for folder in (".", "2024", "private"):
        put(root / folder / ".photomendignore", b"!private/\n!*.jpg\n!*\n!**\nd.jpg\nkept*")
    wishes = ("private", "*_small.jpg", "!kept_small.jpg")
    assert Scans(root, ignore=wishes).settled() == []


def test_what_is_too_long_of_an_ignore_file_is_not_used_and_logged_once(root, caplog, monkeypatch):
    monkeypatch.setattr(ignore_rules, "_warned", set())
    put(root / "long/.photomendignore", b"#\n" * 40_000 + b"*.jpg\n")
    put(root / "cut/.photomendignore", b"#" + b"x" * 65_530 + b"\n*not.jpg")
    put(root / "many/.photomendignore", b"x\n" * 990)
    put(root / "many/in/.photomendignore", b"y\n" * 20 + b"*.jpg")
    put(root / "wide/.photomendignore", b"*" * 1001 + b"\n" + b"/a" * 40 + b"\n*.jpg")
    photos = ["cut/a.jpg", "long/a.jpg", "many/a.jpg", "many/in/a.jpg"]
    for name in (*photos, "wide/a.jpg"):
        put(root / name)
    assert Scans(root).settled() == photos
    logged = sorted(record.message for record in caplog.records)
    assert len(logged) == 5 and sum("65,536 bytes" in line for line in logged) == 2
    assert sum("is no pattern and" in line for line in logged) == 2
    assert sum("more than 1,000 would hold" in line for line in logged) == 1


def test_the_scanner_takes_exactly_the_photos_that_no_rule_ignores(root):
    for name in (
        "cat.jpg", "~$cat.jpg", ".cat.jpg", "notes.txt", "a_small.jpg", "raw/a.jpg", "@eaDir/a.jpg",
        "2024/a.jpg", "2024/b.jpg", "2024/in/b.jpg", "2024/a_small.jpg",
    ):  # fmt: skip
        put(root / name)
    put(root / "2024/.photomendignore", b"/b.jpg\n!a_small.jpg")
    (root / "link").symlink_to("2024", target_is_directory=True)
    (root / "link.jpg").symlink_to("cat.jpg")
    wishes = {"ignore": ("raw/", "*_small.jpg")}
    gallery = GallerySettings(root, **wishes)
    photos = [
        str(path.relative_to(root))
        for path in [*root.rglob("*"), root / "link/a.jpg"]
        if ignore_rules.why_ignored(gallery, path.relative_to(root)) is None
        and ignore_rules.why_no_photo(path) is None
    ]
    assert sorted(photos) == ["2024/a.jpg", "2024/in/b.jpg", "cat.jpg"]
    assert Scans(root, **wishes).settled() == sorted(photos)


def test_odd_entries_do_not_stop_a_scan(root, tmp_path, caplog):
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
        found = Scans(root).settled()
    assert found == sorted([*names, "empty.jpg", "folder.jpg/inside.jpg"])
    assert not caplog.records


def test_an_unreadable_folder_is_logged_once_and_is_not_missing(root, tmp_path):
    put(root / "a/cat.jpg")
    unreadable = put(root / "b\udce9/dog.jpg").parent
    program = f"""
import os, sys
from daemon.watching.scanner import FullScan, Scanner
from daemon.watching.ignore_rules import Rules
import logging
logging.basicConfig(format="%(message)s")
os.chown({str(root)!r}, 1, 1); os.chmod({str(unreadable)!r}, 0); os.chmod({str(tmp_path)!r}, 0o755)
fd = os.open({str(root)!r}, os.O_RDONLY)
os.setuid(65534)
scanner = Scanner(f"/proc/self/fd/{{fd}}/.", Rules(), lambda f: {{}}, 0)
for _ in range(2):
    scanner.full_scan = FullScan()
    print([(found.folder, list(found.settled), found.missing) for found in scanner.scan(0)])
"""
    if os.getuid() != 0:
        pytest.skip("only root can become a user who may not read a folder")
    run = subprocess.run(
        [shutil.which("python3", path=str(Path(os.sys.executable).parent)), "-c", program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines() == ["[('a', ['cat.jpg'], False)]"] * 2
    logged = [line for line in run.stderr.splitlines() if "scanned" in line]  # coverage writes, too
    assert logged == ["b\\xe9 cannot be scanned: Permission denied"]


def test_a_full_scan_pauses_after_the_given_seconds(root):
    for number in range(50):
        put(root / f"{number}/cat.jpg")
    scans = Scans(root)
    scans.scanner.full_scan = FullScan()
    list(scans.scanner.scan(0, full_scan_seconds=0))
    assert scans.scanner.full_scan.to_visit
    while scans.scanner.full_scan.to_visit:
        list(scans.scanner.scan(0, full_scan_seconds=0.00001))
    assert len(scans.scanner.full_scan.visited) == 51


def test_no_scan_opens_a_photo(root):
    photo = put(root / "cat.jpg")
    os.utime(photo, (1e9, 1e9))
    before = photo.stat().st_atime_ns
    time.sleep(0.01)
    assert Scans(root).settled() == ["cat.jpg"]
    assert photo.stat().st_atime_ns == before


def test_a_folder_that_lies_hundreds_deep_is_scanned(root):
    folder = "/".join(["a"] * 600)
    put(root / folder / "cat.jpg")
    scans = Scans(root)
    scans.scanner.mark(folder)
    assert scans.due(0) == [] and scans.due(SETTLE) == [f"{folder}/cat.jpg"]


def test_no_ignore_file_is_read_in_a_folder_that_just_became_a_link(root, tmp_path, monkeypatch):
    put(tmp_path / "private" / ignore_rules.IGNORE_FILE, b"*.jpg")
    (root / "2024").symlink_to(tmp_path / "private")
    monkeypatch.setattr(os.path, "islink", lambda _: False)
    rules = ignore_rules.FolderRules(str(root), ignore_rules.gallery_rules(GallerySettings(root)))
    assert rules.why_ignored("2024", "cat.jpg") is None
