"""Open the database and bring it to the schema of this code."""

import os
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage import filesystems
from storage.errors import DatabaseNewer, DatabaseOlder, SettingsError
from storage.urls import QUOTE, without_password

BUSY_MILLISECONDS = 30_000


def open_engine(url: str) -> sa.Engine:
    """Open the database at `url` without looking whether its schema is ours.

    Raises:
        SettingsError: the URL cannot be, or is of a SQLite file on a network share.

    """
    parsed = parse(url)
    match parsed.get_backend_name():
        case "sqlite":
            _refuse_share(Path(parsed.database or ""))
            engine = sa.create_engine(parsed)
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            return engine
        case "postgresql":
            return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        case other:
            raise SettingsError(f"database_url: {other} is not SQLite or PostgreSQL")


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
    """Bring the database at `url` to the schema of this code; make it if there is none.

    Raises:
        DatabaseNewer: a newer photomend has migrated it.

    """
    from alembic import command
    from alembic.config import Config

    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
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
        DatabaseOlder: it is not there or lacks migrations.
        DatabaseNewer: a newer photomend has migrated it.

    """
    found, newest = _revision(engine), _newest()
    if found == newest:
        return
    if found is None or found < newest:
        raise DatabaseOlder(
            f"{named(engine)} is not ready (schema {found or 'none'}, needed {newest}); "
            "run `photomend migrate` or `photomend up`"
        )
    raise DatabaseNewer(
        f"{named(engine)} has schema {found}, newer than this photomend's {newest}; update it"
    )


def named(engine: sa.Engine) -> str:
    """Return how a sentence names the database; without its password."""
    return f"the database {without_password(engine.url.render_as_string(hide_password=False))}"


def _migrations() -> Path:
    """Return the folder of the migrations: in the package if installed, beside it if not."""
    packaged = Path(str(resources.files("storage"))) / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "alembic"


def _newest() -> str:
    """Return the newest revision: migrations are numbered files, 0001_jobs.py the first."""
    return max(path.name[:4] for path in (_migrations() / "versions").glob("[0-9]*.py"))


def _known(config: Any) -> list[str]:
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _revision(engine: sa.Engine) -> str | None:
    """Return the revision the database is at, None if it was never migrated."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None  # to look would make the file
    with engine.execution_options(reads=True).connect() as connection:
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


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the lock for writing at once: a reader that becomes a writer is refused instead."""
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
