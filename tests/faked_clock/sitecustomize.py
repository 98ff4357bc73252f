"""Sleep without an absolute time: libfaketime shifts the ends of such sleeps though they are monotonic.

Python imports this in the processes whose wall clock a test steps.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
