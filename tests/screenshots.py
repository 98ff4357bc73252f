"""Make the pictures of the page in `docs/pictures`: `make screenshots` mends photos and opens each screen.

Two galleries hold degraded copies of good photos: the results of one are published at once, those of the
other wait for the review. `photomend up` runs as it does for an owner, and Chromium opens its page.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Page, sync_playwright

from storage.enums import Degradation
from tasks.imaging.degrade import degrade

OUT = Path(__file__).parents[1] / "docs/pictures"
PHOTOS = 20
"""Number of photos in both galleries; every fourth one is good as it is."""
SHOWN = "IMG_4000"
"""The photo that is opened."""
LONGEST = 1600
SECONDS = 400.0
"""Longest time until all are mended."""
SETTINGS = """
[galleries.family]
path = "{home}/family"
output = "{home}/family-mended"
backlog = "all"
[galleries.scans]
path = "{home}/scans"
output = "{home}/scans-mended"
backlog = "all"
publish = "after review"
"""


def main() -> None:
    """Make them from the photos in folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with good photos")
    folders = parser.parse_args().folders
    if (browser := shutil.which("chromium")) is None:
        sys.exit("there is no chromium: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="pm") as home,
        _page(Path(home), folders) as address,
        sync_playwright() as started,
    ):
        chromium = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        _take(chromium, address)
        chromium.close()


def _take(chromium: Any, address: str) -> None:
    def shown(path: str, size: tuple[int, int], scheme: str = "light") -> Page:
        viewport = {"width": size[0], "height": size[1]}
        page: Page = chromium.new_page(viewport=viewport, color_scheme=scheme)
        page.goto(address + path)
        _wait_for_pictures(page, "body")
        return page

    def opened(page: Page) -> Page:
        page.locator(".card", has_text=SHOWN).locator(".shot").click()
        _wait_for_pictures(page, "#viewer-body")
        return page

    wide, phone = (1280, 800), (390, 780)
    _save(shown("/", (1280, 640), "dark"), "now")
    review = shown("/review", wide)
    _save(review, "review")
    _save(opened(review), "opened")
    _save(shown("/review?show=waiting", wide), "waiting")
    job = review.locator(".card", has_text=SHOWN).get_attribute("data-job")
    _save(shown(f"/photo/{job}", (1280, 900)), "photo")
    sides = [shown("/review", phone), opened(shown("/review", phone, "dark"))]
    both = Image.new("RGB", (2 * phone[0] + 24, phone[1]), "white")
    for number, page in enumerate(sides):
        both.paste(_shot(page), (number * (phone[0] + 24), 0))
    both.save(OUT / "phone.webp", quality=80, method=6)


def _wait_for_pictures(page: Page, place: str) -> None:
    """Wait until the pictures that the window shows are there."""
    page.wait_for_function(
        """place => [...document.querySelectorAll(`${place} img`)].every(image => {
            const box = image.getBoundingClientRect();
            return box.top > innerHeight || !box.width || (image.complete && image.naturalWidth);
        })""",
        arg=place,
    )
    page.wait_for_timeout(500)  # the frames


def _shot(page: Page) -> Image.Image:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.screenshot(path=file.name)
        return Image.open(file.name).convert("RGB")


def _save(page: Page, name: str) -> None:
    _shot(page).save(OUT / f"{name}.webp", quality=80, method=6)


@contextmanager
def _page(home: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Run photomend until all photos are done; yield the address of its page."""
    _write_photos(home, folders)
    (home / "config.toml").write_text(SETTINGS.format(home=home))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    given = {
        "PHOTOMEND_CONFIG": str(home / "config.toml"), "PHOTOMEND_STATE_DIR": str(home / "state"),
        "PHOTOMEND_WEB": json.dumps({"address": address}), "PHOTOMEND_SETTLE_SECONDS": "0.5",
    }  # fmt: skip
    command = [sys.executable, "-m", "photomend", "up"]
    running = subprocess.Popen(command, env=os.environ | given)
    try:
        _wait(running, f"http://{address}")
        yield f"http://{address}"
    finally:
        running.terminate()
        running.wait(60)


def _wait(running: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and running.poll() is None:
        time.sleep(2)
        try:
            with urlopen(f"{address}/api/v1/jobs?show=all&limit=100", timeout=10) as answer:
                jobs = json.load(answer)["jobs"]
        except OSError:  # it has just been started
            continue
        if len(jobs) == PHOTOS and all(job["status"] == "done" for job in jobs):
            return
    sys.exit("the photos were not all mended")


def _write_photos(home: Path, folders: Sequence[Path]) -> None:
    """Write degraded copies of good photos into both galleries."""
    rng = random.Random(4)
    files = sorted(file for folder in folders for file in folder.rglob("*.[jp][pn]g"))
    for number, file in enumerate(rng.sample(files, PHOTOS)):
        gallery = home / ("scans" if number % 3 == 2 else "family") / "2026-07"
        gallery.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
        upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        pixels = np.asarray(upright, np.float32) / np.float32(255)
        if number % 4 != 3:
            kinds = list(Degradation)
            pixels = degrade(pixels, kinds[number % len(kinds)], number)
        coded = np.rint(pixels * 255).astype(np.uint8)
        Image.fromarray(coded).save(gallery / f"IMG_{4000 + number}.jpg", quality=92)


if __name__ == "__main__":
    main()
