"""Limit how often a password may be guessed, by each client and by all together."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock

MOST_OF_ONE = 5
"""Wrong passwords of one address within the window; then it has to wait."""
MOST_OF_ALL = 50
"""Wrong passwords of all addresses within the window, since one attacker may have many."""
WINDOW_SECONDS = 900.0
"""Age up to which a wrong password counts."""
ALL = ""


class Attempts:
    """The wrong passwords of the last minutes, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def wait_seconds(self, address: str) -> float:
        """Return for how long no password of an address is looked at; 0 if one is."""
        with self._lock:
            self._forget()
            waits = [
                self._failed[who][-most] + WINDOW_SECONDS - self._clock()
                for who, most in ((address, MOST_OF_ONE), (ALL, MOST_OF_ALL))
                if who in self._failed and len(self._failed[who]) >= most
            ]
            return max(waits, default=0.0)

    def fail(self, address: str) -> None:
        """Count a wrong password."""
        with self._lock:
            for who in (address, ALL):
                self._failed[who].append(self._clock())

    def succeed(self, address: str) -> None:
        """Forget the wrong passwords of an address."""
        with self._lock:
            self._failed.pop(address, None)

    def _forget(self) -> None:
        oldest = self._clock() - WINDOW_SECONDS
        for who in list(self._failed):
            times = self._failed[who]
            while times and times[0] < oldest:
                times.popleft()
            if not times:
                del self._failed[who]
