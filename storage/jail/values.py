"""Values as JSON and shared memory, and back: nothing but the types that a function names.

What comes back from a jail may be made up. It becomes plain values and the frozen dataclasses of
the expected type, or an error; no code is chosen by it.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Union, get_args, get_origin, get_type_hints

import numpy as np

from storage.jail.shared import Incoming, Outgoing


class Wrong(ValueError):
    """The JSON is not of the expected type."""


class Packed(ABC):
    """An object that both processes have; what it is packed as names it."""

    @abstractmethod
    def packed(self) -> Any:
        """Return the frozen dataclass, of the annotated type, that goes in its place."""

    @classmethod
    @abstractmethod
    def unpacked(cls, value: Any) -> Any:
        """Return the object of this process."""


@cache
def hints(of: Any) -> dict[str, Any]:
    """Return the types of a function's parameters and its result, or of a dataclass's fields."""
    return get_type_hints(of)


def pack(value: Any, along: Outgoing) -> Any:
    """Return a value as JSON; what is long, and open files, go along."""
    match value:
        case Packed():
            return pack(value.packed(), along)
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Path():
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes():
            return [along.add(memoryview(value)), len(value)]
        case np.ndarray():
            return [along.add_array(value), value.dtype.name, list(value.shape)]
        case tuple():
            return [pack(part, along) for part in value]
        case Mapping():
            return {key: pack(part, along) for key, part in value.items()}
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {f.name: pack(getattr(value, f.name), along) for f in fields}
        case _ if hasattr(value, "fileno"):
            return along.add_file(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def unpack(raw: Any, kind: Any, along: Incoming) -> Any:
    """Return JSON as a value of the type `kind`.

    Raises:
        Wrong: it is not of that type.
        ValueError: it is of that type and yet cannot be.

    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _unpack_union(raw, parts, along)
    if origin is np.ndarray:
        offset, name, shape = _parts(raw, 3)
        sides = tuple(_plain(side, int) for side in _parts(shape))
        return along.array(_plain(offset, int), _plain(name, str), sides)
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return tuple(unpack(part, parts[0], along) for part in _parts(raw))
        listed = zip(_parts(raw, len(parts)), parts, strict=True)
        return tuple(unpack(part, each, along) for part, each in listed)
    if origin is not None and issubclass(origin, Mapping):
        named = _plain(raw, dict).items()
        return {_plain(key, str): unpack(part, parts[1], along) for key, part in named}
    return _unpack_plain(raw, kind, along)


def _unpack_union(raw: Any, parts: tuple[Any, ...], along: Incoming) -> Any:
    if raw is None and NoneType in parts:
        return None
    kinds = [part for part in parts if part is not NoneType]
    if set(kinds) <= {int, float, str, bool} and type(raw) in kinds:
        return raw
    return unpack(raw, kinds[0], along)  # an array says itself of which kind it is


def _unpack_plain(raw: Any, kind: Any, along: Incoming) -> Any:
    if kind in (bool, int, float, str, NoneType):
        return _plain(raw, kind)
    if kind is bytes:
        offset, length = _parts(raw, 2)
        return along.content(_plain(offset, int), _plain(length, int))
    if kind is BinaryIO:
        return along.file(_plain(raw, int))
    if kind is datetime:
        return datetime.fromisoformat(_plain(raw, str))
    if issubclass(kind, Enum | Path):
        return kind(_plain(raw, str))
    if issubclass(kind, Packed):
        return kind.unpacked(unpack(raw, hints(kind.packed)["return"], along))
    return _unpack_fields(_plain(raw, dict), kind, along)


def _unpack_fields(raw: dict[str, Any], kind: Any, along: Incoming) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    if raw.keys() != names:
        raise Wrong(f"it has not the fields of {kind}")
    return kind(**{name: unpack(raw[name], hints(kind)[name], along) for name in names})


def _plain(raw: Any, kind: type) -> Any:
    if type(raw) is not kind:
        raise Wrong(f"a {type(raw).__name__} came in place of a {kind.__name__}")
    return raw


def _parts(raw: Any, number: int | None = None) -> list[Any]:
    parts: list[Any] = _plain(raw, list)
    if number is not None and len(parts) != number:
        raise Wrong(f"{len(parts)} values came in place of {number}")
    return parts
