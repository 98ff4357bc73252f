"""The database of a command, opened when it is first used."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage import database
from storage.settings import settings

if TYPE_CHECKING:
    from storage.database.jobs import Jobs


@cache
def engine() -> sa.Engine:
    """Return the database of this process.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not that of this version.

    """
    return database.open_checked(settings().database)


def exists() -> bool:
    """Return whether the database exists; always True for a database server."""
    url = database.parse(settings().database)
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


@cache
def jobs() -> "Jobs":
    """Return the jobs table, for commands that change it.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not that of this version.

    """
    from storage.database.jobs import open_jobs

    return open_jobs()
