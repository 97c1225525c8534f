"""What Alembic runs: the steps, on the connection that `migrate.py` gives."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
