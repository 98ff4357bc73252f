"""What did not work at first is tried again: inotify, and photos that came without their content."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.database import galleries, search
from storage.enums import QUEUES, Degradation, Status

pytestmark = pytest.mark.slow


def test_a_gallery_that_could_not_be_watched_by_events_is_tried_again(home, jobs, eventually):
    limit = Path("/proc/sys/user/max_inotify_instances")
    if subprocess.run(
        ["unshare", "-r", "sh", "-c", f"echo 0 > {limit}"], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow to limit inotify in a user namespace")
    setting = json.loads(os.environ["PHOTOMEND_GALLERIES"])
    setting["g"]["rescan_seconds"] = 1
    watch = "from daemon.cli import main; import sys; sys.argv = ['photomend', 'watch']; main()"
    program = (
        f'echo 0 > {limit}; {sys.executable} -c "{watch}" & '
        f"while [ ! -e {home}/raise ]; do sleep 0.1; done; echo 9 > {limit}; wait"
    )
    one = subprocess.Popen(
        ["unshare", "-r", "sh", "-c", program], start_new_session=True,
        env=os.environ | {"PHOTOMEND_GALLERIES": json.dumps(setting)},
    )  # fmt: skip

    def watching() -> str:
        row = galleries.get(jobs.engine, "g")
        return row.watching if row else ""

    try:
        eventually(lambda: watching().startswith("polling (no watch can be set"))
        (home / "raise").touch()
        eventually(lambda: watching() == "events")
    finally:
        os.killpg(one.pid, signal.SIGTERM)
        one.wait(60)


@pytest.mark.parametrize("how", ["events", "polling"])
def test_a_placeholder_that_is_filled_with_the_same_size_and_time_is_mended(
    home, jobs, photomend, take_photo, eventually, monkeypatch, how
):
    setting = json.loads(os.environ["PHOTOMEND_GALLERIES"])
    setting["g"] |= {"watch": how, "rescan_seconds": 2}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps(setting))
    photo = take_photo("cat.jpg", kind=Degradation.NOISE)
    content = photo.read_bytes()
    photo.write_bytes(bytes(len(content)))
    os.utime(photo, (1e9, 1e9))
    photomend("watch")
    photomend("work", *QUEUES)
    eventually(lambda: (job := search.get(jobs.engine, 1)) and job.status is Status.FAILED)
    with photo.open("r+b") as file:
        file.write(content)
    os.utime(photo, (1e9, 1e9))
    eventually((home / "output/cat.jpg").exists)
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)
