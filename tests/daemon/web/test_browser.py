"""The page in a real browser: each screen, and the whole way of a review beside a running worker."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.web import listing
from storage import preview_files, preview_requests
from storage.database import galleries, search
from storage.enums import Category, Decision, Degradation, ErrorKind, Review, Status
from storage.settings import settings

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parent / "vendor/axe.min.js"
WIDTHS = (390, 1280)
SERIOUS = ("serious", "critical")
EVIL = "<script>alert(1)<\u2215script>\u202egpj\x1b[31m'\"&.jpg"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(home, photomend, eventually) -> str:
    """Start the page in its own process; return its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    photomend("web", PHOTOMEND_WEB=json.dumps({"address": f"127.0.0.1:{port}"}))
    eventually(lambda: b"the page is at" in (home / "log").read_bytes())
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def screen(chromium, address) -> Iterator[Callable[..., playwright.Page]]:
    """Open the page at a width; at the end, its console must hold no complaint."""
    complaints: list[str] = []
    contexts = []

    def opened(path: str, width: int = 1280, scheme: str = "light") -> playwright.Page:
        size = {"width": width, "height": 844 if width < 800 else 800}
        context = chromium.new_context(viewport=size, color_scheme=scheme, has_touch=width < 800)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(address + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def draw_previews(job_id: int, before: Path, after: Path | None = None) -> None:
    """Draw what a worker draws, if it did not."""
    start = settings().state_dir / preview_files.FOLDER / str(job_id // 1000)
    start.mkdir(parents=True, exist_ok=True)
    for name, file in (("before", before), ("after", after)):
        if (
            file is not None
            and getattr(preview_files.of(settings().state_dir, job_id), name) is None
        ):
            with Image.open(file) as image:
                image.save(start / f"{job_id}-{name}.webp")
                image.crop((0, 0, 200, 200)).save(start / f"{job_id}-crop-{name}.webp")
    (start / f"{job_id}-box.json").write_text("[0.1, 0.2, 0.5, 0.5]")


def findings(page: playwright.Page) -> list[str]:
    """Return what axe-core finds serious."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{f['id']}: {f['help']}: {f['nodes'][0]['html'][:200]}"
        for f in found
        if f["impact"] in SERIOUS
    ]


@pytest.fixture
def hostile_jobs(home, add, add_mended, jobs) -> int:
    """Four jobs with names that want to run a script; the newest one has pictures.

    The pictures of the second one could not be drawn, and those of the third one are not there.
    """
    picture = home / "picture.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)).save(
        picture
    )
    add("f.jpg", status=Status.FAILED, error_kind=ErrorKind.CRASHED, error=f"died of {EVIL}")
    failed = add("u.jpg", status=Status.DONE, decision=Decision.UNSURE, reason=EVIL)
    preview_requests.ask(settings().state_dir, failed)
    preview_requests.take(settings().state_dir, failed)
    preview_requests.fail(settings().state_dir, failed, f"no {EVIL}")
    add("k.jpg", status=Status.DONE, decision=Decision.RESTORED, review=Review.KEPT)
    number = add_mended(EVIL, folder="<b>\u202e")
    draw_previews(number, picture, picture)
    galleries.note(
        jobs.engine, "g", host="h", root=Path("/g<i>"), output=Path("/o"), filesystem="nfs",
        watching="events", online=False, reason=f"gone {EVIL}",
    )  # fmt: skip
    return number


def test_each_screen_is_whole_quiet_and_accessible(hostile_jobs, screen, address):
    drawing = [f"/photo/{hostile_jobs - number}" for number in (1, 2)]
    photo = f"/photo/{hostile_jobs}"
    paths = ["/", "/review?show=all", photo, "/problems", "/settings", "/api", *drawing]
    problems = []
    for width, scheme, shown in (
        (390, "light", paths),
        (1280, "light", paths),
        (1280, "dark", paths[1:3]),
    ):
        page = screen("/review", width, scheme)
        page.locator(".shot").first.click()
        page.locator("#viewer-body .done").wait_for()
        problems += [f"opened at {width}, {scheme}: {text}" for text in findings(page)]
        for path in shown:
            page.goto(address + path)
            if path == drawing[0]:
                page.get_by_text("are being drawn").wait_for()
            problems += [f"{path} at {width}, {scheme}: {text}" for text in findings(page)]
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            problems += [f"{path} at {width} is {over} pixels too wide"] if over > 0 else []
            assert not {"\u202e", "\x1b"} & set(page.content())
    assert problems == []


def test_the_keys_are_enough(hostile_jobs, screen, jobs, eventually):
    page = screen("/review")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("#viewer-body .done").wait_for()
    slider = page.locator("#viewer-body .stage:not([hidden]) img-comparison-slider")
    page.keyboard.down("o")
    assert slider.evaluate("slider => slider.value") == 100
    page.keyboard.up("o")
    assert slider.evaluate("slider => slider.value") == 50
    page.keyboard.press("+")
    scale = page.locator("#viewer-body [data-scale]")
    eventually(lambda: scale.inner_text() == "1.5\u00d7")
    images = page.locator("#viewer-body .stage:not([hidden]) img")
    moved = "images => new Set(images.map(image => image.style.transform)).size"
    eventually(lambda: images.evaluate_all(moved) == 1)
    assert "scale(1.5)" in images.first.evaluate("image => image.style.transform")
    page.keyboard.press("w")
    page.locator("#viewer-body [data-view=whole]").wait_for()
    page.keyboard.press("k")
    page.locator("#viewer-body .badge.good").wait_for()
    assert search.get(jobs.engine, hostile_jobs).review is Review.KEPT
    page.keyboard.press("u")
    page.locator("#viewer-body [data-key=k]").wait_for()
    assert search.get(jobs.engine, hostile_jobs).review is None
    page.evaluate("""viewer.addEventListener("cancel", () => {
        viewer.dataset.after = document.activeElement.closest(".card")?.id;
    })""")
    page.keyboard.press("Escape")
    page.locator("#viewer").wait_for(state="hidden")
    at_once = page.locator("#viewer").get_attribute("data-after")
    assert at_once == f"card-{hostile_jobs}"  # the next key may come before any other event
    page.keyboard.press("k")  # the photo in the list that was opened
    page.locator(f"#card-{hostile_jobs} .badge.good").wait_for()
    page.keyboard.press("Enter")
    page.locator("#viewer-body [data-key=m]").wait_for()
    page.keyboard.press("m")
    eventually(lambda: search.get(jobs.engine, hostile_jobs).status is Status.QUEUED)


def test_the_card_that_had_the_focus_gets_it_back_when_a_late_answer_replaces_it(
    hostile_jobs, screen, eventually
):
    page = screen("/review")
    held = []
    page.route("**/act", lambda route: held.append(route))
    page.locator(f"#card-{hostile_jobs} .shot").click()
    page.locator("#viewer-body [data-key=k]").wait_for()
    page.keyboard.press("k")
    eventually(lambda: bool(held) or page.wait_for_timeout(10))
    page.keyboard.press("Escape")
    page.locator("#viewer").wait_for(state="hidden")
    held.pop().continue_()
    page.locator(f"#card-{hostile_jobs} .badge.good").wait_for()
    page.keyboard.press("u")
    eventually(lambda: bool(held) or page.wait_for_timeout(10))
    held.pop().continue_()
    page.locator(f"#card-{hostile_jobs} .badge.good").wait_for(state="detached")


def test_more_photos_come_by_scrolling(home, add_mended, screen, eventually):
    numbers = [add_mended(f"{n:03}.jpg") for n in range(listing.PAGE + 2)]
    page = screen("/review")
    cards = page.locator(".card")
    assert cards.count() <= listing.PAGE
    page.mouse.wheel(0, 100_000)
    eventually(lambda: cards.count() == len(numbers))
    assert page.locator("#more").count() == 0


def test_what_changes_is_shown_without_loading_again(hostile_jobs, screen, jobs):
    page = screen("/")
    page.get_by_text("Every photo is done").wait_for()
    jobs.pause("all")
    page.get_by_text("until you resume it").wait_for()


def test_a_review_from_the_photo_to_mending_it_anyway(
    home, screen, address, take_photo, photomend, jobs, eventually
):
    take_photo(kind=Degradation.NOISE)
    photomend("watch")
    photomend("work", "classify", *(c.value for c in Category if c is not Category.CLEAN))
    result = home / "output/cat.jpg"
    mended = search.Filter(decision=Decision.RESTORED)
    eventually(lambda: search.jobs(jobs.engine, mended), 250)
    job = search.jobs(jobs.engine, mended)[0]
    shutil.rmtree(settings().state_dir / preview_files.FOLDER)

    page = screen("/review", 390)
    page.get_by_text("no picture yet").wait_for()
    page.locator(".shot").first.click()
    page.get_by_text("removed").last.wait_for()
    page.locator("#viewer-body img-comparison-slider img").first.wait_for()
    shown = page.locator("#viewer-body .stage:not([hidden]) img")
    eventually(lambda: shown.evaluate_all("images => images.every(image => image.naturalWidth)"))
    assert page.locator(f"#card-{job.id} img[src*='small.webp']").count() == 1
    assert search.get(jobs.engine, job.id) == job
    page.locator("#viewer-body [data-tool=in]").click()
    page.keyboard.press("r")
    page.locator("#viewer-body .badge.bad").wait_for()
    assert not result.exists()
    assert search.get(jobs.engine, job.id).review is Review.REJECTED

    page.locator("#viewer-body button[value=restore]").click()
    eventually(result.exists, 200)
    eventually(lambda: search.get(jobs.engine, job.id).status is Status.DONE)

    page.goto(f"{address}/photo/{job.id}")
    page.locator("select[name=strength]").select_option("strong")
    claims = search.get(jobs.engine, job.id).claims
    page.get_by_role("button", name="Mend it").click()
    eventually(lambda: search.get(jobs.engine, job.id).claims > claims, 200)
    eventually(lambda: search.get(jobs.engine, job.id).status is Status.DONE, 200)
    assert search.get(jobs.engine, job.id).wish["strength"] == "strong"
