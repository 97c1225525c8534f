"""Conversations that outlive the process: kept in SQLite or PostgreSQL, read back after a restart."""
