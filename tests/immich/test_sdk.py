"""immich's own package @immich/sdk makes the same requests as photomend, and has the committed types."""

import json
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from daemon.library_apps.immich import ImmichApp
from daemon.library_apps.immich_api import Immich
from daemon.library_apps.rounds import Rounds
from storage.database import followups, galleries, reviews, search
from storage.database import workers as worker_rows
from storage.enums import QUEUES, Category, Decision
from storage.settings import settings
from tests.immich import contract
from tests.immich.fake_immich import KEY

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A folder with the package, installed as its lock says."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("sdk")
    for name in ("package.json", "package-lock.json", "sdk.mjs", ".npmrc"):
        shutil.copy(HERE / name, folder)
    ended = subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if ended.returncode:
        pytest.skip(f"npm cannot install @immich/sdk here: {ended.stderr[-200:]}")
    return folder


def test_the_committed_types_are_those_of_the_package(package):
    derived = contract.derive(package / "node_modules/@immich/sdk")
    assert json.loads(contract.FILE.read_text()) == derived


def test_photomend_makes_the_requests_of_the_package(package, home, jobs, immich):
    for folder in ("gallery", "output"):
        (home / folder).mkdir(exist_ok=True)
        (home / folder / "a.jpg").write_bytes(b"a photo")
    (home / "gallery/third.jpg").write_bytes(b"a photo")
    immich.scan()
    original = immich.by_name("gallery/a.jpg") | {"favourite": True, "visibility": "archive"}
    immich.assets[original["id"]] = original
    result, third = (immich.by_name(name)["id"] for name in ("output/a.jpg", "third.jpg"))
    album = str(uuid.uuid4())

    def begin():
        immich.asked, immich.stacks, immich.albums = [], {}, {album: {original["id"]}}
        for asset in immich.assets.values():
            asset["stack"] = None
        immich.assets[result] |= {"favourite": False, "visibility": "timeline"}
        immich.stack(original["id"], third)

    begin()
    paths = ["/mnt/media/gallery/a.jpg", "/mnt/media/output/a.jpg"]
    subprocess.run(["node", "sdk.mjs", immich.url, KEY, *paths, album], cwd=package, check=True)
    wanted = asked(immich)
    assert len(wanted) == 20
    begin()
    known = Immich(settings().immich)
    known.version()
    known.permissions()
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    for _ in range(2):
        held = jobs.claim("w", QUEUES, child=1, seconds=300, seconds_per_megapixel=60)
        if held.category is None:
            jobs.classify(held, Category.REFLECTION, {})
    jobs.record(held, Path("a.jpg"), "hash", {})
    jobs.finish(held, Decision.RESTORED)
    rounds = Rounds(ImmichApp(settings().immich), jobs.engine)
    assert rounds.turn(["g"])
    reviews.reject(jobs.engine, search.get(jobs.engine, 1))
    assert rounds.turn(["g"])
    assert asked(immich) == wanted
    assert followups.make_due(jobs.engine, "immich") == 0


def asked(immich):
    """Return the requests; the ids of stacks, which immich draws, are left out."""

    def shown(path):
        return re.sub(r"/stacks/[0-9a-f-]{36}", "/stacks/ID", path)

    return [(method, shown(path), body) for method, path, body in immich.asked]
