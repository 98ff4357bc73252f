"""Turn plain values, as TOML, JSON and the environment give them, into a dataclass of settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from storage.errors import SettingsError


def dataclass_of(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """Build the dataclass `kind`, each value turned into its field's type.

    Raises:
        SettingsError: a key is no field, or a value cannot be; `where` names their origin.

    """
    hints = get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints)):
        known = ", ".join(sorted(hints))
        raise SettingsError(f"{where}: {unknown[0]} is no setting; there are {known}")
    made = {}
    for key, value in values.items():
        try:
            made[key] = _READERS[hints[key]](value)
        except (TypeError, ValueError) as error:
            # A text is not shown: it may be a password or key.
            shown = key if hints[key] is str else f"{key} = {value!r}"
            raise SettingsError(f"{where}: {shown} cannot be: {error}") from error
    return kind(**made)


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("it must be a path")
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise ValueError("it must be an absolute path")
    return path


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text in quotes")
    return value


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError('it must be a list of texts, like ["*.bak"]')
    return tuple(value)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not number >= 0:
        raise ValueError("it must be a number, not below 0")
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it must be true or false")
    return value


def _whole(value: Any) -> int:
    if _number(value) != int(_number(value)):
        raise ValueError("it must be a whole number")
    return int(_number(value))


_READERS: dict[Any, Callable[[Any], Any]] = {
    Path: _path,
    Path | None: _path,
    str: _text,
    float: _number,
    int: _whole,
    bool: _truth,
    tuple[str, ...]: _patterns,
}
