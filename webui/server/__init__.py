"""The server: one ASGI app of page, stream and API, and the process around it."""
