"""What the screens show and change."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.routing import Route

from daemon.web import app, listing, words
from daemon.web.credentials import Credentials
from storage import preview_files, preview_requests, publishing
from storage.database import days, galleries, search
from storage.enums import Category, Decision, ErrorKind, Review, Status, Strength
from storage.settings import settings

EVIL = "<script>alert(1)</script>\u202egpj\x1b[31m'\"&\udcff.jpg".replace("/", "\u2215")


def cards_of(text):
    return text.count('class="card"')


def test_what_is_new_is_shown_first(page, add_mended):
    numbers = [add_mended(f"{n}.jpg") for n in range(3)]
    text = page.get("/review").text
    shown = [text.index(f'id="card-{number}"') for number in reversed(numbers)]
    assert shown == sorted(shown)
    assert "Noise removed, strongly" in text


def test_lists_are_cut_into_pages_by_the_database(page, add_mended):
    for n in range(2 * listing.PAGE + 1):
        add_mended(f"{n:03}.jpg")
    path, seen = "/review", []
    while path:
        answer = page.get(path, headers={"HX-Request": "true"})
        found = [int(x.split('"')[0]) for x in answer.text.split('id="card-')[1:]]
        assert len(found) <= listing.PAGE and not set(found) & set(seen)
        seen += found
        more = answer.text.partition('id="more"')[2].partition('hx-get="')[2].partition('"')[0]
        path = more.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 2 * listing.PAGE + 1
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("category=noise", "category cannot be noise"), ("show=bogus", "show cannot be bogus"),
        ("since=yesterday", "since cannot be yesterday"), ("until=1", "until cannot be 1"),
        ("limit=abc", "limit cannot be abc"), ("limit=-1", "limit cannot be -1"),
        ("under=x", "under cannot be x"), ("statsu=failed", "there is no filter statsu"),
    ],
)  # fmt: skip
def test_a_script_gets_no_list_for_a_filter_that_is_wrong(page, add_mended, query, named):
    add_mended("a.jpg")
    answer = page.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 400 and named in answer.json()["error"]
    allowed = "show=all&category=&since=2020-01-01&until=&gallery=g&limit=1&under=9"
    assert len(page.get(f"/api/v1/jobs?{allowed}").json()["jobs"]) == 1


def test_lists_are_filtered(page, add_mended, add):
    mended = add_mended("a.jpg")
    blurred = add_mended("b.jpg", category=Category.MOTION_BLUR)
    unsure = add("c.jpg", status=Status.DONE, decision=Decision.UNSURE, reason="perhaps noise")
    kept = add_mended("d.jpg", review=Review.KEPT)
    waiting = add_mended("e.jpg", review=Review.WAITING)

    def listed(query):
        rows = page.get(f"/api/v1/jobs?{query}").json()["jobs"]
        return {row["id"] for row in rows}

    assert listed("") == {mended, blurred, unsure, kept, waiting}
    assert listed("show=new") == {mended, blurred, waiting}
    assert listed("show=waiting") == {waiting}
    assert listed("show=new&category=motion-blur") == {blurred}
    assert listed("show=unsure") == {unsure}
    assert listed("show=kept") == {kept}
    assert listed("gallery=other") == set()
    assert listed("gallery=g&show=kept") == {kept}
    assert listed("since=2020-01-01&until=2090-01-01") == listed("")
    assert listed("until=2020-01-01") == set()
    assert listed("since=2090-01-01") == set()
    assert page.get("/review?since=nonsense&category=x&under=z").status_code == 200


def test_the_first_job_of_a_day_is_found_by_a_few_reads(jobs, add):
    numbers = [add(f"{n}.jpg", created_at=1000.0 * n) for n in range(40)]
    for n in (0, 7, 39):
        assert days.first_since(jobs.engine, 1000.0 * n) == numbers[n]
        assert days.first_since(jobs.engine, 1000.0 * n - 1) == numbers[n]
    assert days.first_since(jobs.engine, 40_000.0) == 0


def test_photos_are_kept_and_taken_back(page, add_mended, jobs, post):
    number = add_mended()
    post(page, "/act", ids=number, do="keep")
    assert search.get(jobs.engine, number).review is Review.KEPT
    post(page, "/act", ids=number, do="undo")
    assert search.get(jobs.engine, number).review is None


def test_many_photos_are_kept_at_once(page, add_mended, jobs, token_of):
    numbers = [add_mended(f"{n}.jpg") for n in range(4)]
    data = {"token": token_of(page), "ids": numbers, "do": "keep"}
    answer = page.post("/act", data=data, headers={"HX-Request": "true"})
    assert cards_of(answer.text) == 4
    assert answer.text.count("hx-swap-oob") == 5
    assert all(search.get(jobs.engine, number).review is Review.KEPT for number in numbers)


def test_a_photo_is_mended_as_the_owner_says(page, add, jobs, post):
    number = add(status=Status.DONE, decision=Decision.UNSURE)
    post(page, "/act", ids=number, do="mend", category="motion-blur", strength="strong")
    job = search.get(jobs.engine, number)
    assert job.status is Status.QUEUED
    assert (job.wish["category"], job.wish["strength"]) == ("motion-blur", "strong")


@pytest.mark.parametrize(
    "fields",
    [
        {"ids": "1", "do": "delete"}, {"ids": "x", "do": "keep"}, {"do": "keep"},
        {"ids": "1", "do": "mend", "category": "magic"}, {"ids": "9" * 40, "do": "keep"},
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(page, add_mended, fields, post):
    add_mended()
    assert post(page, "/act", **fields).status_code == 400


@pytest.mark.parametrize("path", ["/photo/77", "/photo/x", "/review/0", "/api/v1/jobs/77"])
def test_what_is_not_there_is_not_found(page, path):
    assert page.get(path).status_code == 404


def test_problems_are_grouped_by_cause_with_one_button(page, add, jobs, post):
    for n in range(3):
        add(f"{n}.jpg", status=Status.FAILED, error_kind=ErrorKind.CRASHED, error="died")
    waits = add("w.jpg", error_kind=ErrorKind.DISK_FULL, error="no room", due_at=2e12)
    text = page.get("/problems").text
    assert text.count("<article") == 2
    assert "3 failed" in text
    assert words.ADVICE[ErrorKind.DISK_FULL].advice in text
    answer = post(page, "/problems/retry", kind="crashed")
    assert answer.headers["Location"] == "/problems?retried=3"
    assert search.ids(jobs.engine, search.Filter(status=[Status.FAILED])) == []
    assert search.get(jobs.engine, waits).due_at == 2e12


def test_each_kind_of_error_and_each_word_is_explained():
    assert set(words.ADVICE) == set(ErrorKind)
    assert set(words.REVIEWS) == set(Review)
    assert set(words.STRENGTHS) == set(Strength)


def test_the_first_screen_shows_what_was_done_today_and_what_waits(page, add_mended, add):
    add_mended()
    add("b.jpg", pixels=12_000_000)
    status = page.get("/api/v1/status").json()
    assert status["today"] == {"restored": 1}
    assert status["left"]["photos"] == 1
    assert "1 <span>photo to go" in page.get("/").text


def test_a_gallery_that_is_offline_is_shown_in_red(page, jobs):
    galleries.note(
        jobs.engine, "g", host="h", root=Path("/g"), output=Path("/o"), filesystem="nfs",
        watching="events", online=False, reason="the share is gone",
    )  # fmt: skip
    text = page.get("/").text
    assert '<span class="badge bad">offline</span>' in text
    assert "the share is gone" in text


def test_a_pause_is_begun_and_ended(page, post):
    post(page, "/pause", scope="all", **{"for": "1h"})
    assert page.get("/api/v1/status").json()["pauses"][0]["scope"] == "all"
    post(page, "/resume", scope="all")
    assert page.get("/api/v1/status").json()["pauses"] == []


def test_pictures_are_the_previews_and_nothing_else(page, add_mended, opened_files):
    number = add_mended()
    folder = settings().state_dir / preview_files.FOLDER / "0"
    folder.mkdir(parents=True)
    (folder / f"{number}-before.webp").write_bytes(b"picture")
    (folder / f"{number}-after.webp").symlink_to("/etc/passwd")
    opened_files.clear()
    answer = page.get(f"/pictures/{number}/before.webp")
    assert answer.content == b"picture"
    assert answer.headers["Content-Type"] == "image/webp"
    assert page.get(f"/pictures/{number}/after.webp").status_code == 404
    for name in ("crop_after", "../../jobs.db", "x"):
        assert page.get(f"/pictures/{number}/{name}.webp").status_code == 404
    gallery = str(settings().galleries["g"].path)
    page.get(f"/photo/{number}")
    page.get("/review")
    assert not [file for file in opened_files if gallery in file]


def test_no_screen_opens_a_photo_or_imports_a_decoder(home):
    code = (
        "import sys, daemon.web.app; "
        "print([m for m in ('PIL', 'cv2', 'numpy', 'onnxruntime') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "path", ["/", "/review", "/review?show=all", "/review/{}", "/photo/{}", "/problems"]
)
def test_names_of_any_bytes_are_shown_escaped(page, add, add_mended, jobs, path):
    number = add_mended(EVIL, folder="\u202e<b>", reason=EVIL)
    add(f"f{EVIL}", status=Status.FAILED, error_kind=ErrorKind.ERROR, error=f"no {EVIL}")
    galleries.note(
        jobs.engine, "g", host="h", root=Path("/<i>\u2066"), output=Path("/o"), filesystem="x",
        watching="events", online=False, reason="<u>gone</u>",
    )  # fmt: skip
    text = page.get(path.format(number)).text
    for sign in ("<script>alert", "\u202e", "\u2066", "\x1b", "\udcff", "<b>", "<i>", "<u>"):
        assert sign not in text
    assert "&lt;" in text


def test_a_story_has_all_of_its_parts(page, add_mended, jobs):
    number = add_mended()
    text = page.get(f"/photo/{number}").text
    for part in ("Its story", "Figures", "Mend it your way", "visible_change"):
        assert part in text


def test_settings_are_shown_with_their_origin_and_without_secrets(page, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", "redis://me:s3cret@nas:6379/0")
    monkeypatch.setenv("PHOTOMEND_PAPER", json.dumps({"classifier_key": "k3y"}))
    settings.cache_clear()
    text = page.get("/settings").text
    assert "PHOTOMEND_REDIS_URL" in text
    assert "s3cret" not in text
    assert "k3y" not in text
    shown = page.get("/api/v1/settings").json()
    assert shown["General"]["workers"]["origin"] == "default"
    assert shown["General"]["state_dir"]["origin"] == "PHOTOMEND_STATE_DIR"
    assert shown["[paper]"]["classifier_key"]["value"] == "***"


def test_the_interface_for_scripts_is_described_whole(page):
    described = page.get("/api/v1/openapi.json").json()
    found = {
        (f"/{route.path.removeprefix('/api/v1/')}", method.lower())
        for route in app.routes()
        if isinstance(route, Route) and route.path.startswith("/api/v1/")
        for method in route.methods - {"HEAD"}
    }
    named = {(path, method) for path, calls in described["paths"].items() for method in calls}
    assert named == found - {("/openapi.json", "get")}
    assert "POST jobs/{word}" in page.get("/api").text


def test_the_interface_prints_what_the_command_prints(page, add_mended, jobs):
    number = add_mended()
    shown = page.get(f"/api/v1/jobs/{number}").json()
    expected = json.loads(json.dumps(search.get(jobs.engine, number).to_json(), default=str))
    assert {name: shown[name] for name in expected} == expected
    assert shown["done"] == "Noise removed, strongly"


def drawn_pictures(number, *names):
    for name in names:
        preview_files.write(settings().state_dir, number, name, b"picture")


def test_lists_show_the_small_picture_and_older_jobs_the_large_one(page, add_mended):
    old, new, none = (add_mended(f"{n}.jpg") for n in range(3))
    drawn_pictures(old, "before", "after")
    drawn_pictures(new, "before", "after", "small")
    text = page.get("/review").text
    assert text.count("<img") == text.count(".webp?") + 1 == 3
    assert f"/pictures/{old}/after.webp?" in text
    assert f"/pictures/{new}/small.webp?" in text
    assert page.get(f"/pictures/{new}/small.webp").content == b"picture"
    assert "no picture yet" in text and f"/pictures/{none}/" not in text


def test_a_picture_that_is_drawn_again_has_a_new_address(page, add_mended):
    number = add_mended()
    drawn_pictures(number, "before", "after", "crop_before", "crop_after")
    first = page.get(f"/api/v1/jobs/{number}").json()["pictures"]
    assert page.get(first["after"]).content == b"picture"
    later = time.time() + 5
    os.utime(preview_files.of(settings().state_dir, number).after, (later, later))
    assert page.get(f"/api/v1/jobs/{number}").json()["pictures"]["after"] != first["after"]


HTMX = {"HX-Request": "true"}


def test_the_page_asks_a_worker_for_pictures_once_and_gets_them_when_they_are_there(
    page, add_mended, jobs, post, token_of
):
    number, root = add_mended(), settings().state_dir
    before = search.get(jobs.engine, number)
    opened = page.get(f"/review/{number}").text
    assert f'hx-post="/photo/{number}/pictures?review=1"' in opened
    assert 'hx-trigger="load, submit"' in opened
    headers = HTMX | {"X-Photomend-Token": token_of(page)}
    for _ in range(2):
        answer = page.post(f"/photo/{number}/pictures?review=1", headers=headers)
        assert "are being drawn" in answer.text
        assert 'hx-trigger="every 2s"' in answer.text
    assert preview_requests.waiting(root) == [number]
    path = f"/photo/{number}/pictures"
    assert page.get(path, headers=HTMX).status_code == 204
    assert page.get(f"/api/v1/jobs/{number}").json()["drawing"] == {"pending": True, "reason": ""}

    preview_requests.take(root, number)
    assert page.get(path, headers=HTMX).status_code == 204
    drawn_pictures(number, *preview_files.NAMES)
    preview_requests.finish(root, number)
    there = page.get(f"{path}?review=1", headers=HTMX).text
    assert f"/pictures/{number}/crop_after.webp?" in there
    assert "every 2s" not in there and "hx-post" not in there
    assert f'id="card-{number}" data-job="{number}" hx-swap-oob="true"' in there
    assert "hx-swap-oob" not in page.get(path, headers=HTMX).text
    assert search.get(jobs.engine, number) == before


def test_why_pictures_cannot_be_drawn_is_said_escaped_until_something_changes(
    page, add_mended, post, jobs
):
    number, root = add_mended(), settings().state_dir
    assert post(page, f"/photo/{number}/pictures").headers["Location"] == f"/photo/{number}"
    preview_requests.take(root, number)
    preview_requests.fail(root, number, "the photo <b> is gone")
    text = page.get(f"/photo/{number}").text
    assert "There is no picture of this photo: the photo &lt;b&gt; is gone." in text
    assert "Try again" in text and 'hx-trigger="load' not in text
    shown = page.get(f"/api/v1/jobs/{number}").json()["drawing"]
    assert shown == {"pending": False, "reason": "the photo <b> is gone"}
    post(page, "/act", ids=number, do="keep")
    assert preview_requests.of(root, number) is None


def test_pictures_of_what_a_worker_will_draw_anyway_are_not_asked_for(page, add, post):
    number = add()
    text = page.get(f"/photo/{number}").text
    assert "a worker draws it when it looks at the photo" in text
    assert "/pictures" not in text
    assert post(page, f"/photo/{number}/pictures").status_code == 400
    assert post(page, "/photo/77/pictures").status_code == 404
    assert preview_requests.waiting(settings().state_dir) == []


def test_not_too_many_pictures_are_asked_for(page, add_mended, monkeypatch, token_of):
    monkeypatch.setattr(preview_requests, "MOST_WAITING", 1)
    numbers = [add_mended(f"{n}.jpg") for n in range(2)]
    headers = HTMX | {"X-Photomend-Token": token_of(page)}
    answers = [page.post(f"/photo/{n}/pictures", headers=headers) for n in numbers]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["HX-Reswap"] == "none"
    assert "try again later" in answers[1].text
    assert preview_requests.waiting(settings().state_dir) == numbers[:1]


def test_a_script_asks_for_pictures(page, add_mended, token_of):
    number = add_mended()
    headers = {"X-Photomend-Token": token_of(page)}
    answer = page.post(f"/api/v1/jobs/{number}/previews", headers=headers)
    assert answer.status_code == 202
    assert answer.json()["drawing"] == {"pending": True, "reason": ""}
    assert preview_requests.waiting(settings().state_dir) == [number]


def test_a_rejected_result_is_restored_in_the_page_and_by_scripts(
    page, add_mended, jobs, post, home
):
    output = home / "output"
    output.mkdir()
    (output / publishing.MARKER).write_text(json.dumps({"gallery": "g"}))
    (output / "cat.jpg").write_bytes(b"result")
    number = add_mended(sha256=publishing.sha256(output / "cat.jpg"))
    post(page, "/act", ids=number, do="reject")
    assert not (output / "cat.jpg").exists()
    text = page.get(f"/photo/{number}").text
    assert 'value="restore"' in text
    assert "the result can be restored until" in text
    assert page.get(f"/api/v1/jobs/{number}").json()["allowed"] == ["restore", "mend"]
    (output / "cat.jpg").write_bytes(b"the owner's")
    answer = post(page, "/act", ids=number, do="restore")
    assert answer.status_code == 409
    assert "another file has the name" in answer.text
    (output / "cat.jpg").unlink()
    token = Credentials(settings().state_dir).add_token("script")
    headers = {"Authorization": f"Bearer {token}"}
    answer = page.post("/api/v1/jobs/restore", json={"ids": [number]}, headers=headers)
    assert [job["decision"] for job in answer.json()] == ["restored"]
    assert (output / "cat.jpg").read_bytes() == b"result"


@pytest.mark.parametrize(
    ("decision", "review", "shown"),
    [
        (Decision.UNSURE, None, "perhaps motion blur"),
        (Decision.LEFT_ALONE, None, "Left alone: perhaps motion blur"),
        (Decision.KEPT_ORIGINAL, None, "Original kept: perhaps motion blur"),
        (Decision.KEPT_ORIGINAL, Review.REJECTED, "Original kept: you rejected the result"),
    ],
)
def test_a_photo_says_why_it_was_not_mended(page, add, decision, review, shown):
    number = add(
        status=Status.DONE, decision=decision, review=review, reason="perhaps motion blur",
        output=None,
    )  # fmt: skip
    assert shown in page.get(f"/photo/{number}").text
