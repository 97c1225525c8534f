"""Search in the text: a column of words, and each database's own index on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webui.history.words import searchable

revision = "0002_search"
down_revision = "0001_conversations"

# FTS5 with its content elsewhere: the index must be told the old words when they change or go.
FORGET = "INSERT INTO message_search(message_search, rowid, words) VALUES ('delete', old.row, old.words);"
LEARN = "INSERT INTO message_search(rowid, words) VALUES (new.row, new.words);"
SQLITE = (
    "CREATE VIRTUAL TABLE message_search USING fts5(words, content='message', content_rowid='row', "
    "tokenize='unicode61 remove_diacritics 0', prefix='1 2 3')",
    f"CREATE TRIGGER message_search_insert AFTER INSERT ON message WHEN new.words IS NOT NULL BEGIN {LEARN} END",
    f"CREATE TRIGGER message_search_delete AFTER DELETE ON message WHEN old.words IS NOT NULL BEGIN {FORGET} END",
    "CREATE TRIGGER message_search_forget AFTER UPDATE OF words ON message "
    f"WHEN old.words IS NOT NULL AND old.words IS NOT new.words BEGIN {FORGET} END",
    "CREATE TRIGGER message_search_learn AFTER UPDATE OF words ON message "
    f"WHEN new.words IS NOT NULL AND old.words IS NOT new.words BEGIN {LEARN} END",
)
# The words as they are: PostgreSQL's own parser would cut them in its own way.
POSTGRESQL = ("CREATE INDEX message_search ON message USING gin (array_to_tsvector(string_to_array(words, ' ')))",)


def upgrade() -> None:
    """Adds the column, fills it for what there is, and makes the index."""
    op.add_column("message", sa.Column("words", sa.Text))
    connection = op.get_bind()
    for statement in SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL:
        connection.exec_driver_sql(statement)
    message = sa.table("message", *(sa.column(name) for name in ("row", "role", "text", "end", "words")))
    whole = sa.or_(message.c.role == "user", message.c.end.is_not(None))
    for row, text in connection.execute(sa.select(message.c.row, message.c.text).where(whole)).all():
        connection.execute(sa.update(message).where(message.c.row == row).values(words=searchable(text)))
