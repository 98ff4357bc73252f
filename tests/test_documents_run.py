"""Each command that a document or a help shows is run as it stands, page by page, in a home of its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from storage.enums import Degradation
from tasks.imaging.degrade import degrade
from tests.conftest import FAST, Redis, eventually, kill_tree
from tests.documents import PAGES, ROOT, Code, codes, examples
from tests.documents_not_run import NOT_RUN
from tests.immich.fake_immich import KEY, FakeImmich, serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
PHOTOS = (
    "2019/cat.jpg", "2019/wedding/bride.jpg", "2024/cat.jpg", "2024/dog.jpg",
    *(f"2024/{number}.jpg" for number in range(5)),
)  # fmt: skip
"""Jobs 7 and 8 of the documents are among them."""

PLACES = {
    "~/photomend/bin/photomend": "photomend",
    "/photos": "{home}/Photos",
    "/photos-mended": "{home}/Photos-mended",
    "/mnt/media/photos": "/mnt/media/Photos",
    "/mnt/media/photos-mended": "/mnt/media/Photos-mended",
    "/etc/photomend": "{home}/.config/photomend",
    "http://127.0.0.1:8484": "http://127.0.0.1:{port}",
    "http://nas.example:2283": "{immich}",
    "photomend forget family": "photomend forget bygone",
}
"""Where the test has what a document names; a longer word that ends so stays as it is."""

WORDS = {
    "ID": "7", "PATH": "~/Photos/2024/cat.jpg", "FOLDER": "~/Photos", "[FOLDER]": "~/Photos",
    "[GALLERY]": "~/Photos", "GALLERY": "family", "QUEUE": "classify", "PHOTO": "cat.jpg",
    "PHOTOS": "~/Photos", "LIST.csv": "photos.csv", "NAME": "former", "DATE": "2026-05-01",
}  # fmt: skip
"""What the test writes for a word in capitals."""

INPUTS = {
    "cat > ~/.config/photomend/immich.key": f"{KEY}\n",
    "photomend web password": "correct horse battery\n",
}
"""What is typed."""

CODES = {
    "photomend weights verify": (1, "there are no weights in"),
    "photomend weights verify InvSR": (1, "InvSR: "),
    "photomend weights path RealESRGAN_x4plus": (1, "is not there; put it there, or:"),
    "photomend compare cat.jpg dog.jpg --engine lite --engine paper": (1, "weights pull"),
    "photomend compare cat.jpg dog.jpg --engine lite --engine paper --sheet pets.jpg": (
        1,
        "weights pull",
    ),
    "photomend immich check": (1, "no address is set"),
}
"""The exit codes of commands that name something which is missing here, with words that they print."""

BEFORE = {
    "photomend undo 7": "photomend retry 7 --from-scratch && photomend reject 7",
    "photomend restore PATH": "photomend reject PATH",
    "photomend web token NAME --revoke": "photomend web token NAME",
}
"""What has been done before a command that takes something back."""

BEGINS = re.compile(r"photomend (?:--config \S+ )?(?:up|watch|work|web$|config init$)(?!-)")
"""What is run in a house of its own, since it begins or lasts."""
CHANGES = re.compile(
    r"(?:curl|photomend (?:retry|mend|keep|reject|restore|undo|cancel|pause|add)\b)"
)
"""What is typed when nothing else is on its way."""

RUNNABLE = re.compile(
    r"photomend (?:(?:doctor|jobs|migrate|resume|status|trial|up|watch|web|work)$|(?!\w+$))"
)
"""Within a sentence, what is more than the name of a command."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def draw(path: Path, number: int) -> None:
    """Write a photo with noise that differs from those of other numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = data.astronaut()[20 * number :, 10 * number :][:300, :300].astype(np.float32)
    image = degrade(image / np.float32(255), Degradation.NOISE, seed=number)
    Image.fromarray((image * 255).round().astype(np.uint8)).save(path, quality=95)


class House:
    """A home with photos, in which commands are run as a document shows them."""

    def __init__(self, home: Path, photos: tuple[str, ...]) -> None:
        self.home, self.port, self.immich, self.codes = home, free_port(), "", CODES
        self.said = set[str]()
        (home / ".curlrc").write_text("fail\n")  # an answer that is an error is one of the command
        self.config = home / ".config/photomend/config.toml"
        for number, name in enumerate(photos):
            draw(home / "Photos" / name, number)
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith("PHOTOMEND_")
        } | {
            "HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200", "TERM": "dumb",
            "PHOTOMEND_WEB": json.dumps({"address": f"127.0.0.1:{self.port}"}),
            "PHOTOMEND_WORKERS": "1", "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
            "PHOTOMEND_GIVE_WAY": json.dumps({"nice": 0, "io_priority": "normal"}),
            **{f"PHOTOMEND_{name}_SECONDS": str(seconds) for name, seconds in FAST.items()},
        }  # fmt: skip
        for name in [name for name in self.variables if name.startswith("XDG_")]:
            del self.variables[name]

    def settings(self, text: str) -> None:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self.here(text))

    def here(self, text: str) -> str:
        """Return a command or settings with the places of this house."""
        for place, other in PLACES.items():
            other = other.format(home=self.home, port=self.port, immich=self.immich)
            text = re.sub(rf"(?<![\w/.~-]){re.escape(place)}(?![\w-])", other, text)
        return text

    def command(self, line: str) -> str:
        """Return a command line with the places of this house, and without words in capitals."""
        words = "(?<!\\S)(" + "|".join(map(re.escape, WORDS)) + ")(?!\\S)"
        return re.sub(words, lambda found: WORDS[found[0]], self.here(line))

    def run(self, line: str, code: int = 0) -> str:
        """Run a command line to its end; return what it printed."""
        command = self.command(line)
        done = subprocess.run(  # the shell stays above the command, as where one types: completion asks for it
            ["bash", "-euc", f"{command}\nexit"], env=self.variables, cwd=self.home, text=True, check=False,
            input=INPUTS.get(line, ""), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
        )  # fmt: skip
        print(f"$ {command}\n{done.stdout}[{done.returncode}]")
        assert "Traceback" not in done.stdout
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def lasting(self, line: str, happened: Callable[[], object]) -> Iterator[None]:
        """Start a command that runs until it is stopped, and wait; stop it at the end, as Ctrl-C does."""
        log = self.home / "log"
        with log.open("a") as file:
            one = subprocess.Popen(
                ["bash", "-c", f"exec {self.command(line)}"], env=self.variables, cwd=self.home,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        try:
            eventually(lambda: one.poll() is not None or happened(), 60)
            assert one.poll() is None, log.read_text()
            yield
            assert one.poll() is None, log.read_text()
            one.send_signal(signal.SIGINT)
            assert one.wait(60) == 0, log.read_text()
            assert "Traceback" not in log.read_text()
        finally:
            kill_tree(one)

    def get(self, path: str) -> str:
        """Return what the page answers, or nothing while there is none."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as it:
            return it.read().decode()
        return ""

    def healthy(self) -> bool:
        return bool(json.loads(self.get("/health") or "{}").get("healthy"))

    def done(self) -> int:
        return self.status().get("jobs", {}).get("done", 0)

    def rest(self) -> None:
        """Wait until no photo is on its way."""
        waiting = ("queued", "running")
        eventually(lambda: not any(map(self.status().get("jobs", {"queued": 1}).get, waiting)), 60)

    def status(self) -> dict:
        done = subprocess.run(
            [BIN / "photomend", "status", "--json"], env=self.variables, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        return json.loads(done.stdout) if done.returncode == 0 else {}


GALLERY = '[galleries.family]\npath = "/photos"\noutput = "/photos-mended"\nbacklog = "all"\n'
FORMER = ("former", "bygone")


@contextmanager
def new_house(photos: tuple[str, ...] = PHOTOS) -> Iterator[House]:
    """Make a house; its path is short, since it holds the socket of a Redis."""
    folder = tempfile.mkdtemp(prefix="pm", dir="/tmp")
    try:
        yield House(Path(folder), photos)
    finally:
        shutil.rmtree(folder)


@contextmanager
def living(house: House, settings: str = GALLERY) -> Iterator[None]:
    """Run photomend in a house with these settings; its photos are mended when this begins."""
    house.settings(settings)
    with house.lasting("photomend up", lambda: house.done() == len(PHOTOS)):
        yield


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house in which photomend runs, has mended all photos, and knows galleries of former days."""
    with new_house() as house:
        for number, name in enumerate(FORMER):
            draw(house.home / name / "one.jpg", number)
        rows = "".join(f'[galleries.{name}]\npath = "{house.home}/{name}"\n' for name in FORMER)
        house.settings(rows)
        house.run("photomend up --once")
        for name in ("cat.jpg", "dog.jpg"):
            shutil.copy(house.home / "Photos/2024" / name, house.home)
        (house.home / "photos.csv").write_text("path,label,truth,group\ncat.jpg,A,dog.jpg,cats\n")
        (house.home / ".venv").symlink_to(ROOT / ".venv")
        with living(house):
            yield house


def run_alone(line: str) -> None:
    """Run a command that begins or lasts in a new house; check that it works, and stop it."""
    with new_house(("2024/cat.jpg",)) as house:
        if "photomend up" in line and "~" not in house.command(line):
            house.settings(GALLERY)
        if "--once" in line or "config init" in line:
            house.run(line)
        elif "photomend up" in line:
            with house.lasting(line, house.healthy):
                pass
        else:
            run_part(house, line)


def run_part(house: House, line: str) -> None:
    """Run one of the processes of photomend, beside a Redis."""
    house.settings(GALLERY)
    house.run("photomend migrate")
    redis = Redis(house.home / ".local/state/photomend")
    redis.start()
    works: dict[str, Callable[[], object]] = {
        "web": lambda: "photomend" in house.get("/"),
        "watch": lambda: house.status()["jobs"]["queued"] == 1,
        "work": lambda: house.status()["workers"],
    }
    [part] = works.keys() & set(line.split())
    try:
        with house.lasting(line, works[part]):
            pass
    finally:
        redis.stop()


def follow(house: House, page: list[Code]) -> None:
    """Run the lines of a page in order."""
    wrong, changed = [], False
    for line in (line for code in page for line in runnable(house, code)):
        if CHANGES.match(line):
            if not changed:
                house.run("photomend retry --all --from-scratch")
            changed = True
            house.rest()
        try:
            run_line(house, line)
        except AssertionError as error:
            wrong.append(f"{line}: {error}")
    if changed:
        house.run("photomend resume && photomend resume --category motion-blur")
    assert not wrong, "\n".join(wrong)


def runnable(house: House, code: Code) -> list[str]:
    """Return the lines of a block for a shell, or what a sentence names for the first time."""
    if code.language is None:
        lines = [line for line in code.lines if RUNNABLE.match(line) and line not in house.said]
        house.said |= {*lines}
    else:
        lines = code.lines if code.language == "" else []
    return [line for line in lines if line not in NOT_RUN]


def run_line(house: House, line: str) -> None:
    if BEGINS.match(house.here(line)):
        run_alone(line)
    elif assigned := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
        house.variables[assigned[1]] = house.run(assigned[2]).strip()
    else:
        if line in BEFORE:
            for step in BEFORE[line].split(" && "):
                house.run(step)
                house.rest()
        code, words = house.codes.get(line, (0, ""))
        assert words in house.run(line, code)


long = pytest.mark.skipif(
    "PHOTOMEND_DOCUMENTS" not in os.environ, reason="takes minutes; PHOTOMEND_DOCUMENTS=1 runs it"
)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page.name == "README.md" else [long]) for page in PAGES],
    ids=lambda page: page.name,
)
def test_the_commands_of_a_page_run_in_its_order(page, house):
    if page.name != "immich.md":
        follow(house, codes(page))


@long
def test_the_examples_of_the_helps_run(house):
    """Those that no page shows; what changes photos runs in any case."""
    shown = {
        line for page in PAGES for code in codes(page) if code.language == "" for line in code.lines
    }
    others = [line for line in examples() if line not in shown or CHANGES.match(line)]
    follow(house, [Code("", line) for line in dict.fromkeys(others)])


@long
def test_the_page_of_immich_sets_it_up():
    """No settings and no folder for them exist until the page makes them."""
    with new_house() as house, FakeImmich(house.home) as immich, ExitStack() as running:
        house.immich, house.codes = immich.url, {}
        running.callback(immich.shutdown)
        serve(immich)
        for code in codes(ROOT / "docs/immich.md"):
            if code.language == "toml":
                running.enter_context(living(house, GALLERY + code.text))
                immich.scan()
            else:
                follow(house, [code])
        eventually(lambda: immich.by_name("mended/2024/cat.jpg")["stack"])
        assert immich.wrong == []


def test_what_the_test_knows_of_commands_is_shown_somewhere():
    shown = {line for page in PAGES for code in codes(page) for line in code.lines} | {*examples()}
    assert {*NOT_RUN, *CODES, *INPUTS} <= shown
    named = {word for reason in NOT_RUN.values() for word in re.findall(r"tests/\S+\.py", reason)}
    assert all((ROOT / file).exists() for file in named)
