"""Turn TOML, JSON and environment values into typed settings, with one-line errors.

No library does this, because `photomend status` must start fast: importing msgspec alone adds
30 ms of CPU time to the 73 ms of all settings (medians of 30 starts; pydantic takes longer).
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from storage.errors import SettingsError

LARGEST_NUMBER = 1_000_000_000
"""Upper limit of all numbers, so that sums of times, sizes and dates cannot overflow."""

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """A rule for a setting, beyond its type: `Annotated[float, Check(...)]`."""

    passes: Callable[[Any], bool]
    """Returns whether a value of the right type is allowed."""
    wanted: str
    """What is allowed; completes the sentence "it must be …"."""
    shown: Callable[[Any], str] | None = repr
    """Returns the wrong value as the message shows it; None if it may be secret."""


Positive = Annotated[
    float, Check(lambda number: number > 0, "more than 0", shown=lambda n: f"{n:g}")
]
"""A number that 0 would make useless."""
PositiveInt = Annotated[int, Check(lambda number: number > 0, "more than 0")]
"""A whole number that 0 would make useless."""

RENAMED = {
    "beat_seconds": "heartbeat_seconds",
    "hang_seconds": "io_timeout_seconds",
    "keep_seconds": "maintenance_seconds",
    "lost_seconds": "worker_timeout_seconds",
    "pause_seconds": "retry_pause_seconds",
    "walk_seconds": "rescan_seconds",
    "window": "max_pending_notifications",
    "young_seconds": "arriving_seconds",
}
"""Settings with another name than before; the old ones are refused, with the new one."""


class WrongValue(ValueError):
    """A value that a setting cannot have: what it must be, and the value if it may be shown."""

    def __init__(self, wanted: str, shown: str = "") -> None:
        super().__init__(f"must be {wanted}" + (f", not {shown}" if shown else ""))


def read_table(kind: type[T], values: object, where: str) -> T:
    """Build the dataclass `kind` from a table; `where` names the table in messages.

    Raises:
        SettingsError: a key is unknown or missing, or a value is not allowed.

    """
    made = read_values(kind, values, where)
    for item in fields(kind):  # type: ignore[arg-type] # all are dataclasses
        if item.name not in made and item.default is item.default_factory is MISSING:
            raise SettingsError(f"{where}: {item.name} is missing; add it")
    return kind(**made)


def read_values(kind: type, values: object, where: str) -> dict[str, Any]:
    """Return the values, each as the type of its field in the dataclass `kind`.

    Raises:
        SettingsError: a key is unknown or a value is not allowed.

    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: this must be a table, not {_shown(values)}")
    types = types_of(kind)
    made = {}
    for key, value in values.items():
        if key not in types:
            raise SettingsError(f"{where}: {key} is no setting; {_suggestion(key, types)}")
        try:
            made[key] = _read(types[key], value, f"{where}, [{key}")
        except WrongValue as error:
            raise SettingsError(f"{where}: {key} {error}") from error
    return made


@cache
def types_of(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields by their names."""
    return get_type_hints(kind, include_extras=True)


def read_path(value: object) -> Path:
    """Return an absolute path; `~` is the home folder.

    Raises:
        WrongValue: it is no absolute path.

    """
    if isinstance(value, str | os.PathLike):
        path = Path(os.path.expanduser(value))  # noqa: PTH111 # Path's raises without a home folder
        if path.is_absolute() and "\0" not in str(path):
            return path
    raise WrongValue('an absolute path, like "/mnt/photos"', _shown(value))


def one_of(words: tuple[object, ...]) -> str:
    """Return allowed values as a phrase: "a", "b" or "c"."""
    *first, last = map(_shown, words)
    return f"{', '.join(first)} or {last}"


def _read(kind: Any, value: Any, inner: str) -> Any:
    """Return the value as `kind`; `inner` begins the name of a table within this one.

    Raises:
        WrongValue: the value is not allowed.
        SettingsError: one in a table within this one is not.

    """
    origin, parts = get_origin(kind), get_args(kind)
    if kind in _READERS:
        return _READERS[kind](value)
    if origin is Annotated:
        return _passed(_read_shown(parts, value, inner), parts[1:])
    if origin is UnionType:  # a type or None
        return None if value is None else _read(parts[0], value, inner)
    if origin is tuple:
        return _list(parts[0], value, inner)
    if origin is Literal:
        return _word(value, parts)
    if origin is not None:  # tables by their names
        return _tables(parts[1], value, inner)
    if issubclass(kind, StrEnum):
        return kind(_word(value, tuple(word.value for word in kind)))
    return read_table(kind, value, f"{inner}]")


def _read_shown(parts: tuple[Any, ...], value: Any, inner: str) -> Any:
    """Return the value as the annotated type; a wrong one that may be secret is not shown."""
    try:
        return _read(parts[0], value, inner)
    except WrongValue:
        if all(check.shown for check in parts[1:]):
            raise
        raise WrongValue(parts[1].wanted) from None


def _passed(value: Any, checks: tuple[Check, ...]) -> Any:
    for check in checks:
        if not check.passes(value):
            raise WrongValue(check.wanted, check.shown(value) if check.shown else "")
    return value


def _tables(kind: type, value: Any, inner: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise WrongValue(f"tables, like {inner.rpartition(', ')[2]}.family]", _shown(value))
    return {name: read_table(kind, item, f"{inner}.{name}]") for name, item in value.items()}


def _list(kind: Any, value: Any, inner: str) -> tuple[Any, ...]:
    """Return a list as a tuple: of texts, of words or of tables."""
    if kind is str:
        return _texts(value)
    if issubclass(kind, StrEnum):
        words = tuple(word.value for word in kind)
        if not isinstance(value, list | tuple):
            raise WrongValue(f'a list of words, like ["{words[0]}"]', _shown(value))
        return tuple(kind(_word(word, words)) for word in value)
    place, _, name = inner.rpartition("[")
    if not isinstance(value, list | tuple):
        raise WrongValue(f"a list of tables, each under [[{name}]]", _shown(value))
    tables = (read_table(kind, item, f"{place}[[{name}]] {n}") for n, item in enumerate(value, 1))
    return tuple(tables)


def _word(value: Any, words: tuple[object, ...]) -> object:
    for word in words:
        if value == word and not isinstance(value, bool):
            return word
    raise WrongValue(one_of(words), _shown(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):  # not shown: it may be a password or a key
        raise WrongValue("a text in quotes")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise WrongValue('a list of texts, like ["*.bak"]', _shown(value))
    return tuple(value)


def _number(value: Any) -> float:
    if not _is_number(value):
        raise WrongValue(f"a number from 0 to {LARGEST_NUMBER}", _shown(value))
    return float(value)


def _whole(value: Any) -> int:
    if not _is_number(value) or value != int(value):
        raise WrongValue(f"a whole number from 0 to {LARGEST_NUMBER}", _shown(value))
    return int(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LARGEST_NUMBER


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("true or false", _shown(value))
    return value


_READERS: dict[Any, Callable[[Any], Any]] = {
    Path: read_path,
    str: _text,
    float: _number,
    int: _whole,
    bool: _truth,
}


def _shown(value: object) -> str:
    """Return a value on one line, as TOML writes it."""
    return json.dumps(value, default=str, ensure_ascii=False)


def _suggestion(key: str, types: Mapping[str, Any]) -> str:
    """Return what may have been meant by an unknown key: the nearest one, else all."""
    from difflib import get_close_matches  # only needed here

    if (new := RENAMED.get(key)) in types:
        return f"it has another name now: write {new}, with the same value"
    if near := get_close_matches(key, types, 1, cutoff=0.85):
        return f"did you mean {near[0]}?"
    if tables := [table for table, kind in _tables_below(types) if key in types_of(kind)]:
        return f"it belongs in {' or '.join(tables)}"
    return f"there are {', '.join(sorted(types))}"


def _tables_below(types: Mapping[str, Any]) -> Iterator[tuple[str, type]]:
    """Yield the tables below, as TOML writes them, with their dataclasses."""
    for name, hint in types.items():
        for kind in (hint, *get_args(hint)):
            if isinstance(kind, type) and is_dataclass(kind):
                several = {Mapping: f"[{name}.NAME]", tuple: f"[[{name}]]"}
                yield several.get(get_origin(hint), f"[{name}]"), kind
