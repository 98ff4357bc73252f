"""From inside a jail nothing is reached; the filter and Landlock each hold alone what they can."""

import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attacks import ATTACKS, descriptors, environment, threads, tried

from storage.jail import landlock, seccomp
from storage.jail.client import Jail
from storage.jail.confinement import MOST_FILES

ROOT = Path(__file__).parents[3]
NOT_BY_LANDLOCK = {
    "stat", "change its mode", "fork", "UDP", "unix", "signal by descriptor", "limit", "new code",
    "namespace", "key", "io_uring",
}  # fmt: skip
"""What Landlock does not know of."""

needs_landlock = pytest.mark.skipif(landlock.version() < 6, reason="an old kernel")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """For each attack what it aims at, which is really there."""
    folder = tmp_path_factory.mktemp("t")
    (folder / "file").write_bytes(b"private")
    with ExitStack() as open_ones, subprocess.Popen(["sleep", "600"]) as process:

        def listening(family: int, kind: int, address: object) -> socket.socket:
            made = open_ones.enter_context(socket.socket(family, kind))
            made.bind(address)
            if kind == socket.SOCK_STREAM:
                made.listen(64)
            return made

        tcp = listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = listening(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        listening(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "socket"))
        listening(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{folder}")
        aims = dict.fromkeys(ATTACKS, str(folder / "file"))
        aims |= {"list": str(folder), "unix": str(folder / "socket"), "abstract": str(folder)}
        aims |= {"TCP": str(tcp.getsockname()[1]), "UDP": str(udp.getsockname()[1])}
        of_process = ("kill", "signal by descriptor", "ptrace", "memory", "memory by call", "limit")
        yield aims | dict.fromkeys(of_process, str(process.pid))
        process.kill()


def confined_by(measures: str, targets: dict[str, str]) -> dict[str, str]:
    """Try all attacks in processes confined by these measures only, and return how each ended."""
    program = f"""
import json, os, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(ROOT)!r}]
from attacks import tried
from storage.jail import confinement, landlock, seccomp
ended = {{}}
for name, target in json.loads(sys.argv[1]).items():
    out, into = os.pipe()
    if not os.fork():
        {measures}
        os.write(into, tried(name, target).encode())
        os._exit(0)
    os.close(into)
    ended[name] = os.read(out, 100).decode()
    os.wait()
print(json.dumps(ended))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, json.dumps(targets)], check=True, capture_output=True
    )
    ended: dict[str, str] = json.loads(ran.stdout)
    return ended


@pytest.mark.parametrize("name", ATTACKS)
@needs_landlock
def test_nothing_is_reached_from_inside(name: str, attacked: Jail, targets: dict[str, str]) -> None:
    assert attacked.run(tried, name, targets[name]) == "refused"


def test_the_jail_says_that_it_is_complete(attacked: Jail) -> None:
    confinement = attacked.confinement()
    assert confinement.is_complete
    assert (confinement.landlock, confinement.system_calls) == (landlock.version(), True)


def test_the_filter_alone_refuses_all(targets: dict[str, str]) -> None:
    ended = confined_by("confinement._drop_privileges(); seccomp.refuse_others()", targets)
    assert {name for name, end in ended.items() if end != "refused"} == set()


@needs_landlock
def test_landlock_alone_refuses_all_that_it_knows(targets: dict[str, str]) -> None:
    ended = confined_by("confinement._drop_privileges(); landlock.forbid_all()", targets)
    assert {name for name, end in ended.items() if end != "refused"} <= NOT_BY_LANDLOCK


def test_a_process_that_is_not_confined_can_do_it(targets: dict[str, str]) -> None:
    others = {name: target for name, target in targets.items() if name not in ("remove", "execute")}
    ended = confined_by("pass", others)
    may_need_rights = (
        () if os.getuid() == 0 else ("ptrace", "memory", "memory by call", "namespace")
    )
    undone = {name: end for name, end in ended.items() if end != "done"}
    assert undone.keys() <= set(may_need_rights)


def test_a_jail_can_start_threads(attacked: Jail) -> None:
    assert attacked.run(threads) == 4


def test_a_jail_has_no_environment_and_nothing_open(
    attacked: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOMEND_DATABASE_URL", "secret")
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    assert "PHOTOMEND" not in attacked.run(environment)
    assert attacked.run(descriptors) <= 5  # of stdio, its socket, and the memory of this message
    os.close(reader)
    os.close(writer)


def test_a_jail_has_no_rights_and_gets_none(attacked: Jail) -> None:
    attacked.run(threads)
    told = Path(f"/proc/{attacked.pid}/status").read_text()
    values = dict(line.split(":\t", 1) for line in told.splitlines())
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(values[kind], 16) == 0
    assert (values["NoNewPrivs"], values["Seccomp"], values["CoreDumping"]) == ("1", "2", "0")
    limits = Path(f"/proc/{attacked.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(rf"Max open files +{MOST_FILES} +{MOST_FILES} ", limits)


@pytest.mark.parametrize("limited", ["parent", "jail"])
def test_the_memory_of_a_jail_is_limited_also_where_it_is_shared(limited: str) -> None:
    least = {"parent": 1 << 30, "jail": -1}[limited]
    megabytes = {"parent": None, "jail": 1000}[limited]
    program = f"""
import resource, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(ROOT)!r}]
import attacks, conftest
from storage.jail.client import Jail
resource.setrlimit(resource.RLIMIT_DATA, ({least}, {least}))
jail = Jail(conftest.WITH_ATTACKS, {megabytes})
print(jail.run(attacks.hoard, 1 << 29), jail.run(attacks.hoard, 1 << 31))
try:
    jail.run(attacks.fill, 1 << 31)
except MemoryError:
    print("too little memory")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout.splitlines() == ["None EFBIG", "too little memory"]


OLD_KERNEL = f"""
import errno, sys
sys.path.insert(0, {str(ROOT)!r})
from storage.jail import confinement, landlock, seccomp
absent = [{{}}]
refused = [seccomp._end(seccomp._ERROR | errno.ENOSYS)]
code = [seccomp._load(0), *[part for n in absent for part in seccomp._if(n, refused)]]
confinement._drop_privileges()
assert not seccomp._install(b"".join([*code, seccomp._end(seccomp._ALLOW)]))
"""
SECCOMP = seccomp.MACHINES.get(platform.machine(), (0, 0, 0))[2]


@pytest.mark.parametrize(
    ("absent", "lacks", "holding"),
    [
        ("landlock._CREATE", ["the kernel has no Landlock"], [0, True]),
        (f"{SECCOMP}", ["takes no filter of system calls"], [landlock.version(), False]),
        (f"landlock._CREATE, {SECCOMP}", ["no Landlock", "no filter"], [0, False]),
    ],
)
def test_on_an_old_kernel_photos_are_read_with_what_it_has(
    absent: str, lacks: list[str], holding: list[object], tmp_path: Path, make: Callable[..., Path]
) -> None:
    program = f"""{OLD_KERNEL.format(absent)}
import json, logging
from pathlib import Path
from storage import jail, photos
from storage.formats.safe_open import Limits
logging.basicConfig()
with jail.used() as process:
    photo = photos.read(Path({str(make(tmp_path / "photo.jpg"))!r}), Limits(10**9, 10**9, 0))
    confined = process.confinement()
print(json.dumps([photo.image.shape, confined.lacks, [confined.landlock, confined.system_calls]]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    shape, told, held = json.loads(ran.stdout)
    assert (shape, held) == ([120, 160, 3], holding)
    for reason, problem in zip(lacks, told, strict=True):
        assert reason in problem
        assert f"photos are decoded with less protection: {problem}" in ran.stderr


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        ("ENOSYS", "the kernel has no Landlock"),
        ("EPERM", "Landlock may not be used here: Operation not permitted"),
    ],
)
def test_the_doctor_reports_what_is_lacking(error: str, lacks: str) -> None:
    program = f"""{OLD_KERNEL.format("landlock._CREATE").replace("ENOSYS", error)}
from daemon.reports import worker_checks
print(worker_checks.decoding())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert f"well=True, text='with less protection: {lacks}'" in ran.stdout
