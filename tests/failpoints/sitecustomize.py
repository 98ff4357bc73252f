"""Make a worker's child die or freeze at a named point, once, without a word in the product.

Python imports this when it starts, where the folder is on PYTHONPATH. FAILPOINT is the point,
FAILPOINT_HOW is kill (as `kill -9`) or freeze (SIGSTOP, with its parent), and the file
FAILPOINT_MARK says that it happened.
"""

import functools
import os
import signal
import sys


def _strike() -> None:
    try:
        mark = os.open(os.environ["FAILPOINT_MARK"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(mark, f"{os.getpid()} {os.getppid()}".encode())
    os.close(mark)
    if os.environ["FAILPOINT_HOW"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def _after(owner, name, counts=lambda result: True):
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args, **values):
        result = function(*args, **values)
        if counts(result):
            _strike()
        return result

    setattr(owner, name, wrapped)


def _arm(point: str) -> None:
    from storage import photos, publishing
    from storage.database.jobs import Jobs
    from tasks import guard
    from tasks.worker import runtime

    match point:
        case "claim":
            _after(runtime, "claim", lambda job: job is not None and job.category is not None)
        case "classify":
            _after(runtime, "claim", lambda job: job is not None)
        case "network":
            _after(guard, "judge")
        case "temporary":
            _after(photos, "write")
        case "hash":
            _after(Jobs, "record")
        case "rename":
            _after(publishing, "publish")
        case "done":
            _after(Jobs, "finish")
        case _:
            raise ValueError(point)


if "FAILPOINT" in os.environ and "spawn_main" in " ".join(sys.orig_argv):
    _arm(os.environ["FAILPOINT"])
