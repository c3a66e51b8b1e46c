"""What only a server of many models answers, in Multi Model Server's words.

ServeError
├── ModelNotFound   404  nothing of that name is loaded, or there is no folder to load
├── AlreadyLoaded   409  the name is taken
└── OutOfMemory     507  not enough memory: the platform unloads others and tries again
"""

from __future__ import annotations

from sagelocal_serve.errors import BadRequest, ModelError, ServeError, Unavailable


class ModelNotFound(ServeError):
    """No such model, or no such folder."""

    status = 404
    kind = "ModelNotFoundException"

    @classmethod
    def named(cls, name: str) -> ModelNotFound:
        """Multi Model Server's wording, which clients look for."""
        return cls(f"Model not found: {name}")


class AlreadyLoaded(ServeError):
    """Somebody loaded, or loads, a model of this name."""

    status = 409
    kind = "ConflictStatusException"

    @classmethod
    def named(cls, name: str) -> AlreadyLoaded:
        return cls(f"Model {name} is already registered.")


class OutOfMemory(ServeError):
    """Too little memory for this model beside the others."""

    status = 507
    kind = "InsufficientMemoryException"


_KINDS: dict[int, type[ServeError]] = {
    each.status: each
    for each in (BadRequest, ModelNotFound, AlreadyLoaded, ModelError, Unavailable, OutOfMemory)
}


def fault_of(status: int, message: str) -> ServeError:
    """The error that another process told of."""
    return _KINDS.get(status, ModelError)(message)
