"""What stops a push."""

from __future__ import annotations


class PushError(Exception):
    """What happened, with its value, and the next step: one line for the user."""
