"""Patterns of ignore files: what git does, in a time that does not grow with the stars."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from storage import patterns
from storage.patterns import MAX_LETTERS

CASES = 400
"""Random sets of patterns that are compared with git, each for all paths of a small tree."""
PATHS = (
    "a", "ab", "b.jpg", "a.jpg", "a b", "a ", "#a", "!a", "[a]", "*", "abab", "x/a", "x/b.jpg", "x/y/a",
    "x/y/a.jpg", "x/y/z/b.jpg", "y/a", "y/x/a", "a\\b", "A", "a-b", "]", "^",
)  # fmt: skip
PIECES = (
    "a", "b", "x", "y", "z", ".jpg", "*", "*", "?", "**", "/", "/", "[ab]", "[!a]", "[^b]", "[a-z]",
    "[]a]", "[[:alpha:]]", "[[:punct:]]", "\\*", "\\a", " ", "-", "[z-a]", "[a\\]]", "A",
)  # fmt: skip


def ours(lines: list[str], path: str, *, is_folder: bool) -> bool:
    read = []
    for line in lines:
        try:
            read.append(patterns.read(line))
        except ValueError:
            continue
    used = [pattern for pattern in read if pattern is not None]
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):  # an ignored folder is not entered
        folder = is_folder or depth < len(parts)
        found = patterns.last_match(used, "/".join(parts[:depth]), is_folder=folder)
        if found is not None and not found.includes:
            return True
    return False


def git(tree: Path, lines: list[str]) -> set[str]:
    (tree / ".gitignore").write_text("\n".join(lines) + "\n")
    asked = subprocess.run(
        ["git", "-c", "core.ignorecase=false", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=tree, input="\0".join(PATHS).encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert asked.returncode in (0, 1), asked.stderr
    return set(asked.stdout.decode().split("\0")) - {""}


@pytest.fixture
def tree(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True, capture_output=True)
    for path in PATHS:
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return tmp_path


def lines_of(chance: random.Random) -> list[str]:
    made = []
    for _ in range(chance.randint(1, 3)):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 5)))
        made.append(
            chance.choice(["", "", "!", "/"]) + text + chance.choice(["", "", "/", " ", "/**"])
        )
    return made


def test_patterns_ignore_what_git_ignores(tree):
    chance = random.Random(1)
    for _ in range(CASES):
        lines = lines_of(chance)
        found = {path for path in PATHS if ours(lines, path, is_folder=False)}
        assert found == git(tree, lines), lines


@pytest.mark.parametrize(
    "line",
    ["*a" * 300 + "*b", "**a" * 300 + "b", "**/a/" * 150 + "b", "[" * MAX_LETTERS, "[a" * 400, "[]" * 400,
     "?*" * 400, "*[!b]" * 150 + "b", "*" * MAX_LETTERS, "a*" * 400 + "/" + "*a" * 50],
)  # fmt: skip
def test_no_pattern_costs_much(line):
    try:
        pattern = patterns.read(line)
    except ValueError:
        return
    begun = time.process_time()
    for path in ("a" * 255, "/".join(["a"] * 2000), "/".join(["a" * 100] * 40)):
        pattern.matches(path, is_folder=False)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "line", ["!", "\\", "/", "[a", "x" * (MAX_LETTERS + 1), "a/[b/c]", "[[:alpha:"]
)
def test_a_line_that_is_no_pattern_is_an_error(line):
    with pytest.raises(ValueError, match=r"."):
        patterns.read(line)
