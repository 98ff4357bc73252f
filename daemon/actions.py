"""What the owner does with photos and results, for the commands and the web page alike."""

from collections.abc import Iterable

from daemon.console import session
from daemon.console.changes import notify
from storage.database import search, wishes
from storage.database.records import Job
from storage.enums import Category, Strength
from storage.wishes import Wish


def mend(
    jobs: Iterable[Job],
    *,
    category: Category | None = None,
    strength: Strength | None = None,
    even_if_worse: bool = False,
) -> list[Job]:
    """Queue photos before all others, whatever was decided for them; return the queued jobs.

    The newest job of each photo is taken. What is running, and what would lose the owner's data, stays
    as it is.
    """
    engine = session.engine()
    newest = search.newest(engine, [job.id for job in jobs])
    asked = wishes.ask(engine, newest, Wish(category, strength, even_if_worse))
    notify(asked)
    return asked
