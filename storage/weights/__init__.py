"""Weights of the paper engine: which there are, where they lie, how they are fetched."""

from storage.weights.folder import (
    State,
    is_here,
    look,
    named,
    path,
    pull,
    told,
    verify,
)

__all__ = [
    "State",
    "is_here",
    "look",
    "named",
    "path",
    "pull",
    "told",
    "verify",
]
