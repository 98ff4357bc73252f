"""The real console script, in processes of its own, on a real migrated database."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from daemon.commands.app import app
from storage.database import galleries, holds, processes, search, status
from storage.database import workers as worker_rows
from storage.database.jobs import Jobs
from storage.database.reviews import REJECTED
from storage.enums import ASKED_FOR, CLASSIFY, QUEUES, Category, Decision, ErrorKind, Status
from tasks.worker.redis_client import key

PHOTOMEND = Path(sys.executable).with_name("photomend")
HEAVY = {
    "torch", "cv2", "onnxruntime", "celery", "numpy", "PIL", "pydantic", "alembic", "sqlalchemy.orm",
}  # fmt: skip


def test_importing_the_command_line_imports_nothing_heavy():
    code = "import daemon.cli, daemon.commands.app, sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ended.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import tasks.worker.notify",
        "import daemon.watching.watcher",
        "import daemon.watching.gallery_process",
    ],
)
def test_notifications_and_the_watcher_import_no_image_library(code):
    code = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (HEAVY - {"celery"}) & set(done.stdout.split())


def test_status_imports_nothing_heavy(home):
    program = (
        "import sys\nfrom daemon.cli import main\nsys.argv = ['photomend', 'status', '--json']\n"
        f"main()\nprint(sorted({HEAVY} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


def test_the_help_of_each_command_has_an_example(run):
    overview = run("--help").stdout
    assert "6 already running" in " ".join(overview.split())
    for command in app.registered_commands:
        name, text = command.callback.__name__, command.callback.__doc__
        assert (f" {name} " in overview) == (not command.hidden)
        assert re.search(rf"Examples?: photomend (--config \S+ )?{name}", text)
    assert "photomend retry --kind" in run("retry", "--help").stdout


@pytest.mark.parametrize("words", [[], ["status"], ["weights", "list"]])
def test_h_shows_the_help(run, words):
    assert "Usage: photomend" in run(*words, "-h").stdout


def test_a_shell_completes_commands_and_options(run):
    def completed(*words):
        asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        return run(_PHOTOMEND_COMPLETE="complete_bash", **asked).stdout.split()

    assert completed("photomend", "sta") == ["status"]
    assert completed("photomend", "show", "--verb") == ["--verbose"]
    script = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_PHOTOMEND_COMPLETE=complete_bash" in script.stdout


def test_the_version_is_that_of_the_package(run):
    assert run("--version").stdout.startswith("photomend 0.")


def test_status_says_how_to_start_if_nothing_has_run_yet(run, read, tmp_path):
    fresh = str(tmp_path / "fresh")
    assert "photomend up" in run("status", PHOTOMEND_STATE_DIR=fresh).stdout
    printed = json.loads(run("status", "--json", PHOTOMEND_STATE_DIR=fresh).stdout)
    assert printed["jobs"] == {"queued": 0, "running": 0, "done": 0, "failed": 0, "cancelled": 0}
    run("status", "--check", code=1, PHOTOMEND_STATE_DIR=fresh)
    assert not Path(fresh).exists()


def test_a_missing_database_is_reported_in_one_sentence_that_names_migrate(run, tmp_path):
    fresh = str(tmp_path / "fresh")
    output = run("jobs", code=4, PHOTOMEND_STATE_DIR=fresh).stderr
    assert "photomend migrate" in output
    assert output.count("\n") == 1
    assert "is ready" in run("migrate", PHOTOMEND_STATE_DIR=fresh).stdout
    run("jobs", PHOTOMEND_STATE_DIR=fresh)


def test_a_damaged_database_is_reported_in_one_sentence(run, tmp_path):
    file = tmp_path / "bad.db"
    file.write_bytes(b"no database at all" * 100)
    output = run("status", code=4, PHOTOMEND_DATABASE_URL=f"sqlite:///{file}").stderr
    assert output.startswith("photomend: the database")
    assert output.count("\n") == 1


def test_an_unreachable_database_server_is_reported_in_one_sentence(run):
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    away = "postgresql://nobody@127.0.0.1:1/none"
    run("status", code=4, PHOTOMEND_DATABASE_URL=away)


def test_wrong_settings_are_reported_in_one_sentence_with_the_file(run, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("no_such_key = 1")
    output = run("--config", config, "status", code=3).stderr
    assert "no_such_key" in output
    assert str(config) in output
    run("--config", tmp_path / "none.toml", "jobs", code=3)


def test_wrong_arguments_exit_with_the_code_for_usage(run):
    assert "there is no queue 'blur'" in " ".join(run("work", "blur", code=2).stderr.split())
    run("retry", code=2)
    run("jobs", "--younger", "yesterday", code=2)
    run("nonsense", code=2)
    assert "no job 99" in run("show", 99, code=1).stderr


def test_status_shows_counts_decisions_galleries_and_workers(read, run, jobs, mended):
    galleries.note(
        jobs.engine, "g", host="here", root=Path("/photos"), output=Path("/out"), filesystem="nfs4",
        watching="polling (nfs4)", online=False, reason="not mounted",
    )  # fmt: skip
    galleries.add(jobs.engine, "g", Path(), {os.fsdecode(b"caf\xe9[bold].jpg"): "1"})
    printed = read("status")
    assert printed["schema"] == 2
    assert printed["jobs"] == {"queued": 1, "running": 0, "done": 1, "failed": 0, "cancelled": 0}
    assert printed["decisions"]["restored"] == 1
    assert printed["galleries"][0]["name"] == "g"
    assert printed["galleries"][0]["jobs"]["done"] == 1
    assert printed["workers"][0]["queues"] == list(QUEUES)
    assert printed["oldest_waiting"]["source"] == os.fsdecode(b"caf\xe9[bold].jpg")
    screen = run("status").stdout
    assert "1 queued, 0 running, 1 done" in screen
    assert r"caf\xe9[bold].jpg" in screen
    assert "OFFLINE: not mounted" in screen


def test_status_counts_copies_that_are_larger_than_the_rule_and_jobs_lists_them(
    read, run, jobs, claim
):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    assert "oversized" not in run("status").stdout
    for name, copy in (("a.jpg", {"larger_than_the_rule": "it is lossless"}), ("b.jpg", {})):
        claimed = claim()
        jobs.record(claimed, Path(name), name, {"copy": copy})
        jobs.finish(claimed, Decision.RESTORED)
    assert read("status")["oversized"] == 1
    assert "1 copy is more than 1.3 times as large" in run("status").stdout
    assert [job["source"] for job in read("jobs", "--oversized")] == ["a.jpg"]


def test_a_gpu_that_is_lost_is_a_problem_with_its_time(run, read, jobs, claim, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "60")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "gpu 1")
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET due_at = due_at - 1000")
    reason = "the GPU is lost: Xid 79"
    holds.hold(jobs.engine, "w", QUEUES, ErrorKind.GPU_LOST, reason, least_seconds=300)
    [problem] = [p for p in read("status", "--check", code=1)["problems"] if "gpu 1" in p]
    assert re.match(
        r"gpu 1 of host cannot be used since \d{4}-.*: the GPU is lost: Xid 79", problem
    )
    screen = run("status").stdout
    assert re.search(r"WAITS since \d{4}-.*Xid 79; it is tried again in 5 min", screen)
    holds.release(jobs.engine, "w")
    assert "WAITS" not in run("status").stdout


def test_a_gpu_that_lite_stands_in_for_is_a_problem_and_holds_nothing(
    run, read, jobs, claim, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "60")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    reason = "its driver is too old"
    holds.hold(jobs.engine, "w", [], ErrorKind.GPU_LOST, reason, least_seconds=300)
    problems = read("status", "--check", code=1)["problems"]
    [problem] = [problem for problem in problems if "GPU" in problem]
    assert re.fullmatch(
        r"the GPU of host cannot be used since .*: its driver is too old; lite takes its steps",
        problem,
    )
    screen = run("status").stdout
    assert re.search(r"cpu.* in place of a GPU that .*too old; it is tried again in 5 min", screen)


def test_the_check_lists_the_problems(run, read, jobs, claim, redis_server, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "60")
    processes.heartbeat(jobs.engine, "watcher", "gallery g")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    assert read("status", "--check")["problems"] == []
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workers SET uptime = uptime - 100")
    problems = read("status", "--check", code=1)["problems"]
    assert any("no heartbeat" in problem for problem in problems)
    assert any("no worker serves classify" in problem for problem in problems)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET due_at = due_at - 1000")
    assert "no worker claims them" in run("status", "--check", code=1).stdout
    run("status")


def test_jobs_are_listed_with_stable_names_for_scripts(read, run, jobs, mended):
    odd = os.fsdecode(b"caf\xe9[red].jpg")
    galleries.add(jobs.engine, "g", Path("2024"), {odd: "1"})
    listed = {job["id"]: job for job in read("jobs")}
    assert listed[1] | {
        "id": 1, "gallery": "g", "source": "cat.jpg", "status": "done", "category": "motion-blur",
        "decision": "restored", "reason": None, "output": "cat.jpg", "attempts": 0, "claims": 2,
        "error_kind": None, "error": None,
    } == listed[1]  # fmt: skip
    assert {"created_at", "finished_at", "seconds"} <= listed[1].keys()
    assert listed[2]["source"] == f"2024/{odd}"
    assert r"2024/caf\xe9[red].jpg" in run("jobs").stdout
    assert run("jobs", "--json").stdout.isascii()


def test_jobs_are_filtered(read, home, jobs, mended):
    galleries.add(jobs.engine, "g", Path("2024"), {"a.jpg": "1", "b.jpg": "1"})

    def ids(*words):
        return [job["id"] for job in read("jobs", *words)]

    assert ids("--status", "done") == [1]
    assert ids("--status", "done", "--status", "queued") == [3, 2, 1]
    assert ids("--decision", "restored", "--category", "motion-blur") == [1]
    assert ids(home / "gallery/2024") == [3, 2]
    assert ids("2024") == [3, 2]
    assert ids("*/b.jpg") == [3]
    assert ids(home / "gallery/*/a.jpg", "cat.jpg") == [2, 1]
    assert ids("--younger", "1h", "--limit", 1) == [3]
    assert ids("--older", "1h") == []


def test_a_photo_is_shown_by_id_by_path_and_by_its_result(read, run, home, mended):
    story = read("show", 1)
    for name in ("gallery/cat.jpg", home / "output/cat.jpg", "cat.jpg"):
        assert read("show", name) == story
    assert story[0]["scores"] == {"scores": {"motion-blur": 0.9}}
    assert [e["event"] for e in story[0]["history"]][-1] == "restored"
    screen = run("show", 1, "--verbose").stdout
    assert "motion-blur 0.9" in screen
    assert "name deblur" in screen


def test_show_begins_with_the_full_path_what_was_found_and_what_was_done(run, home, mended):
    screen = run("show", 1).stdout
    begin = [line.split(maxsplit=1) for line in screen.splitlines()[:4]]
    assert begin == [
        ["photo", str(home / "gallery/cat.jpg")], ["found", "shaken"], ["done", "mended"],
        ["result", str(home / "output/cat.jpg")],
    ]  # fmt: skip
    assert "scores" not in screen
    assert "receipt" not in screen


def test_a_photo_is_found_through_a_symbolic_link_to_its_gallery(read, home, mended):
    (home / "link").symlink_to(home / "gallery")
    assert read("show", home / "link/cat.jpg")[0]["id"] == 1


def test_failed_jobs_are_retried(read, run, jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    jobs.end_with_error(claim(), ErrorKind.TOO_LARGE, "too many pixels")
    assert [job["id"] for job in read("retry", "--kind", "too large")] == [2]
    assert [job["id"] for job in read("retry", "--failed")] == [1]
    assert "0 jobs" in run("retry", 3).stdout
    assert search.get(jobs.engine, 1).rank == ASKED_FOR


WAITS = (ErrorKind.ARRIVING, ErrorKind.OFFLINE, ErrorKind.DISK_FULL, ErrorKind.MACHINE)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--kind", "disk full"), [3]),
        (("--kind", "memory"), [5]),
        (("--all",), [1, 2, 3, 4, 5]),
        (("gallery",), [1, 2, 3, 4, 5]),
        (("2", "gallery/4.jpg", "6"), [2, 4]),
        (("gallery", "--kind", "machine"), [4]),
        (("--failed",), []),
    ],
)
def test_a_retry_makes_jobs_that_wait_after_an_error_due_now(run, jobs, home, claim, words, ids):
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(1, 7)})
    for kind in WAITS:
        jobs.end_with_error(claim(), kind, "later", pause_seconds=600.0)
    patient = Jobs(jobs.engine, pause_seconds=600.0, max_attempts=3)
    patient.end_with_error(claim(), ErrorKind.MEMORY, "too little of it")
    output = run("retry", *words).stdout
    due = search.due(jobs.engine, CLASSIFY, 10)
    assert sorted(due) == sorted([*ids, 6])  # job 6 had no error
    assert [f"job {number} is due now" in output for number in range(1, 7)] == [
        number in ids for number in range(1, 7)
    ]
    assert ("0 jobs are queued again" in output) == (not ids)
    assert search.get(jobs.engine, 5).attempts == 1


def test_a_retry_distinguishes_waiting_and_finished_jobs(run, read, jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    jobs.end_with_error(claim(), ErrorKind.DISK_FULL, "no space", pause_seconds=600.0)
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    output = run("retry", "--all").stdout
    assert "job 1 is due now" in output
    assert "job 2 is queued again" in output
    [again] = read("retry", 1, "--from-scratch")
    assert (again["rank"], again["error_kind"]) == (ASKED_FOR, None)


def test_a_retry_keeps_the_category_unless_it_is_from_scratch(run, jobs, home, mended):
    run("retry", home / "gallery")
    assert search.get(jobs.engine, 1).category is Category.MOTION_BLUR
    run("cancel", 1)
    run("retry", "gallery/cat.jpg", "--from-scratch")
    assert search.get(jobs.engine, 1).category is None


def test_a_retry_notifies_if_redis_answers_and_prints_nothing_if_not(
    run, redis_server, jobs, mended
):
    assert run("retry", 1).stderr == ""
    run("cancel", 1)
    run("retry", 1, PHOTOMEND_REDIS_URL=redis_server.url)
    assert redis_server.client.llen(key("motion-blur")) == 1


def test_a_rejected_result_is_removed_and_recorded(run, jobs, home, mended):
    run("reject", home / "output/cat.jpg")
    assert not (home / "output/cat.jpg").exists()
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason, job.output) == (Decision.KEPT_ORIGINAL, REJECTED, None)
    assert "you rejected the result of 1" in run("reject", 1, code=1).stderr


def test_a_result_that_its_owner_changed_stays(run, jobs, home, mended):
    (home / "output/cat.jpg").write_bytes(b"painted over")
    assert "is not removed" in run("reject", 1, code=1).stderr
    assert (home / "output/cat.jpg").read_bytes() == b"painted over"
    assert search.get(jobs.engine, 1).decision is Decision.RESTORED


def test_no_result_is_rejected_while_its_share_is_away(run, jobs, home, mended):
    (home / "output").rename(home / "away")
    assert "mounted" in run("reject", 1, code=1).stderr
    assert search.get(jobs.engine, 1).decision is Decision.RESTORED


def test_jobs_are_cancelled(run, jobs):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    run("cancel", 1)
    assert [search.get(jobs.engine, number).status for number in (1, 2)] == [
        Status.CANCELLED,
        Status.QUEUED,
    ]
    run("cancel", "--all")
    assert search.get(jobs.engine, 2).status is Status.CANCELLED


@pytest.mark.slow
def test_no_output_repeats_a_status_or_decision(run, jobs, claim, take_photo):
    take_photo("a.jpg")
    take_photo("b.jpg")
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    run("cancel", 1)
    jobs.finish(claim(), Decision.KEPT_ORIGINAL, "it was not better")
    for name, number, once in (("a.jpg", 1, "cancelled"), ("b.jpg", 2, "kept original")):
        for words in (("show", number), ("jobs", name), ("explain", f"gallery/{name}")):
            output = run(*words).stdout
            assert once in output or "original kept" in output
            assert not re.search(f"{once}[:,] {once}", " ".join(output.split()))
    assert "error      taken back" in run("show", 1).stdout


@pytest.mark.slow
def test_a_pause_lasts_until_it_is_resumed(run, read, jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    run("pause", "--for", "1h30m")
    [pause] = read("status")["pauses"]
    assert pause["until"] - pause["since"] == pytest.approx(5400)
    assert claim() is None
    run("resume")
    assert read("status")["pauses"] == []
    run("pause", "--gallery", "g")
    assert claim() is None
    run("resume", "--gallery", "g")
    assert claim() is not None
    run("pause", "--gallery", "none", code=2)
    run("pause", "--category", "none", code=2)


@pytest.mark.slow
def test_added_photos_are_first_in_the_queue(read, run, jobs, home, take_photo):
    take_photo("2019/a.jpg")
    take_photo("2019/deep/b.jpg")
    (home / "gallery/2019/notes.txt").write_text("no photo")
    (home / "gallery/2019/@eaDir").mkdir()
    (home / "gallery/2019/@eaDir/c.jpg").write_text("a thumbnail")
    added = read("add", home / "gallery/2019")
    assert {job["source"] for job in added} == {"2019/a.jpg", "2019/deep/b.jpg"}
    assert {job["rank"] for job in added} == {ASKED_FOR}
    [again] = read("add", "gallery/2019/a.jpg")
    assert again["id"] in {job["id"] for job in added}
    (home / "gallery/link").symlink_to("2019", target_is_directory=True)
    wrongs = ("2019/notes.txt", "2019/@eaDir", "2019/@eaDir/c.jpg", "link", "none.jpg")
    for wrong in (*(f"gallery/{name}" for name in wrongs), "/etc/passwd"):
        run("add", wrong, code=1)


def test_the_reader_of_a_long_list_may_stop_early(home, jobs):
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": "1" for n in range(2000)})
    command = f"{PHOTOMEND} jobs --limit 2000 | head -1"
    ended = subprocess.run(
        command, shell=True, check=True, capture_output=True, text=True, cwd=home
    )
    assert ended.stderr == ""


def test_a_watcher_exits_with_0_after_sigterm(photomend, jobs, eventually):
    watcher = photomend("watch")
    eventually(lambda: galleries.get(jobs.engine, "g"))
    watcher.terminate()
    assert watcher.wait(30) == 0


def test_a_watcher_without_a_gallery_says_so(run):
    assert "no gallery" in run("watch", code=3, PHOTOMEND_GALLERIES="{}").stderr


def test_a_worker_on_a_gpu_sees_no_other(photomend, jobs, eventually):
    worker = photomend("work", "classify", "reflection", "--gpu", "1")
    eventually(lambda: status.summary(jobs.engine).workers)
    [row] = status.summary(jobs.engine).workers
    assert (row.queues, row.device, row.process) == ("classify,reflection", "cpu", worker.pid)
    parent = psutil.Process(worker.pid)

    def seen() -> list[str | None]:
        found = []
        for child in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found.append(child.environ().get("CUDA_VISIBLE_DEVICES"))  # None before its exec
        return found

    eventually(lambda: len(seen()) > 1 and set(seen()) == {"1"})  # its child, and a tracker


def test_a_comparison_that_cannot_be_made_is_reported_in_one_sentence(run, take_photo, tmp_path):
    photo = take_photo()
    assert "--sheet" in run("compare", photo, "--sheet", "pets.doc", code=2).stderr
    (tmp_path / "without/torch").mkdir(parents=True)
    missing = "raise ModuleNotFoundError('no torch here', name='torch')"
    (tmp_path / "without/torch/__init__.py").write_text(missing)
    output = run(
        "compare", photo, "--engine", "paper", code=1, PYTHONPATH=str(tmp_path / "without")
    ).stderr
    assert "no torch here" in output
    assert re.search(r"make -C \S+ paper", output)
