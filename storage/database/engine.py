"""Open the database, migrate it and check its schema."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage import filesystems, private_files
from storage.errors import DatabaseGone, DatabaseNewer, DatabaseOlder, SettingsError
from storage.urls import QUOTE, without_password

BUSY_MILLISECONDS = 30_000
"""Longest wait for a transaction of another process. PostgreSQL ends one that is idle for as long:
its process is stopped, or on a machine that has lost its power or its network."""
ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": BUSY_MILLISECONDS,
}
"""Options of libpq by which a query to a server that is gone ends after some 30 seconds, not hours.
Those of the database's URL take precedence."""


def open_engine(url: str) -> sa.Engine:
    """Open the database at `url`, without checking its schema.

    If the file of a SQLite database is deleted or replaced later, each use of the engine raises
    DatabaseGone, until it is disposed of.

    Raises:
        SettingsError: the URL is wrong, or names a SQLite file on a network filesystem.

    """
    parsed = parse(url)
    match parsed.get_backend_name():
        case "sqlite":
            _refuse_share(Path(parsed.database or ""))
            engine = sa.create_engine(parsed)
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            _SameFile(engine).watch()
            return engine
        case "postgresql":
            alive = {name: value for name, value in ALIVE.items() if name not in parsed.query}
            psycopg = parsed.set(drivername="postgresql+psycopg")
            engine = sa.create_engine(psycopg, pool_pre_ping=True, connect_args=alive)
            sa.event.listen(engine, "connect", _prepare_postgresql)
            return engine
        case other:
            raise SettingsError(f"database_url: {other} is not SQLite or PostgreSQL")


def open_checked(url: str) -> sa.Engine:
    """Open the database at `url`, and check that it has the schema of this code.

    Raises:
        SettingsError: the URL is wrong, or names a SQLite file on a network filesystem.
        DatabaseOlder: it does not exist, or has an older schema.
        DatabaseNewer: a newer photomend has migrated it.

    """
    engine = open_engine(url)
    check(engine)
    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that only reads."""
    with engine.execution_options(reads=True).connect() as connection:
        yield connection


def parse(url: str) -> sa.URL:
    """Read a database's URL.

    Raises:
        SettingsError: it cannot be read.

    """
    with suppress(sa.exc.ArgumentError, ValueError):  # whose messages may hold its password
        parsed = sa.make_url(url)
        server = parsed.get_backend_name() != "sqlite"
        if not (server and "@" in f"{parsed.host}{parsed.database}"):
            return parsed
    raise SettingsError(
        f"database_url = {without_password(url)} is no database URL, such as "
        f"postgresql://name:password@host/database; {QUOTE}"
    )


def migrate(url: str) -> None:
    """Migrate the database at `url` to the schema of this code; create it if there is none.

    Raises:
        DatabaseNewer: a newer photomend has migrated it.

    """
    from alembic import command
    from alembic.config import Config

    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        private_files.make_file(Path(str(engine.url.database)))
    config = Config()
    config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    config.attributes["engine"] = engine
    try:
        if _revision(engine) not in (None, *_known(config)):
            raise DatabaseNewer(f"{named(engine)} was made by a newer photomend; update this one")
        command.upgrade(config, "head")
    finally:
        engine.dispose()


def check(engine: sa.Engine) -> None:
    """Raise unless the database has the schema of this code.

    Raises:
        DatabaseOlder: it does not exist, or has an older schema.
        DatabaseNewer: a newer photomend has migrated it.

    """
    found, newest = _revision(engine), _newest()
    if found == newest:
        return
    if found is None:
        raise DatabaseOlder(
            f"{named(engine)} has no tables yet, since photomend has not run here; "
            "start it with `photomend up ~/Photos`, or run `photomend migrate`"
        )
    if found < newest:
        raise DatabaseOlder(
            f"{named(engine)} is not ready (schema {found}, needed {newest}); "
            "run `photomend migrate` or `photomend up`"
        )
    raise DatabaseNewer(
        f"{named(engine)} has schema {found}, newer than this photomend's {newest}; update it"
    )


def named(engine: sa.Engine) -> str:
    """Return the name of the database for messages, without its password."""
    return f"the database {without_password(engine.url.render_as_string(hide_password=False))}"


def _migrations() -> Path:
    """Return the folder of the migrations: in the installed package, or else in the checkout."""
    packaged = Path(str(resources.files("storage"))) / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "alembic"


def _newest() -> str:
    """Return the newest revision, from the numbers in the names of the migrations' files."""
    return max(path.name[:4] for path in (_migrations() / "versions").glob("[0-9]*.py"))


def _known(config: Any) -> list[str]:
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _revision(engine: sa.Engine) -> str | None:
    """Return the revision of the database; None if it was never migrated."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None  # connecting would create the file
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return None if found is None else str(found)


def _refuse_share(file: Path) -> None:
    """Refuse a file on a share: SQLite's write-ahead log needs memory that its processes share."""
    mount = filesystems.mount_of(os.path.realpath(file.parent))
    if mount.is_network:
        raise SettingsError(
            f"the database {file} lies on a network share ({mount.kind}), where SQLite breaks; "
            "set state_dir to a folder on a local disk, or database_url to a PostgreSQL"
        )


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = {BUSY_MILLISECONDS}")
    connection.commit()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


class _SameFile:
    """The file of a SQLite database, as it was when an engine first opened it.

    A process would go on for ever with a deleted file, which nobody else reads or writes.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._opened: tuple[int, int] | None = None

    def watch(self) -> None:
        """Check the file whenever the engine opens a connection, or takes one from its pool."""
        sa.event.listen(self._engine, "do_connect", self._check)
        sa.event.listen(self._engine, "connect", self._note)
        sa.event.listen(self._engine, "checkout", self._check)
        sa.event.listen(self._engine, "engine_disposed", self._forget)

    def _check(self, *_: object) -> None:
        if self._opened is not None and self._identity() != self._opened:
            raise DatabaseGone(
                f"{named(self._engine)} was deleted or replaced while it was in use; photomend begins "
                "again with the one that is there now"
            )

    def _note(self, *_: object) -> None:
        self._opened = self._opened or self._identity()

    def _forget(self, *_: object) -> None:
        self._opened = None

    def _identity(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = Path(str(self._engine.url.database)).stat()
            return found.st_dev, found.st_ino
        return None


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the lock for writing at the start: SQLite refuses a reader that becomes a writer."""
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
