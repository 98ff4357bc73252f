"""The settings of how much photomend leaves to other programs, `[give_way]`."""

from dataclasses import dataclass

from storage.enums import OnBattery


@dataclass(frozen=True)
class GiveWaySettings:
    """What this machine's workers leave to other programs."""

    on_battery: OnBattery = OnBattery.WAIT
    """Whether photos wait while the machine runs on its battery (`wait`), or not (`go on`)."""
