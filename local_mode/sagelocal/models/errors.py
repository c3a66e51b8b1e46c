"""What can be wrong with a model.

ModelError        the text is for the user: what happened, with which value, and the next step
  NoExport        the model is whole, and has no form of the kind that was asked for
"""

from __future__ import annotations


class ModelError(Exception):
    """A model that cannot be opened or read."""


class NoExport(ModelError):
    """A model and a target that do not go together."""
