"""Results are stacked in immich, and taken out again; immich may be away, wrong or hostile."""

import json
import os
import uuid
from pathlib import Path

import pytest

from daemon import rejections
from daemon.library_apps import immich_api, rounds, server
from daemon.library_apps.immich import ImmichApp
from daemon.library_apps.rounds import Rounds
from storage import output_folder, publishing
from storage.database import followups, galleries, reviews, search
from storage.database import workers as worker_rows
from storage.database.engine import reading
from storage.database.followups import IMMICH
from storage.enums import QUEUES, Category, Decision
from storage.settings import settings
from tests.immich.fake_immich import KEY


@pytest.fixture
def mend(home, jobs, immich):
    """Record a photo as mended, with both files; return its job."""

    def mend(name="a.jpg", fingerprint="1"):
        for folder in ("gallery", "output"):
            file = home / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"a photo")
        worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
        galleries.add(jobs.engine, "g", Path(name).parent, {Path(name).name: fingerprint})
        for _ in range(2):
            held = jobs.claim("w", QUEUES, child=1, seconds=300, seconds_per_megapixel=60)
            if held.category is None:
                jobs.classify(held, Category.REFLECTION, {})
        jobs.record(held, Path(name), publishing.sha256(file), {})
        jobs.finish(held, Decision.RESTORED)
        return search.get(jobs.engine, held.id)

    return mend


@pytest.fixture
def reject(home, jobs, immich):
    def reject(job):
        (home / "output" / job.output).unlink()
        return reviews.reject(jobs.engine, job)

    return reject


@pytest.fixture
def work(jobs, immich):
    """Take turns until nothing is due; return what waits then."""

    def work(*, retry=True):
        one = work.rounds = getattr(work, "rounds", None) or Rounds(
            ImmichApp(settings().immich), jobs.engine
        )
        for _ in range(5 if retry else 1):
            followups.make_due(jobs.engine, IMMICH)
            while one.turn(["g"]):
                if not retry:
                    break
        with reading(jobs.engine) as connection:
            return followups.waiting(connection)

    return work


def in_front(immich, name):
    """Return the paths of a stack, the one in front first."""
    stack = immich.by_name(name)["stack"]
    if stack is None:
        return []
    front = immich.stacks[stack]
    ids = sorted(immich.members(stack), key=lambda each: each != front)
    return [immich.assets[each]["path"].removeprefix("/mnt/media/") for each in ids]


def test_a_result_is_stacked_in_front_of_its_original_with_its_albums(jobs, immich, mend, work):
    job = mend("2024/a.jpg")
    immich.scan()
    original, result = immich.by_name("gallery/2024/a.jpg"), immich.by_name("output/2024/a.jpg")
    original |= {"favourite": True, "visibility": "archive"}
    albums = [str(uuid.uuid4()) for _ in range(2)]
    immich.albums = {albums[0]: {original["id"]}, albums[1]: {"another"}}
    assert work() == []
    assert in_front(immich, "gallery/2024/a.jpg") == ["output/2024/a.jpg", "gallery/2024/a.jpg"]
    assert (result["favourite"], result["visibility"]) == (True, "archive")
    assert result["id"] in immich.albums[albums[0]] and result["id"] not in immich.albums[albums[1]]
    assert immich.notes[result["id"]] == {"photomend": {"original": original["id"], "job": job.id}}
    assert search.events(jobs.engine, job.id)[-1].event == "stacked in immich with its original"


def test_a_rejected_result_leaves_its_stack_and_a_restored_one_comes_back(
    jobs, home, immich, mend, work, reject
):
    job = mend()
    immich.scan()
    work()
    rejected = reject(job)
    assert work() == []
    assert immich.stacks == {} and in_front(immich, "gallery/a.jpg") == []
    assert immich.by_name("output/a.jpg")["trashed"]  # the scan that was asked for
    (home / "output/a.jpg").write_bytes(b"a photo")
    immich.scan()
    reviews.restore(jobs.engine, rejected, job.output, job.sha256)
    assert work() == []
    assert in_front(immich, "gallery/a.jpg") == ["output/a.jpg", "gallery/a.jpg"]


def test_the_result_of_a_deleted_photo_leaves_immich_and_comes_back_with_it(
    jobs, home, immich, mend, work
):
    job = mend()
    immich.scan()
    work()
    output_folder.mark("g", settings().galleries["g"])
    (home / "gallery/a.jpg").rename(home / "a.jpg")
    galleries.note_gone(jobs.engine, "g", Path(), ["a.jpg"])
    deleted = rejections.delete(jobs.engine, job)
    assert work() == []
    assert immich.stacks == {} and immich.by_name("output/a.jpg")["trashed"]
    (home / "a.jpg").rename(home / "gallery/a.jpg")
    rejections.restore(jobs.engine, deleted)
    immich.scan()
    assert work() == []
    assert in_front(immich, "gallery/a.jpg") == ["output/a.jpg", "gallery/a.jpg"]


def test_an_original_that_the_scan_has_hidden_is_shown_again(immich, mend, work, reject):
    """The result is in the trash, and in front of the stack."""
    job = mend()
    immich.scan()
    work()
    reject(job)
    immich.scan()
    assert work() == []
    assert immich.stacks == {}


def test_a_result_that_immich_has_deleted_is_no_trouble(immich, mend, work, reject):
    job = mend()
    immich.scan()
    work()
    reject(job)
    immich.assets, immich.stacks = {}, {}
    assert work() == []


def test_the_stack_of_the_owner_stays_and_gets_the_result(immich, mend, work, reject):
    job = mend()
    immich.scan()
    original = immich.by_name("gallery/a.jpg")["id"]
    burst = [immich.add(f"/mnt/media/gallery/burst{n}.jpg") for n in range(2)]
    immich.stack(burst[0], original, burst[1])
    work()
    stack = in_front(immich, "gallery/a.jpg")
    assert stack[0] == "gallery/burst0.jpg" and set(stack[1:]) == {
        "output/a.jpg",
        "gallery/a.jpg",
        "gallery/burst1.jpg",
    }
    immich.stacks[immich.by_name("gallery/a.jpg")["stack"]] = immich.by_name("output/a.jpg")["id"]
    reject(job)
    work()
    assert set(in_front(immich, "gallery/a.jpg")) == {
        "gallery/a.jpg",
        "gallery/burst0.jpg",
        "gallery/burst1.jpg",
    }
    assert immich.by_name("output/a.jpg")["stack"] is None


def test_what_the_owner_changed_in_immich_stays_when_the_photo_is_tagged(jobs, immich, mend, work):
    old = mend(fingerprint="1")
    immich.scan()
    immich.by_name("gallery/a.jpg")["favourite"] = True
    work()
    immich.by_name("output/a.jpg")["favourite"] = False
    stack = immich.by_name("output/a.jpg")["stack"]
    immich.stacks[stack] = immich.by_name("gallery/a.jpg")["id"]
    mend(fingerprint="2")
    jobs.forget_output(old)
    assert work() == []
    assert in_front(immich, "gallery/a.jpg")[0] == "gallery/a.jpg"
    assert immich.by_name("output/a.jpg")["favourite"] is False


def test_a_result_waits_until_a_scan_has_found_it(immich, mend, work):
    mend()
    immich.scans = False
    [waiting] = work()
    assert waiting.error == "immich does not know /mnt/media/output/a.jpg yet"
    assert len([path for _, path, _ in immich.asked if path.endswith("/scan")]) == 1
    immich.scan()
    assert work() == []


def test_only_the_exact_path_counts(immich, mend, work):
    mend("a%_.jpg")
    immich.add("/mnt/media/gallery/a%_.jpg")
    immich.add("/mnt/media/output/a%_.jpg.xmp.jpg")
    immich.add("/mnt/media/output/A%_.JPG")
    immich.scans = False
    assert work()
    immich.scan()
    assert work() == []


def test_photos_of_another_user_are_not_taken(immich, mend, work):
    mend()
    immich.scan()
    for folder in ("gallery", "output"):
        immich.add(f"/mnt/media/{folder}/a.jpg", owner=str(uuid.uuid4()))
    assert work() == []
    [front] = immich.stacks.values()
    assert immich.assets[front]["owner"] == immich.user


def test_a_result_of_another_user_is_not_stacked(immich, mend, work):
    mend()
    immich.scan()
    immich.by_name("output/a.jpg")["owner"] = str(uuid.uuid4())
    assert work()[0].error.startswith("no user of immich has both /mnt/media/gallery/a.jpg and ")
    assert ("POST", "/stacks") not in {(method, path) for method, path, _ in immich.asked}


def test_a_stack_that_another_program_made_stays(immich, mend, work):
    mend()
    immich.scan()
    original, result = immich.by_name("gallery/a.jpg"), immich.by_name("output/a.jpg")
    original["favourite"] = True
    immich.stack(original["id"], result["id"])
    assert work() == []
    assert in_front(immich, "gallery/a.jpg") == ["gallery/a.jpg", "output/a.jpg"]
    assert result["favourite"]


STEPS = ("POST /stacks", "PUT /albums", "PUT /assets", "metadata")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_turn_that_is_cut_off_between_two_steps_doubles_nothing(immich, mend, work, step, after):
    """As by kill -9: no answer comes, whether immich has done it or not."""
    mend()
    immich.scan()
    original = immich.by_name("gallery/a.jpg")
    original["favourite"] = True
    album = str(uuid.uuid4())
    immich.albums = {album: {original["id"]}}
    cut = []

    def cutting(handler):
        method, path, body = immich.asked[-1]
        if not cut and step in f"{method} {path}":
            cut.append(path)
            if after:
                handler._answer(path, body)
            return handler.drop()
        return handler.reply(*handler._answer(path, body))

    immich.ways = [cutting] * 40
    assert work(retry=False) and cut
    assert work() == []
    assert len(immich.stacks) == 1
    assert in_front(immich, "gallery/a.jpg") == ["output/a.jpg", "gallery/a.jpg"]
    assert immich.by_name("output/a.jpg")["favourite"]
    assert len(immich.albums[album]) == 2


def answer(status, body=None, **headers):
    return lambda handler: handler.reply(status, body, headers)


TROUBLES = {
    "wrong key": (answer(401, {"message": "Invalid"}), "immich does not accept the key in api_key_file"),
    "busy": (answer(503, {"message": f"gone {KEY} away\n"}), "answers 503: gone *** away"),
    "no immich": (lambda handler: handler.reply(200, ["x"]), "answers something else than immich"),
    "an id that is a path": (
        lambda handler: handler.reply(200, {"assets": {"nextPage": None, "items": [{
            "id": "../../users", "ownerId": "x", "originalPath": "/mnt/media/output/a.jpg",
            "isFavorite": True, "isArchived": False}]}}),
        "answers something else than immich",
    ),
    "redirect": (answer(302, None, Location="http://127.0.0.1:1/"), "redirects, and the key is not sent on"),
    "closed": (lambda handler: handler.drop(), "does not answer"),
    "too large": (answer(200, ["x" * 100_000]), "it sends more than 50000 bytes"),
    "slow": (lambda handler: handler.wait(), "not in 0.5 s"),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_is_told_once_and_everything_waits(
    jobs, immich, mend, work, monkeypatch, caplog, trouble
):
    way, sentence = TROUBLES[trouble]
    monkeypatch.setattr(server, "MAX_BYTES", 50_000)
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    settings.cache_clear()
    monkeypatch.setattr(immich_api, "TIMEOUT_SECONDS", 0.5)
    mend("a.jpg")
    mend("b.jpg")
    immich.scan()
    immich.ways = [way] * 5
    [waiting] = work()
    assert (waiting.count, len(immich.asked)) == (2, 5)  # one request in each round
    assert sentence in waiting.error
    assert KEY not in waiting.error + caplog.text
    assert caplog.text.count(sentence) == 1
    assert not work.rounds.turn(["g"]) and len(immich.asked) == 5  # the pause lasts
    assert work() == []


def test_a_missing_permission_is_named_and_what_was_done_stays(immich, mend, work, caplog):
    mend()
    immich.scan()
    immich.permissions = ["asset.read", "stack.create"]
    [waiting] = work()
    assert (
        waiting.error
        == "the key of immich lacks the permission album.read; add it to the key in immich"
    )
    assert caplog.text.count("album.read") == 1
    assert len(immich.stacks) == 1
    immich.permissions += ["album.read", "albumAsset.create", "asset.update"]
    assert work() == []
    assert len(immich.stacks) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read"), ("", "does not hold a key alone"), ("a\nb", "does not hold a key alone"),
     ("k\xe4", "does not hold a key alone"), ("k" * 2000, "does not hold a key alone")],
)  # fmt: skip
def test_a_file_without_a_key_is_a_trouble(home, immich, mend, work, content, sentence):
    mend()
    key = home / "immich.key"
    key.unlink() if content is None else key.write_text(content)
    assert sentence in work()[0].error
    assert immich.asked == []


def test_what_waits_for_a_day_is_told_once_and_for_a_month_given_up(
    jobs, immich, mend, work, caplog
):
    mend("a.jpg")
    mend("b.jpg")
    immich.scans = False
    work()
    assert caplog.text == ""
    age = "UPDATE followups SET since = since - {}"
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(age.format(2 * 86400))
    assert work()[0].count == 2
    assert caplog.text.count("has waited for more than a day") == 1
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(age.format(30 * 86400))
    assert work() == []
    assert caplog.text.count("is given up after 30 days") == 2


def test_a_result_that_immich_does_not_show_needs_no_followup(
    home, monkeypatch, immich, mend, work
):
    known = json.loads(os.environ["PHOTOMEND_IMMICH"])
    known["libraries"][0]["folder"] = str(home / "gallery")
    monkeypatch.setenv("PHOTOMEND_IMMICH", json.dumps(known))
    settings.cache_clear()
    mend()
    assert work() == []
    assert immich.asked == []


def test_pauses_grow_to_their_longest(home, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    settings.cache_clear()
    assert 24 <= rounds.pause(0) <= 30
    assert 96 <= rounds.pause(2) <= 120
    assert rounds.pause(99) <= followups.LONGEST_PAUSE_SECONDS
    assert rounds.pause(99, rounds.LONGEST_TROUBLE_SECONDS) <= 600
