"""A photo whose result another place took is queued when it is back; what is as it should be stays."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import came_back, galleries, search
from storage.database.tables import jobs as table
from storage.enums import Category, Decision, Review, Status

GONE = {"status": Status.DONE, "decision": Decision.RESTORED, "category": Category.REFLECTION}


@pytest.mark.parametrize(
    ("changes", "newer", "queued"),
    [
        ({}, False, True),
        ({"review": Review.KEPT}, False, True),
        ({"review": Review.WAITING}, False, False),
        ({"output": Path("a.jpg"), "sha256": "1"}, False, False),
        ({"decision": Decision.CLEAN}, False, False),
        ({"status": Status.FAILED}, False, False),
        ({}, True, False),
    ],
)
def test_only_a_photo_whose_result_is_elsewhere_is_queued(jobs, changes, newer, queued):
    [number] = galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    with jobs.engine.begin() as connection:
        connection.execute(sa.update(table).values(GONE | changes))
    if newer:
        galleries.add(jobs.engine, "g", Path(), {"a.jpg": "2"})
    before = search.get(jobs.engine, number)
    assert came_back.queue(jobs.engine, [number]) == ([number] if queued else [])
    after = search.get(jobs.engine, number)
    assert (after.status is Status.QUEUED) == queued
    assert queued or after == before
    assert came_back.queue(jobs.engine, []) == []
