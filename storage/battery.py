"""Whether this machine runs on its battery, as the kernel says.

The rule is that of systemd-ac-power. psutil's takes the battery of a wireless mouse for the machine's.
"""

from pathlib import Path

FOLDER = "sys/class/power_supply"


def in_use(root: Path = Path("/")) -> bool:
    """Return whether a battery is drained and nothing else gives power; `root` is the folder of sys."""
    supplies = [each for each in (root / FOLDER).glob("*") if _value(each, "scope") != "Device"]
    batteries = [each for each in supplies if _value(each, "type") == "Battery"]
    if any(_value(each, "online") == "1" for each in supplies if each not in batteries):
        return False
    return any(_value(each, "status") == "Discharging" for each in batteries)


def _value(supply: Path, name: str) -> str:
    try:
        return (supply / name).read_text().strip()
    except OSError:  # not every supply has each value, and a battery may be taken out
        return ""
