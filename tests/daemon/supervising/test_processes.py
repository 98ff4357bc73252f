"""The processes of `photomend up`."""

import subprocess
import sys

from daemon.supervising import processes
from daemon.supervising.processes import SupervisedProcess


def test_the_log_of_a_process_that_runs_for_years_stays_short(tmp_path, monkeypatch, eventually):
    monkeypatch.setattr(processes, "MAX_LOG_BYTES", 10_000)
    program = "import time\nfor n in range(10**9): print(n, flush=True); time.sleep(0.0001)"
    one = SupervisedProcess(
        "one",
        lambda log: subprocess.Popen([sys.executable, "-c", program], stdout=log),
        tmp_path / "one.log",
    )
    try:
        last = -1
        for _ in range(2):
            one.ensure_running()
            eventually(lambda: one.log.stat().st_size > 10_000)
            number = int(one.last_line())
            assert number > last
            last = number
            one.ensure_running()
            assert one.log.stat().st_size < 10_000
            assert (tmp_path / "one.old").stat().st_size > 10_000
        assert one.is_running()
    finally:
        one.stop(5)
