"""Fixtures: a Redis that can be stopped, a migrated database, and processes of photomend."""

import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import coverage
import numpy as np
import psutil
import pytest
import redis
from PIL import Image
from skimage import data

from daemon.console import session
from daemon.supervising.redis_server import executable
from storage import database
from storage.database.jobs import Jobs
from storage.enums import Degradation
from storage.settings import settings
from tasks.imaging.degrade import degrade
from tests import chroots
from tests.fresh_machine import downloads, fresh, photos, wheels  # noqa: F401 (fixtures)

BIN = Path(sys.executable).parent
FAST = {
    "SETTLE": 0.2,
    "HEARTBEAT": 0.2,
    "WORKER_TIMEOUT": 4,
    "MAINTENANCE": 0.3,
    "RETRY_PAUSE": 0.1,
    "STOP": 8,
}
PAPER = [Path(__file__).parent / name for name in ("paper", "tasks/training")]
"""Folders whose test modules import torch."""
LEAST_COVERED = 15


def _needs_torch(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in PAPER)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no torch where the tests that need it are deselected."""
    return ("not paper" in config.option.markexpr and _needs_torch(collection_path)) or None


def pytest_itemcollected(item: pytest.Item) -> None:
    if _needs_torch(item.path):
        item.add_marker("paper")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the coverage of this run."""
    if config.option.cov_source:
        table, measured = io.StringIO(), coverage.Coverage()
        measured.load()
        total = measured.report(file=table, sort="cover")
        terminalreporter.section(f"{total:.1f} % of the lines are covered; the least of all in")
        terminalreporter.write_line("\n".join(table.getvalue().splitlines()[: 2 + LEAST_COVERED]))


class Redis:
    """A Redis on a socket, which stores nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket))

    def start(self) -> None:
        command = [executable(), "--port", "0", "--unixsocket", self.socket, "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self.socket.exists)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)
        self.client.close()


def eventually(happened: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., None]:
    return eventually


_OPENED_FILES: list[str] = []


@functools.cache
def _record_opened_files() -> None:
    """Record each file that this process opens from now on; an audit hook cannot be removed."""
    sys.addaudithook(
        lambda event, values: (
            _OPENED_FILES.append(os.fsdecode(values[0]))
            if event == "open" and isinstance(values[0], (str, bytes, os.PathLike))
            else None
        )
    )


@pytest.fixture
def opened_files() -> list[str]:
    """The files that this process opened, in order."""
    _record_opened_files()
    _OPENED_FILES.clear()
    return _OPENED_FILES


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


class FileServer(ThreadingHTTPServer):
    """An HTTP server for files, with ranges, whose next responses can be replaced."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.ways: list[Callable[[Answer], None]] = []
        """Each answers one request; when there are none left, files are given as they are."""
        self.asked: list[tuple[str, str | None]] = []
        """The path and the range of each request."""
        self.closing = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Ignore a client that disconnects."""


class Answer(BaseHTTPRequestHandler):
    """One answer of the file server."""

    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        (self.server.ways.pop(0) if self.server.ways else Answer.give)(self)

    @property
    def content(self) -> bytes:
        return self.server.files.get(self.path, b"")

    @property
    def etag(self) -> str:
        return f'"{hash(self.content)}"'

    def give(self, *, etag: bool = True, upto: int | None = None) -> None:
        """Answer as a good server does; with `upto`, break off after this byte of the file."""
        if self.path not in self.server.files:
            return self.send_error(404)
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if self.headers.get("If-Range", self.etag) != self.etag:
            start = 0
        whole = len(self.content)
        if start >= whole:
            self.head(416, {"Content-Range": f"bytes */{whole}", "Content-Length": 0})
            return None
        headers: dict[str, object] = {"Content-Length": whole - start}
        if etag:
            headers["ETag"] = self.etag
        if start:
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        self.head(206 if start else 200, headers)
        self.wfile.write(self.content[start:upto])
        return None

    def head(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: stderr belongs to the tested command."""


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A gallery "g", an output folder and a migrated database: the settings of this process."""
    (tmp_path / "gallery").mkdir()
    gallery = {"path": str(tmp_path / "gallery"), "output": str(tmp_path / "output")}
    gallery["backlog"] = "all"
    environment = {
        "STATE_DIR": str(tmp_path / "state"),
        "GALLERIES": json.dumps({"g": gallery}),
        "ARRIVING_SECONDS": "3600",
        "MIN_FREE_MEGABYTES": "1",
        "WEB": json.dumps({"address": ""}),  # tests beside each other cannot have the same port
        "GIVE_WAY": json.dumps({"nice": 0, "io_priority": "normal"}),  # they wait for workers
        **{f"{name}_SECONDS": str(seconds) for name, seconds in FAST.items()},
    }
    for name in [name for name in os.environ if name.startswith("PHOTOMEND_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(f"PHOTOMEND_{name}", value)
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    settings.cache_clear()
    database.migrate(settings().database)
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def without_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make started processes find an OpenCV that needs the missing library libGL."""
    package = tmp_path / "broken/cv2/__init__.py"
    package.parent.mkdir(parents=True)
    missing = "libGL.so.1: cannot open shared object file: No such file or directory"
    package.write_text(f"raise ImportError({missing!r})")
    monkeypatch.setenv("PYTHONPATH", str(package.parents[1]))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files and folders that this process syncs, at the time of the sync."""
    paths: list[str] = []
    fsync = os.fsync

    def record(number: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", record)
    return paths


@pytest.fixture
def jobs(home: Path) -> Iterator[Jobs]:
    jobs = Jobs(database.open_engine(settings().database), pause_seconds=0, max_attempts=3)
    yield jobs
    jobs.engine.dispose()


@pytest.fixture
def own_session(jobs: Jobs) -> Iterator[None]:
    """Let what the commands and the page share open the database of this test."""
    session.engine.cache_clear()
    yield
    session.engine().dispose()
    session.engine.cache_clear()


@pytest.fixture
def photomend(home: Path, redis_server: Redis) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command in its own process; kill at the end what still runs."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*args: str, **environment: str) -> subprocess.Popen[bytes]:
        env = os.environ | {"PHOTOMEND_REDIS_URL": redis_server.url} | environment
        with (home / "log").open("ab") as log:
            process = subprocess.Popen([BIN / "photomend", *args], env=env, stdout=log, stderr=log)
        running.append(process)
        return process

    yield start
    for process in running:
        kill_tree(process)
    print((home / "log").read_text(errors="replace") if (home / "log").exists() else "")


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    for child in children:
        try:
            child.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.fixture(scope="session")
def degraded_photo(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Degradation | None], Path]:
    """Return a JPEG file of a photograph with one degradation, or of a clean one."""
    folder = tmp_path_factory.mktemp("degraded")

    def photograph(kind: Degradation | None) -> Path:
        path = folder / f"{kind}.jpg"
        if not path.exists():
            image = data.astronaut()[:400, :400].astype(np.float32) / np.float32(255)
            if kind is not None:
                image = degrade(image, kind, seed=3)
            Image.fromarray((image * 255).round().astype(np.uint8)).save(path, quality=95)
        return path

    return photograph


@pytest.fixture
def take_photo(
    home: Path, degraded_photo: Callable[[Degradation | None], Path]
) -> Callable[..., Path]:
    """Copy a photo to the gallery."""

    def take(name: str = "cat.jpg", *, kind: Degradation | None = None) -> Path:
        path = home / "gallery" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(degraded_photo(kind), path)
        return path

    return take


@pytest.fixture
def namespace_program() -> Callable[[str], list[str]]:
    """Return the command that runs a program which may mount, without any right on this machine."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow user namespaces")

    def command(program: str) -> list[str]:
        prelude = (
            "import os, subprocess\nfrom pathlib import Path\n"
            "from storage import availability, filesystems\n"
            "sh = lambda *words: subprocess.run(words, check=True)\n"
        )
        return ["unshare", "-rm", sys.executable, "-c", prelude + program]

    return command


@pytest.fixture
def in_namespace(
    tmp_path: Path, namespace_program: Callable[[str], list[str]]
) -> Callable[[str], list[str]]:
    """Run a program that may mount; what it prints is returned."""

    def run(program: str) -> list[str]:
        ended = subprocess.run(
            namespace_program(program), cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    return run


@pytest.fixture(scope="session")
def debian_system(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, Path], Path]]:
    """Copy a release of Debian, with Python and pip, to a folder; it is installed once."""
    folder = tmp_path_factory.mktemp("debian")

    def copied(release: str, to: Path) -> Path:
        if not (folder / release).exists():
            chroots.make(folder / release, "python3,python3-pip,ca-certificates", release)
        subprocess.run(["cp", "-a", "--reflink=auto", folder / release, to], check=True)
        return to

    yield copied
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run_inside() -> Iterator[Callable[[str, str, str, str], None]]:
    """Run one test of a file in namespaces of its own; it finds the environment variable `mark`.

    Its folder has a short path, since it holds the socket of a Redis.
    """
    folder = tempfile.mkdtemp(prefix="in-", dir="/tmp")

    def run(unshared: str, file: str, chosen: str, mark: str) -> None:
        inner = [file, "-k", chosen, "--basetemp", f"{folder}/in"]
        keep = ["-o", "tmp_path_retention_policy=all"]  # mounted folders cannot be removed
        ran = subprocess.run(
            ["unshare", unshared, sys.executable, "-m", "pytest", "-q", *keep, *inner],
            env=os.environ | {mark: "1"}, check=False, cwd=Path(__file__).parent.parent,
            capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-12000:] + ran.stderr[-2000:]
        assert "1 passed" in ran.stdout

    yield run
    shutil.rmtree(folder, ignore_errors=True)
