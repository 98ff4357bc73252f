"""The exit codes of `photomend`, which scripts and units may rely on."""

from enum import IntEnum

from storage.errors import (
    AlreadyRunning,
    DatabaseGone,
    DatabaseNewer,
    DatabaseOlder,
    PhotomendError,
    RedisMissing,
    SettingsError,
)


class Exit(IntEnum):
    """The exit code of a command."""

    OK = 0
    """The command succeeded; some photos may have failed."""
    PROBLEM = 1
    """A check found a problem, or something that was named is missing."""
    USAGE = 2
    """The arguments are wrong."""
    SETTINGS = 3
    """A setting is unknown or has a wrong value."""
    DATABASE = 4
    """The database is older or newer than the program, was deleted, or does not answer."""
    REDIS = 5
    """No Redis answers, and none can be started."""
    RUNNING = 6
    """Another `photomend up` uses the same state folder."""
    WAITING = 7
    """`photomend up --once` has ended, and photos or galleries still wait."""


class Unknown(PhotomendError):
    """An argument names no job, photo or gallery that photomend has recorded."""


_CODES: dict[type[PhotomendError], Exit] = {
    SettingsError: Exit.SETTINGS,
    DatabaseGone: Exit.DATABASE,
    DatabaseOlder: Exit.DATABASE,
    DatabaseNewer: Exit.DATABASE,
    RedisMissing: Exit.REDIS,
    AlreadyRunning: Exit.RUNNING,
}


def of(error: PhotomendError) -> Exit:
    """Return the exit code of an error that ends a command."""
    return _CODES.get(type(error), Exit.PROBLEM)
