"""Search inside words: indexes of three characters each in place of those of whole words."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import op

from webui.history.words import searchable

revision = "0003_inside_words"
down_revision = "0002_search"

log = logging.getLogger(__name__)

TRIGGERS = ("insert", "delete", "forget", "learn")
FORGET = "INSERT INTO message_search(message_search, rowid, words) VALUES ('delete', old.row, old.words);"
LEARN = "INSERT INTO message_search(rowid, words) VALUES (new.row, new.words);"
SQLITE = (
    "CREATE VIRTUAL TABLE message_search USING fts5(words, content='message', content_rowid='row', tokenize='trigram')",
    "INSERT INTO message_search(message_search) VALUES ('rebuild')",
    f"CREATE TRIGGER message_search_insert AFTER INSERT ON message WHEN new.words IS NOT NULL BEGIN {LEARN} END",
    f"CREATE TRIGGER message_search_delete AFTER DELETE ON message WHEN old.words IS NOT NULL BEGIN {FORGET} END",
    "CREATE TRIGGER message_search_forget AFTER UPDATE OF words ON message "
    f"WHEN old.words IS NOT NULL AND old.words IS NOT new.words BEGIN {FORGET} END",
    "CREATE TRIGGER message_search_learn AFTER UPDATE OF words ON message "
    f"WHEN new.words IS NOT NULL AND old.words IS NOT new.words BEGIN {LEARN} END",
)


def upgrade() -> None:
    """Drops the old index, cuts the kept texts into words anew, and makes the new one."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        for name in TRIGGERS:
            connection.exec_driver_sql(f"DROP TRIGGER message_search_{name}")
        connection.exec_driver_sql("DROP TABLE message_search")
    else:
        connection.exec_driver_sql("DROP INDEX message_search")
    _cut_anew(connection)
    if is_sqlite:
        for statement in SQLITE:
            connection.exec_driver_sql(statement)
    else:
        _index_of_postgresql(connection)


def _cut_anew(connection: sa.Connection) -> None:
    message = sa.table("message", *(sa.column(name) for name in ("row", "role", "text", "end", "words")))
    whole = sa.or_(message.c.role == "user", message.c.end.is_not(None))
    for row, text in connection.execute(sa.select(message.c.row, message.c.text).where(whole)).all():
        connection.execute(sa.update(message).where(message.c.row == row).values(words=searchable(text)))


def _index_of_postgresql(connection: sa.Connection) -> None:
    """Its trigrams are an extension, which a small server may lack; without an index a search finds the same, slower."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            connection.exec_driver_sql("CREATE INDEX message_search ON message USING gin (words gin_trgm_ops)")
    except sa.exc.DBAPIError as error:
        log.warning("Searches go without an index, because PostgreSQL gives no pg_trgm: %s", type(error.orig).__name__)
