"""Find the first job of a day without an index on the time: ids grow with it."""

import sqlalchemy as sa
from sqlalchemy import select

from storage.database.engine import reading
from storage.database.tables import jobs as table

c = table.c


def first_since(engine: sa.Engine, moment: float) -> int:
    """Return the id of the first job that was recorded at `moment` or later; 0 if there is none.

    Ids grow with time, so a few rows are read; an index on the time would slow each new photo down.
    """
    following = select(c.id, c.created_at).order_by(c.id).limit(1)
    with reading(engine) as connection:
        low, high = 1, (connection.scalar(select(sa.func.max(c.id))) or 0) + 1
        last = high
        while low < high:
            middle = (low + high) // 2
            row = connection.execute(following.where(c.id >= middle)).first()
            if row is not None and row.created_at < moment:
                low = row.id + 1
            else:
                high = middle
    return 0 if low >= last else low
