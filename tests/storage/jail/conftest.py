"""A jail whose operations include attacks."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.jail import client

sys.path.insert(0, str(Path(__file__).parent))

WITH_ATTACKS = f"""
import json, sys
arguments, sys.path[:] = json.loads(sys.argv[1])
sys.path.insert(0, {str(Path(__file__).parent)!r})
from storage.jail import process
process.OPERATIONS += ("attacks",)
process.main(*arguments)
"""


@pytest.fixture(scope="module")
def attacked() -> Iterator[client.Jail]:
    jail = client.Jail(WITH_ATTACKS)
    yield jail
    jail.stop()
