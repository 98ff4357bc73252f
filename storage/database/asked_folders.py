"""Folders that another program asks to be scanned, as if the file system had reported an event."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import delete, insert, select

from storage.database.engine import reading
from storage.database.tables import asked_folders

c = asked_folders.c


def ask(engine: sa.Engine, gallery: str, folder: Path) -> None:
    """Ask for a scan of a folder, relative to its gallery."""
    here = (c.gallery == gallery, c.folder == folder)
    row = {"gallery": gallery, "folder": folder}
    with engine.begin() as connection:
        connection.execute(delete(asked_folders).where(*here))
        connection.execute(insert(asked_folders).values(row))


def take(engine: sa.Engine, gallery: str) -> list[Path]:
    """Return the folders of a gallery that are to be scanned, and forget them."""
    with reading(engine) as connection:  # most often there is none, and nothing is written
        if not connection.scalar(select(c.folder).where(c.gallery == gallery).limit(1)):
            return []
    with engine.begin() as connection:
        step = delete(asked_folders).where(c.gallery == gallery).returning(c.folder)
        return list(connection.scalars(step))


def forget(connection: sa.Connection, gallery: str) -> None:
    """Forget the folders of a gallery."""
    connection.execute(delete(asked_folders).where(c.gallery == gallery))
