"""The main screens at three sizes, from a real terminal (tmux), compared with the golden texts.

`GOLDEN_SCREENS=write` writes the texts in `screens`; read them before you commit them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import galleries
from storage.database import workers as worker_rows
from storage.enums import QUEUES

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

SCREENS = Path(__file__).with_name("screens")
PHOTOMEND = Path(sys.executable).with_name("photomend")
UP = """
import time
from daemon.supervising.progress import Progress
from storage import database
from storage.settings import settings
with Progress(database.open_engine(settings().database)) as progress:
    progress._since = 0.0
    progress.update()
    import os
    os.system("tmux wait-for -S up")
    time.sleep(120)
"""
COMMANDS = {
    "status": f"{PHOTOMEND} status",
    "jobs": f"{PHOTOMEND} jobs",
    "show": f"{PHOTOMEND} show 1",
    "weights": f"{PHOTOMEND} weights list",
    "up": f"{sys.executable} up.py",
}
DONE = "UPDATE jobs SET status = 'done', claims = 2, pixels = 12000000, seconds = 12.5,"
SEED = (
    f"""{DONE} decision = 'restored', category = 'super-resolution', output = '2024/summer/IMG_0001.jpg',
    scores = '{{"severities": {{"noise": 0.93, "compression": 0.71}}}}',
    receipt = '{{"guard": {{"visible_change": 3.4}}}}' WHERE id = 1""",
    f"{DONE} decision = 'left alone', reason = 'a screenshot, by its name or folder' WHERE id = 2",
    f"""{DONE} decision = 'unsure', reason = 'perhaps reflection (0.62)', category = 'reflection',
    scores = '{{"severities": {{"reflection": 0.62}}}}' WHERE id = 3""",
    ("UPDATE jobs SET status = 'failed', error_kind = 'unreadable', seconds = 0.2, error = 'the file is "
    "cut short: 120 of 4000 bytes of its image are missing' WHERE id = 4"),
    ("UPDATE jobs SET status = 'running', claims = 1, category = 'motion-blur', queue = 'motion-blur',"
    " worker = 'w', pixels = 12000000 WHERE id = 5"),
    ("UPDATE jobs SET created_at = created_at - 10850, claimed_at = created_at - 7250,"
    " updated_at = created_at - 100"),
    "UPDATE jobs SET finished_at = updated_at + id WHERE id < 5",
    "UPDATE jobs SET claimed_at = claimed_at + 7000 WHERE id = 5",
    "UPDATE workers SET started_at = started_at - 7250",
    "INSERT INTO pauses (scope, name, since) VALUES ('category', 'reflection', 1)",
)  # fmt: skip


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder whose path always has the same length: texts are broken and cut by it."""
    with tempfile.TemporaryDirectory(prefix="photomend-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def full(home, jobs, monkeypatch):
    """Fill the database with photos of each kind."""
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "600")
    names = [
        "IMG_0001.jpg",
        "Screenshot_2024.png",
        "IMG_0003 copy of a long name.jpg",
        "broken.jpg",
    ]
    names += ["IMG_0005.jpg", "IMG_0006.jpg", "IMG_0007.jpg"]
    galleries.add(jobs.engine, "g", Path("2024/summer"), dict.fromkeys(names, "1-2-3"))
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    galleries.note(
        jobs.engine, "g", host="host", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True, photos=7, scan_seconds=12.0,
    )  # fmt: skip
    with jobs.engine.begin() as connection:
        for statement in SEED:
            connection.exec_driver_sql(statement)
    (home / "up.py").write_text(UP)


@pytest.fixture
def screens(home, full):
    """Run all commands at once, each in a terminal of its own, and return what is on them."""
    (home / "tmux.conf").write_text("set -g status off\nset -g history-limit 1000\n")
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TMUX_TMPDIR": str(home)}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("TMUX", "NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)

    def tmux(*words: str) -> str:
        command = ["tmux", "-f", home / "tmux.conf", *words]
        done = subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, check=True,
            timeout=60,
        )  # fmt: skip
        return done.stdout

    def show(width: int, height: int) -> dict[str, str]:
        for name, command in COMMANDS.items():
            ended = f"{command}; tmux wait-for -S {name}; sleep 120"
            size = ("-x", str(width), "-y", str(height))
            tmux("new-session", "-d", "-s", name, *size, ended)
        found = {}
        for name in COMMANDS:
            tmux("wait-for", name)
            shown = ["-S", "-"] if name != "up" else []
            found[name] = tmux("capture-pane", "-p", *shown, "-t", name)
        return found

    yield show
    tmux("kill-server")


def steady(text: str, home: Path) -> str:
    """Return a text in which what differs between two runs has other signs, as many."""
    text = text.replace(str(home), "/tmp/photomend-00000000").replace(
        home.name, "photomend-00000000"
    )
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2024-05-01 12:00:00", text)
    text = re.sub(r"\d+\.\d s so far", "1.0 s so far", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


@pytest.mark.parametrize(("width", "height"), [(60, 12), (80, 24), (200, 60)])
def test_the_screens_are_those_of_the_golden_texts(home, screens, width, height):
    found = screens(width, height)
    text = "".join(f"== {name} ==\n{steady(shown, home)}\n\n" for name, shown in found.items())
    golden = SCREENS / f"{width}x{height}.txt"
    if os.environ.get("GOLDEN_SCREENS") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
    assert all(len(line) <= width for line in text.splitlines())


def on_terminal(*words: str, **environment: str) -> str:
    """Return what a command writes to a terminal, with its colours."""
    ours, its = os.openpty()
    with os.fdopen(its, "wb") as terminal:
        command, env = [PHOTOMEND, *words], os.environ | {"TERM": "xterm"} | environment
        subprocess.run(command, stdout=terminal, env=env, check=True, timeout=60)
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1(65536).decode()


@pytest.mark.parametrize("command", ["status", "jobs"])
def test_only_trouble_is_red_and_nothing_with_no_color(full, command):
    lines = on_terminal(command, NO_COLOR="").splitlines()
    assert [("unreadable" in line or "broken" in line) for line in lines if "\x1b[31m" in line] == [
        True
    ]
    assert "\x1b[31m" not in on_terminal(command, NO_COLOR="1")
