from __future__ import annotations


class ServerError(Exception):
    """A private server cannot do what was asked; the message is one sentence for the person who started it."""
