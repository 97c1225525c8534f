"""Engines: what answers requests. Only this room knows that there are several kinds."""
