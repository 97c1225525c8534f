"""Votes on answers side by side, and what a visitor said of an answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_evaluation"
down_revision = "0003_inside_words"


def upgrade() -> None:
    """Makes the table of votes and the column of feedback."""
    op.add_column("message", sa.Column("feedback", sa.JSON(none_as_null=True)))
    op.create_table(
        "vote",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("voter", sa.String(16), nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("sides", sa.JSON, nullable=False),
        sa.Column("choice", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("void", sa.Boolean, nullable=False),
    )
    op.create_index("vote_at", "vote", ["at"])
