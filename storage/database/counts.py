"""The numbers of jobs of each kind, which are kept: to count a million jobs takes too long.

A transaction that changes jobs adds rows to the table `counted`: triggers do it for UPDATE and
DELETE. Numbers are sums over its rows, and `fold` makes one row of those of the same kind.
"""

from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, insert, select

from storage.database.engine import reading
from storage.database.tables import counted

MOST_ROWS = 2000
"""Number of rows from which they are folded; a sum over as many takes a millisecond."""

number = sa.func.sum(counted.c.number)
_KIND = [column for column in counted.c if column not in (counted.c.id, counted.c.number)]


def by(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Build the SELECT of the number of jobs by these columns of `counted`, where there are any."""
    return select(*columns, number).group_by(*columns).having(number > 0)


def add_new(connection: sa.Connection, number: int, **kind: object) -> None:
    """Count new rows of jobs, all of one kind; a trigger for each would double a first scan."""
    connection.execute(insert(counted).values(number=number, **kind))


def fold(engine: sa.Engine) -> None:
    """Make one row of all rows of the same kind, if there are many."""
    with reading(engine) as connection:
        if (connection.scalar(select(sa.func.count()).select_from(counted)) or 0) < MOST_ROWS:
            return
    with engine.begin() as connection:
        totals: Counter[tuple[object, ...]] = Counter()
        for *kind, count in connection.execute(delete(counted).returning(*_KIND, counted.c.number)):
            totals[tuple(kind)] += count
        names = [column.name for column in _KIND]
        rows = [
            dict(zip(names, kind, strict=True)) | {"number": count}
            for kind, count in totals.items()
            if count
        ]
        if rows:
            connection.execute(insert(counted), rows)
