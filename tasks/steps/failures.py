"""The retry policy: which error waits, counts an attempt or fails the job, and its sentence.

`ErrorKind.outcome` says what becomes of a job. The table is read along the classes that an error
descends from, the nearest one first.
"""

import errno
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from storage import installation
from storage.enums import Decision, ErrorKind, Outcome
from storage.errors import (
    DecoderDied,
    DecodingFailed,
    GalleryOffline,
    GpuBusy,
    GpuLost,
    NameRefused,
    OutputFull,
    OutputReadOnly,
    OutputTaken,
    PathRefused,
    PhotoChanged,
    SettingsError,
    TooLarge,
    UnreadablePhoto,
    WeightsMissing,
    WeightsUnknown,
    WeightsWrong,
)
from storage.urls import without_passwords


def text(error: Exception) -> str:
    """Return the text of an error, without passwords in URLs, or its class if it has none."""
    return without_passwords(str(error)) or type(error).__name__


def _missing_library(error: Exception) -> str:
    assert isinstance(error, ImportError)
    return f"a library cannot be used ({text(error)}); {installation.advice(error)}"


@dataclass(frozen=True)
class Rule:
    """What an error does to the job in which it came up."""

    ends: ErrorKind | Decision
    """The kind of error; a decision where the job is done with it."""
    sentence: Callable[[Exception], str] = text
    """What is stored with the job."""
    while_arriving: ErrorKind | None = None
    """The kind in place of `ends` while the photo may still be arriving."""


RULES: Mapping[type[Exception], Rule] = {
    UnreadablePhoto: Rule(ErrorKind.UNREADABLE, while_arriving=ErrorKind.ARRIVING),
    PhotoChanged: Rule(ErrorKind.ARRIVING),
    PathRefused: Rule(ErrorKind.UNREADABLE),
    TooLarge: Rule(ErrorKind.TOO_LARGE),
    DecoderDied: Rule(ErrorKind.CRASHED),
    DecodingFailed: Rule(ErrorKind.ERROR),
    OutputTaken: Rule(Decision.LEFT_ALONE),
    NameRefused: Rule(Decision.LEFT_ALONE),
    OutputFull: Rule(ErrorKind.DISK_FULL),
    OutputReadOnly: Rule(ErrorKind.READ_ONLY),
    GalleryOffline: Rule(ErrorKind.OFFLINE),
    GpuLost: Rule(ErrorKind.GPU_LOST),
    GpuBusy: Rule(ErrorKind.GPU_BUSY),
    SettingsError: Rule(ErrorKind.MACHINE),
    WeightsMissing: Rule(ErrorKind.MACHINE),
    WeightsUnknown: Rule(ErrorKind.MACHINE),
    WeightsWrong: Rule(ErrorKind.MACHINE),
    ImportError: Rule(ErrorKind.MACHINE, _missing_library),
    SQLAlchemyError: Rule(ErrorKind.MACHINE, lambda _: "the database was away"),
    MemoryError: Rule(ErrorKind.MEMORY, lambda _: "there is not enough memory for it"),
    OSError: Rule(ErrorKind.MACHINE),
    Exception: Rule(ErrorKind.ERROR, lambda error: f"{type(error).__name__}: {text(error)}"),
}
BY_ERRNO = {
    errno.ENOSPC: Rule(ErrorKind.DISK_FULL),
    errno.EDQUOT: Rule(ErrorKind.DISK_FULL),
    errno.EROFS: Rule(ErrorKind.READ_ONLY),
    errno.ENOMEM: RULES[MemoryError],
}
"""In place of the rule of `OSError`."""
REPLACED = Rule(
    ErrorKind.MACHINE,
    lambda error: (
        f"photomend was updated or removed while it ran ({text(error)}); stop it and start it again"
    ),
)
"""In place of all rules, once the files of this process are gone."""
OF_DEVICE = (ErrorKind.GPU_LOST, ErrorKind.GPU_BUSY)
"""Kinds that stop all jobs that need the worker's device."""
OF_GALLERY = (ErrorKind.OFFLINE, ErrorKind.DISK_FULL, ErrorKind.READ_ONLY)
"""Kinds that stop all jobs of the gallery."""
LOGGED = {
    Outcome.FAIL: (logging.ERROR, "failed"),
    Outcome.ATTEMPT: (logging.ERROR, "failed an attempt"),
    Outcome.WAIT: (logging.WARNING, "waits"),
}
"""The level and the words with which the end of a claim is logged."""


def rule_of(error: Exception) -> Rule:
    """Return what an error does to its job."""
    if installation.was_replaced():  # any file may be missing, or be that of another version
        return REPLACED
    if isinstance(error, OSError):
        if not isinstance(error.errno, int):  # from a decoder, so it may be the photo
            return RULES[Exception]
        if error.errno in BY_ERRNO:
            return BY_ERRNO[error.errno]
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def logged(kind: ErrorKind) -> tuple[int, str]:
    """Return the level and the words with which the end of a claim is logged."""
    level, words = LOGGED[kind.outcome]
    return (logging.INFO if kind is ErrorKind.ARRIVING else level), f"{words} ({kind})"
