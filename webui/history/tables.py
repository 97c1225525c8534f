"""The tables as they are now; how they came to be so, step by step, is in `migrations/`. It knows no database."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# Times are Unix seconds.
conversation = Table(
    "conversation",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("visitor", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("named", Boolean, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("deleted", Double),
    Column("choices", JSON, nullable=False),
    Index("conversation_visitor", "visitor", "updated"),
    Index("conversation_updated", "updated"),
    Index("conversation_deleted", "deleted"),
)

# `end` is empty while an answer is written. `words` are those that a search finds; what they are is in `words.py`.
message = Table(
    "message",
    metadata,
    Column("row", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("conversation", String(32), ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
    Column("id", String(32), nullable=False),
    Column("parent", String(32)),
    Column("number", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("end", String(16)),
    Column("timing", JSON(none_as_null=True)),
    Column("dropped", Integer, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("words", Text),
    Column("feedback", JSON(none_as_null=True)),
    Column("sources", JSON(none_as_null=True)),
    UniqueConstraint("conversation", "id", name="message_of_conversation"),
)

# `sides` and `choice` as in `records.Vote`.
vote = Table(
    "vote",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Double, nullable=False),
    Column("voter", String(16), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("sides", JSON, nullable=False),
    Column("choice", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("void", Boolean, nullable=False),
    Index("vote_at", "at"),
)
