"""What is wrong with a request: the original answers 400 with the text alone."""

from __future__ import annotations


class Refused(ValueError):
    """A request that gets no answer; the message is meant for the caller."""
