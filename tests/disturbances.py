"""Disturb a running photomend: step its clock, fill or lock the disk of its output, stop processes.

Each disturbance but a step of the clock ends by itself after some seconds.
"""

import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer

import psutil
from wall_clock import Clock

STEPS = ("-7200", "+0", "+7200")
LONGEST_SECONDS = 8.0
DISK_MEGABYTES = 48
Undo = Callable[[], object]


class Disturbances:
    """What happens to photomend beside kills."""

    def __init__(self, output: Path, clock: Clock | None, *, mount: bool) -> None:
        self.counted: Counter[str] = Counter()
        self._output, self._clock = output, clock
        self._timers: list[Timer] = []
        self._disk = Timer(0, bool)
        self._mounted = mount
        if mount:
            output.mkdir()
            _mount("-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", output)

    def one(self, rng: random.Random, processes: Sequence[psutil.Process]) -> None:
        """Begin one at random."""
        kinds: list[str] = ["stopped"]
        kinds += ["clock stepped"] if self._clock else []
        kinds += ["output full", "output read-only"] if self._disk_is_free() else []
        kind = rng.choice(kinds)
        undo = self._begin(kind, rng, processes)
        if undo is None:
            return
        self.counted[kind] += 1
        timer = Timer(rng.uniform(0.5, LONGEST_SECONDS), undo)
        timer.start()
        self._timers.append(timer)
        if kind.startswith("output"):
            self._disk = timer

    def end(self) -> None:
        """Wait until all have ended; the clock is right then."""
        for timer in self._timers:
            timer.join()
        if self._clock:
            self._clock.set("+0")

    def unmount(self) -> None:
        """Unmount the disk of the output; what is in it is lost."""
        if self._mounted:
            subprocess.run(["umount", "--lazy", self._output], check=True)

    def _disk_is_free(self) -> bool:
        return self._mounted and not self._disk.is_alive()

    def _begin(
        self, kind: str, rng: random.Random, processes: Sequence[psutil.Process]
    ) -> Undo | None:
        """Begin one, and return what ends it; None if it cannot be begun now."""
        if kind == "stopped":
            return _stop(rng.choice(processes))
        if kind == "output full":
            return self._fill()
        if kind == "output read-only":
            return self._lock()
        assert self._clock is not None
        self._clock.set(rng.choice(STEPS))
        return bool

    def _fill(self) -> Undo:
        filler = self._output / ".filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        return filler.unlink

    def _lock(self) -> Undo | None:
        """Make the disk read-only, unless a file is being written."""
        try:
            _mount("-o", "remount,ro", self._output)
        except subprocess.CalledProcessError:
            return None
        return lambda: _mount("-o", "remount,rw", self._output)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True, stderr=subprocess.DEVNULL)


def _stop(process: psutil.Process) -> Undo | None:
    """Stop a process as Ctrl-Z does."""

    def go_on() -> None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)

    try:
        process.send_signal(signal.SIGSTOP)
    except psutil.NoSuchProcess:
        return None
    return go_on
