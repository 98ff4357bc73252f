"""The names in the output trees: each belongs to one photo."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import conditions
from storage.database.records import Job
from storage.database.tables import jobs, outputs

_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
"""ON CONFLICT is not in SQLAlchemy's common part."""

c = jobs.c


def reserve(engine: sa.Engine, claim: Job, output: Path) -> bool:
    """Reserve a name in the output tree for this photo; return False if another photo has it.

    A photo that is gone gives its name back, unless it left a result of other content.
    """
    key = conditions.output_key(output)
    row = {"gallery": claim.gallery, "key": key, "folder": claim.folder, "name": claim.name}
    here = (outputs.c.gallery == claim.gallery, outputs.c.key == key)
    owner = select(outputs.c.folder, outputs.c.name).where(*here)
    insert = _DIALECTS[engine.dialect.name].insert(outputs).values(row)
    with engine.begin() as connection:
        connection.execute(insert.on_conflict_do_nothing())
        folder, name = connection.execute(owner).one()
        if (folder, name) == (claim.folder, claim.name):
            return True
        if connection.scalar(select(_needs_its_name(claim, folder, name).exists())):
            return False
        # On PostgreSQL another worker may have taken the name meanwhile.
        still = (*here, outputs.c.folder == folder, outputs.c.name == name)
        step = update(outputs).where(*still).values(folder=claim.folder, name=claim.name)
        return bool(connection.execute(step).rowcount)


def _needs_its_name(claim: Job, folder: Path, name: Path) -> sa.Select[tuple[int]]:
    """Build the SELECT of the versions for which a photo keeps the name that `claim` wants."""
    other_result = sa.and_(
        c.output.is_not(None),
        sa.func.coalesce(c.content_hash, "") != (claim.content_hash or ""),
    )
    mine = (*conditions.within(claim.gallery, folder), c.name == name)
    return select(c.id).where(*mine, sa.or_(conditions.here, other_result))
