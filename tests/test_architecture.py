import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))

import man_page
from source_map import PAGE, page


def test_the_source_map_is_that_of_the_files():
    assert PAGE.read_text() == page(), "make map writes it anew"


def test_the_man_page_is_that_of_the_commands():
    assert man_page.PAGE.read_text() == man_page.page(), "make map writes it anew"


@pytest.mark.parametrize(
    "name",
    [
        *(path.name for path in ROOT.glob("*.md")),
        *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")),
    ],
)
def test_the_files_that_a_page_names_are_there(name):
    page = (ROOT / name).read_text()
    named = re.findall(r"`((?:daemon|tasks|storage|tests|docs|alembic|systemd)/[\w./-]*)`", page)
    assert [path for path in named if not (ROOT / path).exists()] == []
