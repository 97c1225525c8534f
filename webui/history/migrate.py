"""Brings a database to the tables that this version of the app knows, by the small steps in `migrations/versions`.

All steps of one start are one transaction. It knows nothing of what the tables hold.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from webui.errors import DatabaseTooNew

STEPS = Path(__file__).resolve().parent / "migrations"
LOCK = 0x62617463686174  # a number of ours for PostgreSQL's advisory lock: two apps never migrate at once


def config() -> Config:
    """Alembic's settings, without a file."""
    settings = Config()
    settings.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def migrate(connection: Connection, revision: str = "head") -> None:
    """Applies what is missing, within the connection's transaction.

    Args:
        connection: in a transaction.
        revision: how far; tests stop at earlier ones.

    Raises:
        DatabaseTooNew: if a later version of the app has written here; nothing is touched.
    """
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    settings = config()
    steps = ScriptDirectory.from_config(settings)
    known = {step.revision for step in steps.walk_revisions()}
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise DatabaseTooNew(revision=present)
    if present != steps.get_current_head():
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
