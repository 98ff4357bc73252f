"""Do independent parts of the work on an image at once, one on each core that a worker may use."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

THREADS = 2
"""Parts at once; the memory for a part is needed as many times."""


def each(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Return the results of `work`, which must release the interpreter's lock to gain from it."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))
