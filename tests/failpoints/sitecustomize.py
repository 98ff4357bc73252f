"""Kill or stop a worker's child process or a command once, at a named point, without code in the product.

Python imports this module when it starts, if its folder is on PYTHONPATH. FAILPOINT is the point.
FAILPOINT_HOW is kill (SIGKILL to the child), always (to each child, more than once), freeze
(SIGSTOP to the child and its parent) or jail (SIGKILL to the child's jail). The points OF_COMMANDS
are reached by commands of the owner, and not by workers. The file FAILPOINT_MARK is created with the ids of both processes when it happens.
"""

import functools
import os
import signal
import sys

OF_COMMANDS = (
    "reject begun", "in the trash", "rejected", "restore begun", "out of the trash", "delete begun",
)  # fmt: skip


def _fail_once() -> None:
    if os.environ["FAILPOINT_HOW"] == "always":
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        mark = os.open(os.environ["FAILPOINT_MARK"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(mark, f"{os.getpid()} {os.getppid()}".encode())
    os.close(mark)
    if os.environ["FAILPOINT_HOW"] == "jail":
        from storage import jail

        os.kill(jail.use().pid, signal.SIGKILL)
        return
    if os.environ["FAILPOINT_HOW"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    from tasks.worker import runtime

    with runtime.jobs().engine.begin():  # so the parent is not stopped while it writes
        os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def _after(owner, name, applies=lambda result: True):
    """Fail after the next call of a function whose result `applies`."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args, **values):
        result = function(*args, **values)
        if applies(result):
            _fail_once()
        return result

    setattr(owner, name, wrapped)


def _within(operation: str) -> None:
    """Fail while the jail has this operation before it."""
    from storage import jail
    from storage.jail import messages

    send = messages.send

    def wrapped(to, content, along):
        if content["name"] != operation:
            return send(to, content, along)
        os.kill(jail.use().pid, signal.SIGSTOP)
        send(to, content, along)
        _fail_once()
        return os.kill(jail.use().pid, signal.SIGCONT)

    messages.send = wrapped


def _install_in_command(point: str) -> None:
    from storage import publishing, trash
    from storage.database import moves, reviews

    match point:
        case "reject begun":
            _after(moves, "begin_reject")
        case "in the trash":
            _after(trash, "put")
            _after(publishing, "remove")
        case "rejected":
            _after(reviews, "reject")
        case "delete begun":
            _after(moves, "begin_delete")
        case "restore begun":
            _after(moves, "begin_restore")
        case "out of the trash":
            _after(trash, "take_out")


def _install(point: str) -> None:
    from storage import photos, publishing
    from storage.database.jobs import Jobs
    from tasks import guard
    from tasks.lite import trial  # noqa: F401  # keeps the guard of trials as it is
    from tasks.worker import runtime

    match point:
        case "claim":
            _after(runtime, "claim", lambda job: job is not None and job.category is not None)
        case "classify":
            _after(runtime, "claim", lambda job: job is not None)
        case "by_content" | "decoded" | "coded" | "verify":
            _within(point)
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


if os.environ.get("FAILPOINT") in OF_COMMANDS:
    _install_in_command(os.environ["FAILPOINT"])
elif "FAILPOINT" in os.environ and "spawn_main" in " ".join(sys.orig_argv):
    _install(os.environ["FAILPOINT"])
