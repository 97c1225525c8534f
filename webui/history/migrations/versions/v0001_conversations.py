"""Conversations and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_conversations"
down_revision = None


def upgrade() -> None:
    """Makes the first two tables."""
    op.create_table(
        "conversation",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("named", sa.Boolean, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.Column("deleted", sa.Double),
        sa.Column("choices", sa.JSON, nullable=False),
    )
    op.create_index("conversation_visitor", "conversation", ["visitor", "updated"])
    op.create_index("conversation_updated", "conversation", ["updated"])
    op.create_index("conversation_deleted", "conversation", ["deleted"])
    op.create_table(
        "message",
        sa.Column("row", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("conversation", sa.String(32), sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("parent", sa.String(32)),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("end", sa.String(16)),
        sa.Column("timing", sa.JSON(none_as_null=True)),
        sa.Column("dropped", sa.Integer, nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True)),
        sa.UniqueConstraint("conversation", "id", name="message_of_conversation"),
    )
