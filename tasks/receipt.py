"""The receipt of a restoration: what was done to a photo, by which network, in how many seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Receipt:
    """The steps of one chain on one photo, in order, as plain JSON values."""

    steps: list[dict[str, object]] = field(default_factory=list)
    generative: bool = False
    """Whether a step may have invented content; it is written into the copy's metadata."""

    @contextmanager
    def step(self, name: str, **facts: object) -> Iterator[dict[str, object]]:
        """Note a step that runs inside the `with`, its seconds and `facts` (weights, tiles, …).

        Gives the step's entry, so that facts known only afterwards can be added.
        """
        entry: dict[str, object] = {"step": name, **facts}
        begun = time.perf_counter()
        yield entry
        entry["seconds"] = round(time.perf_counter() - begun, 3)
        self.steps.append(entry)
