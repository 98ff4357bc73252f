"""What a person reads of a job."""

import dataclasses
from pathlib import Path

import pytest

from daemon.reports import words
from storage.database.records import Job
from storage.database.reviews import REJECTED
from storage.enums import Category, Decision, Review, Status

NOISY = Category.SUPER_RESOLUTION
SHAKEN = Category.MOTION_BLUR


def make(status=Status.DONE, decision=None, category=None, severities=None, change=None, **others):
    values = dict.fromkeys(field.name for field in dataclasses.fields(Job))
    guard = {} if change is None else {"visible_change": change}
    values |= {"id": 1, "folder": Path(), "name": Path("a.jpg"), "status": status}
    values |= {"decision": decision, "category": category, "receipt": {"guard": guard}}
    return Job(**values | {"scores": {"severities": severities or {}}} | others)


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (make(category=NOISY, severities={"noise": 0.9, "compression": 0.7}), "noise and blocks"),
        (make(category=NOISY, severities={"noise": 0.6, "softness": 0.9}), "noise, soft"),
        (make(category=NOISY), "noise or softness"),
        (make(category=SHAKEN, severities={"motion": 0.9, "reflection": 0.95}), "shaken"),
        (make(category=Category.REFLECTION), "a reflection"),
        (make(category=Category.CLEAN, severities={"noise": 0.6}), "nothing wrong"),
        (make(decision=Decision.UNSURE, category=SHAKEN), "perhaps shaken"),
        (make(decision=Decision.LEFT_ALONE, scores=None), ""),
        (make(category=NOISY, severities={"noise": "much", "other": 1}), "noise or softness"),
    ],
)
def test_faults_are_named_by_their_severities(job, found):
    assert words.found(job) == found


@pytest.mark.parametrize(
    ("job", "done"),
    [
        (make(decision=Decision.RESTORED, category=NOISY, severities={"noise": 0.9}, change=4.0),
         "noise removed, strongly"),
        (make(decision=Decision.RESTORED, category=NOISY, severities={"softness": 0.99}, change=1),
         "sharpened, slightly"),
        (make(decision=Decision.RESTORED, category=NOISY,
              severities={"softness": 0.99, "compression": 0.8}),
         "blocks removed and sharpened"),
        (make(decision=Decision.RESTORED, category=NOISY,
              severities={"softness": 0.9, "compression": 0.97, "noise": 0.6}),
         "blocks removed"),
        (make(decision=Decision.RESTORED, category=NOISY,
              severities={"noise": 0.9, "softness": 0.8}),
         "noise removed"),
        (make(decision=Decision.RESTORED, category=NOISY), "mended"),
        (make(decision=Decision.RESTORED, category=SHAKEN, severities={"motion": 1.0},
              review=Review.WAITING),
         "shake removed; it waits for your word"),
        (make(decision=Decision.CLEAN, category=Category.CLEAN), "nothing to mend"),
        (make(decision=Decision.CLEAN, category=NOISY, reason="nothing a person would see"),
         "left as it was: mending changes nothing a person would see"),
        (make(decision=Decision.UNSURE, reason="perhaps noise"),
         "left as it was: perhaps noise"),
        (make(decision=Decision.KEPT_ORIGINAL, reason="more noise"), "original kept: more noise"),
        (make(decision=Decision.KEPT_ORIGINAL, reason=REJECTED),
         "original kept: you rejected the result"),
        (make(decision=Decision.LEFT_ALONE, reason="a screenshot, by its name"),
         "left alone: a screenshot, by its name"),
        (make(Status.QUEUED), "waits"),
        (make(Status.QUEUED, error="no room"), "waits: no room"),
        (make(Status.FAILED, error="cut short"), "failed: cut short"),
    ],
)  # fmt: skip
def test_what_was_done_is_one_clause_with_its_reason(job, done):
    assert words.done(job) == done


@pytest.mark.parametrize("status", Status)
def test_each_status_and_decision_has_a_word(status):
    assert words.short(make(status))
    assert all(words.done(make(status, decision)) for decision in [None, *Decision])
