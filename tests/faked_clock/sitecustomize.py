"""Sleep without an absolute time: libfaketime shifts the ends of such sleeps though they are monotonic.

Python imports this in the processes whose wall clock a test steps. It imports one module of this
name, so the one of failpoints is run from here.
"""

import os
import runpy
import select
import time
from pathlib import Path


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
if "FAILPOINT" in os.environ:
    runpy.run_path(str(Path(__file__).parents[1] / "failpoints/sitecustomize.py"))
