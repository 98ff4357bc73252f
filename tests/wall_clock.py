"""The wall clock of started processes, which a test may step: libfaketime reads it from a file."""

from pathlib import Path

FAKETIME = next(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"), None)
MISSING = "libfaketime is not installed (apt install faketime)"


class Clock:
    """The wall clock of the processes that have its environment.

    A step moves neither the time since boot nor the times of files, as on a real machine.
    """

    def __init__(self, file: Path, offset: str = "+0") -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(Path(__file__).with_name("faked_clock")),
        }  # fmt: skip
        self.set(offset)

    def set(self, offset: str) -> None:
        """Set it to the real time and this offset in seconds."""
        new = self._file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.replace(self._file)  # no process reads a half-written file
