"""The file with the owner's word beside the results: nobody trusts what it holds."""

import json
import os
from pathlib import Path

import pytest

from storage import owners_word
from storage.enums import Category, Review, Strength
from storage.owners_word import FILE, Word
from storage.wishes import Wish

HASH, OTHER = "a" * 64, "b" * 64
ODD = Path(os.fsdecode(b"2024/caf\xe9\n.jpg"))
WORDS = {
    Path("cat.jpg"): Word(Review.REJECTED, None, HASH, OTHER),
    ODD: Word(Review.KEPT, Wish(Category.REFLECTION, Strength.GENTLE), HASH),
    Path("new.jpg"): Word(None, Wish()),
}


def read(root):
    return dict(owners_word.read(root).by_photo)


def test_what_is_written_is_read_and_synced(tmp_path, synced):
    owners_word.append(tmp_path, WORDS)
    assert read(tmp_path) == WORDS
    assert synced == [str(tmp_path / FILE), str(tmp_path)]


def test_of_each_photo_the_last_line_holds(tmp_path):
    owners_word.append(tmp_path, WORDS)
    kept = Word(Review.KEPT, None, OTHER)
    owners_word.append(tmp_path, {Path("cat.jpg"): kept, ODD: None})
    assert read(tmp_path) == {Path("cat.jpg"): kept, Path("new.jpg"): Word(None, Wish())}


def test_nothing_is_known_without_a_file_or_a_folder(tmp_path):
    assert read(tmp_path) == read(tmp_path / "away") == {}


@pytest.mark.parametrize(
    "line",
    [
        b"not json", b"[]", b"7", b"{}", b'{"photo": 7, "review": "kept"}', b"\xff\xfe",
        b'{"photo": "\\ud800", "review": "kept"}', b"[" * 15_000, b'{"photo": "' + b"x" * 30_000,
        b'{"photo": "a.jpg", "review": "kept", "content_hash": "../../etc"}',
        b'{"photo": "a.jpg", "review": "kept", "result": 7}', b'{"photo": "a.jpg", "rev',
    ],
)  # fmt: skip
def test_damaged_lines_are_skipped_with_a_warning(tmp_path, caplog, line):
    owners_word.append(tmp_path, {Path("before.jpg"): Word(Review.KEPT)})
    with (tmp_path / FILE).open("ab") as file:
        file.write(line)  # and a process that was killed wrote no end of the line
    owners_word.append(tmp_path, {Path("after.jpg"): Word(Review.KEPT)})
    assert [str(photo) for photo in read(tmp_path)] == ["before.jpg", "after.jpg"]
    assert "1 lines are damaged, and others hold" in caplog.text
    read(tmp_path)
    assert caplog.text.count("lines are damaged") == 1


def test_a_line_can_only_reject_keep_or_name_a_category_and_a_strength(tmp_path):
    lines = [
        {"photo": "a", "review": "waiting"},
        {"photo": "b", "wish": {"category": "clean", "strength": "x", "even_if_worse": True}},
        {"photo": "c", "wish": {"category": ["reflection"]}, "output": "/etc/passwd"},
        {"photo": "d", "review": {"kept": 1}, "wish": "reflection"},
    ]
    (tmp_path / FILE).write_text("\n".join(map(json.dumps, lines)))
    assert read(tmp_path) == {Path("b"): Word(None, Wish()), Path("c"): Word(None, Wish())}


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "second name"])
def test_only_a_file_of_its_own_is_read_or_written(tmp_path, kind):
    theirs, root = tmp_path / "theirs", tmp_path / "output"
    theirs.write_bytes(b"theirs")
    root.mkdir()
    match kind:
        case "link":
            (root / FILE).symlink_to(theirs)
        case "pipe":
            os.mkfifo(root / FILE)
        case "folder":
            (root / FILE).mkdir()
        case "second name":
            (root / FILE).hardlink_to(theirs)
    assert read(root) == {}
    with pytest.raises(OSError, match=r"decisions|directory|symbolic"):
        owners_word.append(root, WORDS)
    assert theirs.read_bytes() == b"theirs"


def test_a_file_that_others_made_long_is_read_in_part_and_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(owners_word, "MOST_BYTES", 1000)
    owners_word.append(tmp_path, {Path("cat.jpg"): Word(Review.KEPT)})
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"x" * 100_000)
    assert list(read(tmp_path)) == [Path("cat.jpg")]
    owners_word.compact(tmp_path)
    assert (tmp_path / FILE).stat().st_size < 100
    assert list(read(tmp_path)) == [Path("cat.jpg")]


def test_a_file_whose_lines_mostly_do_not_hold_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(owners_word, "SPARE_LINES", 5)
    for _ in range(4):
        owners_word.append(tmp_path, WORDS)
    owners_word.compact(tmp_path)
    assert owners_word.read(tmp_path).lines == len(WORDS)
    assert read(tmp_path) == WORDS
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    number = (tmp_path / FILE).stat().st_ino
    owners_word.compact(tmp_path)
    assert (tmp_path / FILE).stat().st_ino == number
