"""The retry policy covers all errors that a step may raise."""

import errno
import logging

import pytest

from storage import errors
from storage.enums import Decision, ErrorKind, Outcome
from tasks.paper.classifier.answers import ClassifierUnavailable
from tasks.steps import failures
from tasks.steps.failures import RULES, rule_of

ENDED_BY_OTHERS = {
    ErrorKind.CRASHED, ErrorKind.DEADLINE, ErrorKind.STOPPED,  # the parent of the worker
    ErrorKind.WORKER_LOST,  # maintenance
}  # fmt: skip
NOT_IN_A_STEP = {
    errors.AlreadyRunning, errors.DatabaseNewer, errors.DatabaseOlder, errors.NoWorker,
    errors.PageRefused, errors.RedisMissing,
    errors.LicenceNotAccepted, errors.NoRoom, errors.WeightsBusy, errors.WeightsUnreachable,
    errors.ClaimLost, errors.DatabaseGone,  # the claim has ended already
}  # fmt: skip
"""These never end a claim."""


def raised_by_steps():
    known = [each for each in vars(errors).values() if isinstance(each, type)]
    return [
        each for each in known if each is not errors.PhotomendError and each not in NOT_IN_A_STEP
    ]


@pytest.mark.parametrize("kind", list(raised_by_steps()))
def test_each_error_of_a_step_has_a_rule_of_its_own(kind):
    assert kind in RULES


def test_each_kind_of_error_has_an_outcome_and_a_cause():
    rules = [*RULES.values(), *failures.BY_ERRNO.values()]
    caused = {rule.ends for rule in rules} | {rule.while_arriving for rule in rules}
    for kind in ErrorKind:
        assert isinstance(kind.outcome, Outcome)
        assert ErrorKind(kind.value) is kind
        assert kind in caused | ENDED_BY_OTHERS


def test_the_machine_is_told_from_the_photo():
    waits = [
        OSError(errno.EIO, "I/O error"), OSError(errno.ENOSPC, "full"), ConnectionResetError(104, ""),
        ClassifierUnavailable("no server"), ModuleNotFoundError("torch"), errors.WeightsUnknown("x"),
    ]  # fmt: skip
    counts = [
        OSError("broken data stream"), ValueError(), MemoryError(), RuntimeError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ]  # fmt: skip
    assert {rule_of(error).ends.outcome for error in waits} == {Outcome.WAIT}
    assert {rule_of(error).ends.outcome for error in counts} == {Outcome.ATTEMPT}
    assert rule_of(errors.OutputTaken("taken")).ends is Decision.LEFT_ALONE


def test_what_waits_is_a_warning_and_what_failed_an_error():
    levels = {kind: failures.logged(kind)[0] for kind in ErrorKind}
    assert levels.pop(ErrorKind.ARRIVING) == logging.INFO
    for kind, level in levels.items():
        assert level == (logging.WARNING if kind.outcome is Outcome.WAIT else logging.ERROR)


def test_an_error_is_recorded_without_the_password_of_a_url():
    assert (
        failures.text(OSError("http://me:sesam@nas:1/ is away")) == "http://me:***@nas:1/ is away"
    )
