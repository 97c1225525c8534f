"""Batchat: a browser chat that shows the batch."""

__version__ = "0.1.0"
