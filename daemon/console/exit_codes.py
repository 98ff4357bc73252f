"""The exit codes of `photomend`, which scripts and units may rely on."""

from enum import IntEnum

from storage.errors import (
    AlreadyRunning,
    DatabaseNewer,
    DatabaseOlder,
    PhotomendError,
    RedisMissing,
    SettingsError,
)


class Exit(IntEnum):
    """What the exit code says."""

    OK = 0
    """Done; single photos may have failed."""
    PROBLEM = 1
    """A check found something, or what was named is not there or cannot be had."""
    USAGE = 2
    """The command line cannot be understood."""
    SETTINGS = 3
    """A setting is unknown or cannot be."""
    DATABASE = 4
    """The database is older or newer than the program, or does not answer."""
    REDIS = 5
    """There is no Redis, and none can be started."""
    RUNNING = 6
    """Another `photomend up` lives with the same state folder."""


class Unknown(PhotomendError):
    """What was named on the command line is no job, photo or gallery that photomend knows."""


_CODES: dict[type[PhotomendError], Exit] = {
    SettingsError: Exit.SETTINGS,
    DatabaseOlder: Exit.DATABASE,
    DatabaseNewer: Exit.DATABASE,
    RedisMissing: Exit.REDIS,
    AlreadyRunning: Exit.RUNNING,
}


def of(error: PhotomendError) -> Exit:
    """Return the exit code of an error that ends a command."""
    return _CODES.get(type(error), Exit.PROBLEM)
