"""The jail: a process without files, network and programs, in which the bytes of photos are read.

A process that has said so by `use` runs operations there, others run them themselves, as the jail
does. An operation is a function with typed arguments that touches no file but those passed to it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from storage.jail.client import Jail

from storage.errors import DecoderDied

_Result = TypeVar("_Result")
_in_use: "list[Jail]" = []


def use(megabytes: int | None = None) -> "Jail":
    """Run the operations of this process in a jail from now on; it starts with the first one.

    It may take so many megabytes of private memory, or as many as this process.
    """
    from storage.jail.client import Jail

    if not _in_use:
        _in_use.append(Jail(megabytes=megabytes))
    return _in_use[0]


@contextmanager
def used() -> "Iterator[Jail]":
    """Run the operations of this process in a jail inside the `with`."""
    jail = use()
    try:
        yield jail
    finally:
        _in_use.clear()
        jail.stop()


def run(operation: Callable[..., _Result], *values: Any) -> _Result:
    """Return what an operation returns, and raise what it raises as far as `failures` knows it.

    Raises:
        DecoderDied: the jail died with it, and is started anew for the next one.

    """
    return _in_use[0].run(operation, *values) if _in_use else operation(*values)


def release(operation: Callable[[int], None], number: int) -> None:
    """Run an operation that frees what a jail holds; one that died holds nothing any more."""
    if not _in_use or _in_use[0].pid is not None:
        with suppress(DecoderDied):
            run(operation, number)
