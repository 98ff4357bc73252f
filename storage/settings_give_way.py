"""The settings of how much photomend leaves to other programs, `[give_way]`."""

from dataclasses import dataclass
from typing import Annotated

from storage.enums import IoPriority, Reaction
from storage.settings_values import Check

MOST_NICE = 19
"""The lowest priority of Linux."""

Nice = Annotated[
    int, Check(lambda nice: nice <= MOST_NICE, f"a whole number from 0 to {MOST_NICE}")
]
Part = Annotated[float, Check(lambda part: 0 < part <= 1, "a number above 0, up to 1")]


@dataclass(frozen=True)
class GiveWaySettings:
    """What this machine's workers leave to other programs."""

    on_battery: Reaction = Reaction.WAIT
    """Whether photos wait while the machine runs on its battery (`wait`), or not (`go on`)."""
    gpu_in_use: Reaction = Reaction.WAIT
    """Whether photos that need the GPU wait while other programs compute on it, or hold almost all of
    its memory (`wait`), or not (`go on`)."""
    nice: Nice = 10
    """Nice value of the workers, 0 to 19: with 19, they compute only when nobody else does."""
    io_priority: IoPriority = IoPriority.LOW
    """Priority of the workers' reads and writes: `normal`, `low`, or `idle` (when nobody else reads)."""
    cores_share: Part = 1.0
    """Share of the processor's cores that all workers together may use; one core at least."""
