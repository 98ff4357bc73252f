"""A worker lowers its own priority, that of its session and its children, and never raises it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, psutil, subprocess, sys
from pathlib import Path
from tasks.worker import priority
if len(sys.argv) > 1:
    os.setpriority(os.PRIO_PROCESS, 0, int(sys.argv[1]))
priority.lower()
child = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0)))"
group = Path("/proc/self/autogroup")  # empty in the session that the kernel started
session = group.read_text().split() if group.exists() else []
print(json.dumps({
    "child": subprocess.check_output([sys.executable, "-c", child], text=True).split(),
    "disk": list(map(int, psutil.Process().ionice())),
    "session": session[-1] if session else None,
}))
"""


@pytest.fixture
def lowered(home, monkeypatch):
    def lowered(*args, session=True, **give_way):
        environment = os.environ | {"PHOTOMEND_GIVE_WAY": json.dumps(give_way)}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *args],
            env=environment, stdout=subprocess.PIPE, text=True, check=True, start_new_session=session,
        )  # fmt: skip
        return json.loads(ran.stdout)

    return lowered


def test_processor_disk_and_session_get_the_priority_of_the_settings(lowered):
    found = lowered(nice=15, io_priority="idle")
    assert (found["child"][0], found["disk"][0], found["session"] or "15") == ("15", 3, "15")
    found = lowered(nice=12)
    assert (found["child"][0], found["disk"]) == ("12", [2, 7])


def test_a_lower_priority_stays_and_that_of_a_shell_is_left_alone(lowered):
    shell = Path("/proc/self/autogroup")
    before = shell.read_text() if shell.exists() else None
    assert lowered("17", session=False, nice=5)["child"][0] == "17"
    assert before is None or shell.read_text() == before


def test_workers_are_bound_to_their_share_of_the_cores(lowered):
    here = len(os.sched_getaffinity(0))
    assert lowered(cores_share=0.5)["child"][1] == str(max(1, here // 2))
    assert lowered()["child"][1] == str(here)
