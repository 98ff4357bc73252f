"""The weights of the paper engine: which there are, where they are, how they are downloaded."""

from storage.weights.folder import (
    State,
    description,
    find,
    is_present,
    path,
    pull,
    state,
    verify,
)

__all__ = [
    "State",
    "description",
    "find",
    "is_present",
    "path",
    "pull",
    "state",
    "verify",
]
