"""Which models gave an answer. Of those that were given before, nobody knows it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_sources"
down_revision = "0004_evaluation"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("message", sa.Column("sources", sa.JSON(none_as_null=True)))
