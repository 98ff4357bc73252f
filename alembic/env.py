"""Run migrations on the database of the settings, or on the engine that is handed over."""

from alembic import context

from storage import database
from storage.database.tables import metadata
from storage.settings import settings

engine = context.config.attributes.get("engine") or database.open_engine(settings().database)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
