"""The database: tables, rows, and every change of a job."""

from storage.database.engine import check, migrate, named, open_checked, open_engine, parse

__all__ = ["check", "migrate", "named", "open_checked", "open_engine", "parse"]
