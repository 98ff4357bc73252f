"""`photomend explain` and `photomend doctor`, as the console script prints them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from storage import fingerprints, publishing
from storage.database import galleries
from storage.enums import CLASSIFY, Decision

PHOTOMEND = Path(sys.executable).with_name("photomend")


@pytest.fixture
def explanation(home):
    """Explain a path, relative to the test's folder."""

    def explain(path: object):
        command = [PHOTOMEND, "explain", home / str(path), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        printed = json.loads(done.stdout)
        return printed["rule"], " ".join(printed["facts"]), printed["now"]

    return explain


@pytest.fixture
def doctor(home):
    """Return the findings by subject, and whether all is well."""

    def run_checks(**environment: str):
        done = subprocess.run(  # noqa: PLW1510  the code is compared below
            [PHOTOMEND, "doctor", "--json"], capture_output=True, text=True,
            env=os.environ | environment,
        )  # fmt: skip
        findings = {item["subject"]: item for item in json.loads(done.stdout)}
        assert done.returncode == (0 if all(f["well"] for f in findings.values()) else 1)
        return findings

    return run_checks


def test_a_file_outside_is_in_no_gallery(explanation):
    rule, facts, _ = explanation("/etc/passwd")
    assert rule == "no gallery"
    assert "g (" in facts


def test_ignored_files_name_the_rule(explanation, home, take_photo):
    take_photo("2024/@eaDir/a.jpg")
    take_photo("2024/drafts/b.jpg")
    take_photo("2024/.hidden.jpg")
    (home / "gallery/2024/.photomendignore").write_text("# mine\ndrafts/\n")
    assert explanation("gallery/2024/@eaDir/a.jpg")[0] == "ignored"
    rule, facts, _ = explanation("gallery/2024/drafts/b.jpg")
    assert rule == "ignored"
    assert '"drafts/" in 2024/.photomendignore' in facts
    assert explanation("gallery/2024/.hidden.jpg")[0] == "ignored"


def test_a_file_that_is_not_a_photo_is_explained(explanation, home):
    (home / "gallery/notes.txt").write_text("hello")
    (home / "gallery/link.jpg").symlink_to("notes.txt")
    assert explanation("gallery/notes.txt")[0] == "no photo"
    assert "symbolic link" in explanation("gallery/link.jpg")[1]
    assert explanation("gallery/none.jpg")[0] == "gone"


def test_a_new_photo_is_queued_by_the_next_scan(explanation, take_photo):
    old = take_photo("old.jpg")
    os.utime(old, (0, 0))
    rule, facts, now = explanation("gallery/old.jpg")
    assert rule == "new"
    assert "not recorded yet" in facts
    assert "next scan" in now


def test_a_raw_photo_is_left_alone(explanation, home):
    (home / "gallery/a.nef").write_bytes(b"raw")
    rule, facts, now = explanation("gallery/a.nef")
    assert rule == "new"
    assert "RAW" in facts
    assert "left alone" in now


def test_a_photo_with_a_job_is_explained_by_its_status_and_decision(explanation, jobs, take_photo):
    found = take_photo("a.jpg").stat()
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": fingerprints.of(found)})
    assert "no worker serves classify" in explanation("gallery/a.jpg")[2]
    jobs.pause("all")
    assert "paused" in explanation("gallery/a.jpg")[2]
    jobs.resume("all")
    claim = jobs.claim("w", [CLASSIFY], child=1, seconds=300, seconds_per_megapixel=60)
    assert "a worker is processing it" in explanation("gallery/a.jpg")[2]
    jobs.finish(claim, Decision.UNSURE, "perhaps motion-blur")
    rule, facts, now = explanation("gallery/a.jpg")
    assert rule == "job"
    assert "unsure, perhaps motion-blur" in facts
    assert "--from-scratch" in now


def test_a_photo_of_the_backlog_is_mended_when_it_is_added(explanation, jobs, take_photo):
    found = take_photo("a.jpg").stat()
    galleries.note_backlog(jobs.engine, "g", Path(), {"a.jpg": fingerprints.of(found)})
    assert "photomend add" in explanation("gallery/a.jpg")[2]


def test_a_photo_of_the_backlog_that_was_tagged_stays_backlog(explanation, jobs, take_photo):
    take_photo("a.jpg")
    galleries.note_backlog(jobs.engine, "g", Path(), {"a.jpg": "1-1-1"})
    assert "photomend add" in explanation("gallery/a.jpg")[2]


def test_a_result_names_the_job_that_made_it(explanation, jobs, home):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    jobs.record(
        jobs.claim("w", [CLASSIFY], child=1, seconds=300, seconds_per_megapixel=60),
        Path("a.jpg"),
        "hash",
        {},
    )
    (home / "output").mkdir()
    (home / "output/a.jpg").write_text("result")
    rule, facts, _ = explanation("output/a.jpg")
    assert rule == "result"
    assert "job 1" in facts


def test_the_rules_that_left_photos_of_a_folder_alone_are_named(explanation, jobs):
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(3)})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET status = 'done', decision = 'left alone', finished_at = 1,"
            """ reason = 'rule ' || id || ' ("20' || id || '/") turns mending off'"""
        )
    facts = explanation("gallery")[1]
    assert '1: rule 2 ("202/") turns mending off' in facts
    assert '1: rule 3 ("203/") turns mending off' in facts


def test_a_folder_is_summed_up(explanation, jobs, home):
    (home / "gallery/2024").mkdir()
    names = {f"{number}.jpg": "1" for number in range(6)}
    galleries.add(jobs.engine, "g", Path("2024"), names)
    galleries.add(jobs.engine, "g", Path(), {"other.jpg": "1"})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET status = 'done', decision = 'unsure', finished_at = 1,"
            " reason = 'perhaps reflection (0.' || id || ')' WHERE id <= 3"
        )
        connection.exec_driver_sql(
            "UPDATE jobs SET status = 'failed', error_kind = 'unreadable', finished_at = 1"
            " WHERE id = 4"
        )
    rule, facts, now = explanation("gallery/2024")
    assert rule == "folder"
    assert "in the gallery g: 6 photos 3 unsure   3: perhaps reflection 2 wait 1 failed" in facts
    assert "1: unreadable" in facts
    assert now == "2 photos wait"
    assert "7 photos" in explanation("gallery")[1]


def test_a_photo_in_an_offline_gallery_is_explained_by_the_reason(explanation, jobs, home):
    galleries.note(
        jobs.engine, "g", host="here", root=home / "gallery", output=home / "output", filesystem="nfs4",
        watching="polling", online=False, reason="not mounted",
    )  # fmt: skip
    rule, facts, _ = explanation("gallery/a.jpg")
    assert rule == "offline"
    assert "not mounted" in facts


def test_the_doctor_finds_no_problem_in_a_working_installation(doctor, redis_server, home):
    findings = doctor(PHOTOMEND_REDIS_URL=redis_server.url)
    assert {subject for subject, finding in findings.items() if not finding["well"]} == set()
    assert not list((home / "output").glob("*")) if (home / "output").exists() else True
    assert not list(home.glob(".photomend-*"))


def test_the_doctor_names_what_holds_the_process_that_decodes(doctor):
    assert doctor()["decoding"]["text"].startswith("in a process without files and network")


def test_the_doctor_says_what_to_do(doctor, home):
    (home / "gallery").rmdir()
    (home / "output").mkdir()
    (home / "output" / publishing.MARKER).write_text('{"gallery": "another"}')
    findings = doctor(PHOTOMEND_MIN_FREE_MEGABYTES="1000000000")
    bad = {subject: f["text"] for subject, f in findings.items() if not f["well"]}
    assert "make room" in bad["state folder"]
    assert any("is not there" in text for text in bad.values())
    assert any("belongs to the gallery 'another'" in text for text in bad.values())


def test_the_doctor_finds_an_opencv_that_cannot_be_imported(doctor, without_opencv):
    finding = doctor()["libraries"]
    assert not finding["well"]
    assert "libGL.so.1: cannot open shared object file" in finding["text"]
    assert "make -C" in finding["text"]


def test_the_doctor_finds_a_library_that_crashes(doctor, tmp_path, monkeypatch):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2/__init__.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "no worker can start: code -6" in doctor()["libraries"]["text"]


def test_the_doctor_finds_wheels_that_overwrite_the_headless_opencv(doctor, tmp_path, monkeypatch):
    metadata = tmp_path / "opencv_python-4.13.0.92.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.13.0.92\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = doctor()["libraries"]
    assert not finding["well"]
    assert "opencv-python may overwrite opencv-python-headless" in finding["text"]


def test_the_doctor_goes_on_without_the_library_of_a_postgresql(doctor, tmp_path):
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError('none', name='psycopg')")
    found = doctor(
        PHOTOMEND_DATABASE_URL="postgresql+psycopg://u:p@127.0.0.1:1/x", PYTHONPATH=str(tmp_path)
    )
    assert "a PostgreSQL needs an extra" in found["database"]["text"]
    assert found["database"]["well"] is False and "libraries" in found


def test_the_doctor_names_a_disk_that_is_mounted_read_only(in_namespace):
    told = in_namespace("""
here = Path(os.getcwd())
sh("mount", "-t", "tmpfs", "-o", "ro,size=1m", "disk", here)
from daemon.reports import doctor
print(doctor._space("state folder", here / "state").text)
""")
    assert "is mounted read-only; mount it writable" in told[-1]


def test_the_doctor_works_where_nothing_has_run(doctor, tmp_path):
    findings = doctor(PHOTOMEND_STATE_DIR=str(tmp_path / "fresh"), PHOTOMEND_GALLERIES="{}")
    assert "photomend migrate" in findings["database"]["text"]
    assert "photomend up" in findings["galleries"]["text"]
    assert findings["Redis"]["well"] and "`photomend up` starts /" in findings["Redis"]["text"]
    assert {subject for subject, f in findings.items() if not f["well"]} == {
        "database",
        "galleries",
    }
    assert not (tmp_path / "fresh").exists()


@pytest.mark.slow
def test_no_password_is_shown_by_doctor_up_or_a_worker(home, doctor, photomend, eventually):
    away = "redis://me:sesam@127.0.0.1:1/0"
    found = doctor(PHOTOMEND_REDIS_URL=away)["Redis"]
    assert not found["well"]
    assert "it cannot be used at redis://me:***@127.0.0.1:1/0 (Error 111" in found["text"]
    assert photomend("up", PHOTOMEND_REDIS_URL=away).wait(60) == 5
    photomend("work", "classify", PHOTOMEND_REDIS_URL=away)
    eventually(lambda: "Cannot connect to redis://me:***@" in (home / "log").read_text())
    output = (home / "log").read_text()
    assert "no Redis can be used at redis://me:***@127.0.0.1:1/0" in output
    assert "sesam" not in output


@pytest.mark.slow
def test_a_redis_that_answers_is_named_without_its_password(doctor, redis_server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    redis_server.client.config_set("bind", "127.0.0.1")
    redis_server.client.config_set("port", port)
    redis_server.client.config_set("requirepass", "sesam")
    found = doctor(PHOTOMEND_REDIS_URL=f"redis://:sesam@127.0.0.1:{port}/0")["Redis"]
    assert found["text"] == f"it takes notifications at redis://:***@127.0.0.1:{port}/0"
    wrong = doctor(PHOTOMEND_REDIS_URL=f"redis://:sesame@127.0.0.1:{port}/0")["Redis"]
    assert "sesam" not in wrong["text"]
    assert not wrong["well"]


def test_a_rule_is_named_with_its_number_and_what_it_says(explanation, monkeypatch, take_photo):
    rules = [
        {"match": "*.png", "mode": "off"},
        {"match": "2019/", "strength": "gentle", "categories": ["reflection"]},
    ]
    monkeypatch.setenv("PHOTOMEND_RULES", json.dumps(rules))
    take_photo("2019/a.jpg")
    take_photo("2019/b.png")
    _, facts, now = explanation("gallery/2019/a.jpg")
    assert (
        'rule 2 ("2019/") of the settings decides: mode = "on", categories = ["reflection"], '
        'strength = "gentle"'
    ) in facts
    assert "next scan" in now
    rule, facts, now = explanation("gallery/2019/b.png")
    assert (rule, now) == ("rule", 'nothing: rule 1 ("*.png") turns mending off')


def test_every_photo_that_is_left_has_a_way_to_be_mended(explanation, jobs, take_photo, home):
    for name in ("unsure.jpg", "Screenshot_1.jpg", "live.jpg"):
        found = take_photo(name).stat()
        galleries.add(jobs.engine, "g", Path(), {name: fingerprints.of(found)})
    (home / "gallery/live.mov").touch()
    claims = [
        jobs.claim("w", [CLASSIFY], child=n, seconds=300, seconds_per_megapixel=60)
        for n in range(3)
    ]
    jobs.finish(claims[0], Decision.UNSURE, "perhaps noise (0.5, 0.983 needed)")
    for claim in claims[1:]:
        jobs.finish(claim, Decision.LEFT_ALONE, "for a reason")
    anyway = f"`photomend mend {home}/gallery/{{}}` mends it anyway"
    assert anyway.format("unsure.jpg") in explanation("gallery/unsure.jpg")[2]
    now = explanation("gallery/Screenshot_1.jpg")[2]
    assert now.startswith("nothing: it is a screenshot, by its name or folder; ")
    assert now.endswith(anyway.format("Screenshot_1.jpg"))
    assert "photomend mend" not in explanation("gallery/live.jpg")[2]
