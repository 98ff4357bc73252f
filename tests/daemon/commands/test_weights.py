"""`photomend weights` as a user or a script runs it, against a server of files."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from daemon.commands.weights import app
from storage import installation
from storage.enums import QUEUES
from storage.errors import SettingsError
from storage.settings import Settings, make
from storage.weights.catalogue import TABLE

PHOTOMEND = Path(sys.executable).with_name("photomend")
YOSO = b"PK\x03\x04" + bytes(range(256)) * 2000
HEAVY = {
    "torch",
    "numpy",
    "cv2",
    "onnxruntime",
    "safetensors",
    "celery",
    "PIL",
    "pydantic",
    "requests",
}


@pytest.fixture
def environment(tmp_path, file_server):
    """Settings of a fresh machine whose mirror is the file server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHOTOMEND_")}
    file_server.files["/yoso_res50_coco.pth"] = YOSO
    return kept | {
        "PHOTOMEND_CONFIG": os.devnull, "PHOTOMEND_STATE_DIR": str(tmp_path / "state"),
        "PHOTOMEND_WEIGHTS_MIRROR": file_server.url, "PHOTOMEND_MIN_FREE_MEGABYTES": "1",
        "COLUMNS": "200", "NO_COLOR": "1",
    }  # fmt: skip


@pytest.fixture
def run(environment, end):
    """Run `photomend weights …` on a fresh machine."""

    def command(*words: object, code: int = 0, **changed: str):
        return end("weights", *words, code=code, env=environment | changed)

    return command


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state/weights"


def test_each_command_helps_with_an_example(run):
    overview = run("--help").stdout
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert f" {name} " in overview
        assert re.search(rf"Examples?: photomend weights {name}", command.callback.__doc__)
    assert "Example: photomend weights pull" in overview


def test_nothing_heavy_is_imported():
    modules = "daemon.commands.weights, storage.weights.folder, tasks.engines"
    code = f"import {modules}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_all_weights_are_listed_with_state_and_licence(run, folder, file_server):
    folder.mkdir(parents=True)
    (folder / "yoso_res50_coco.pth").write_bytes(YOSO)
    (folder / "RRW").mkdir()
    (folder / "RRW/RR.pth").write_bytes(YOSO)
    listed = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert [*listed] == [weights.name for weights in TABLE]
    states = {name: row["state"] for name, row in listed.items()}
    assert states["YOSO-coco"] == "not checked"
    assert states["RRW"] == "partly"
    assert states["CodeFormer"] == "missing"
    assert listed["CodeFormer"]["commercial"] is False
    assert listed["CodeFormer"]["files"][0]["sha256"].startswith("1009e537")
    assert listed["CodeFormer"]["files"][0]["origins"][0].startswith("https://")
    assert listed["CodeFormer"]["needed_by"] == []
    assert listed["RRW"]["needed_by"] == ["reflection"]
    screen = run("list").stdout
    assert screen.startswith("lite, the engine of your settings, needs none of these")
    facts = r"CodeFormer +376\.6 MB +missing +motion-blur, with faces = true +S-Lab.*\(--accept\)"
    assert re.search(facts, screen)
    assert re.search(r"YOSO-coco +about 170\.0 MB +not checked +MIT", screen)
    assert run("list", PHOTOMEND_ENGINE="auto").stdout.startswith("name ")
    assert file_server.asked == []


@pytest.mark.paper
@pytest.mark.parametrize(
    "paper",
    [
        {"classifier_url": "http://localhost:1"},
        {"classifier_url": "http://localhost:1", "faces": True},
        {"classifier_url": "http://localhost:1", "reflection_detector": "/own/yolo.pt"},
    ],
)
def test_a_queue_list_and_doctor_name_the_same_weights(run, environment, file_server, paper):
    if lacking := [name for name in installation.LIBRARIES if find_spec(name) is None]:
        pytest.skip(f"without {', '.join(lacking)}, doctor names no weights")
    set_to = {"PHOTOMEND_ENGINE": "paper", "PHOTOMEND_PAPER": json.dumps(paper)}
    listed = json.loads(run("list", "--json", **set_to).stdout)
    wanted = {row["name"] for row in listed if row["needed_by"]}
    doctor = subprocess.run(
        [PHOTOMEND, "doctor"], env=environment | set_to, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"weights pull (.+)", doctor.stdout)[0].split()) == wanted
    told = json.loads(run("pull", *QUEUES, "--accept", "--json", code=1, **set_to).stdout)
    assert {row["name"] for row in told} == wanted


def test_a_queue_asks_for_no_licence_that_the_settings_do_not_need(run, file_server):
    assert "404" in run("pull", "motion-blur", code=1).stderr
    assert {path for path, _ in file_server.asked} == {"/NAFNet-REDS-width64.pth"}
    faces = json.dumps({"faces": True})
    assert "CodeFormer: S-Lab" in run("pull", "motion-blur", code=1, PHOTOMEND_PAPER=faces).stderr


def test_a_queue_fetches_nothing_that_no_code_loads(run, file_server):
    file_server.files |= {"/RRW/RR.pth": YOSO, "/RRW/RD.pth": YOSO}
    run("pull", "reflection", "--accept")
    assert {path for path, _ in file_server.asked} == {"/RRW/RR.pth", "/RRW/RD.pth"}


def test_a_queue_that_needs_nothing_says_so(run):
    served = json.dumps({"classifier_url": "http://localhost:11434"})
    assert "classify needs no weights" in run("pull", "classify", PHOTOMEND_PAPER=served).stderr


def test_weights_are_pulled_and_found(run, folder):
    said = run("pull", "yoso-coco").stdout
    assert "licence: MIT" in said
    assert "yoso_res50_coco.pth was downloaded from 127.0.0.1; its hash is not published" in said
    assert (folder / "yoso_res50_coco.pth").read_bytes() == YOSO
    assert "was here and is right" in run("pull", "YOSO-coco").stdout
    assert run("path", "YOSO-coco").stdout == f"{folder}/yoso_res50_coco.pth\n"
    assert "✓ YOSO-coco: is right" in run("verify").stdout


def test_a_script_reads_what_was_pulled(run, folder, file_server):
    [told] = json.loads(run("pull", "YOSO-coco", "--json").stdout)
    assert told["error"] is None
    assert told["licence"] == "MIT"
    [file] = told["files"]
    assert file["path"] == str(folder / "yoso_res50_coco.pth")
    assert file["downloaded_from"] == f"{file_server.url}/yoso_res50_coco.pth"
    assert file["published_hash"] is False
    [told] = json.loads(run("verify", "--json").stdout)
    assert told["files"][0]["sha256"] == file["sha256"]


def test_a_licence_must_be_accepted_before_anything_is_fetched(run, file_server):
    said = run("pull", "YOSO-coco", "CodeFormer", "InvSR", code=1).stderr
    assert said.count("\n") == 1
    assert "CodeFormer: S-Lab" in said
    assert "InvSR: S-Lab" in said
    assert "--accept" in said
    assert file_server.asked == []


def test_an_accepted_licence_is_shown(run, file_server):
    file_server.files["/noise_predictor_sd_turbo_v5.pth"] = YOSO
    assert "licence: S-Lab License 1.0: non-commercial" in run("pull", "InvSR", "--accept").stdout
    assert "was here and is right" in run("pull", "InvSR").stdout


def test_a_name_that_is_none_gets_a_hint(run):
    for words in (("pull", "codeformr"), ("verify", "codeformr"), ("path", "codeformr")):
        assert "did you mean CodeFormer?" in run(*words, code=1).stderr
    assert "name weights" in run("pull", code=2).stderr


def test_wrong_bytes_are_one_sentence_and_nothing_is_kept(run, folder, file_server):
    file_server.files["/face_detection_yunet_2023mar.onnx"] = bytes(232_589)
    said = run("pull", "YuNet", code=1).stderr
    assert "is not an ONNX file" in said
    file_server.files["/face_detection_yunet_2023mar.onnx"] = b"\x08" + bytes(232_588)
    said = run("pull", "YuNet", code=1).stderr
    assert said.count("\n") == 1
    assert "not 8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4" in said
    assert not list(folder.iterdir())


def test_one_that_fails_does_not_stop_the_others(run, folder):
    done = run("pull", "YuNet", "YOSO-coco", "--json", code=1)
    first, second = json.loads(done.stdout)
    assert "404" in first["error"]
    assert second["error"] is None
    assert (folder / "yoso_res50_coco.pth").exists()


def test_without_a_network_it_is_one_sentence(run, folder):
    away = run("pull", "YOSO-coco", code=1, PHOTOMEND_WEIGHTS_MIRROR="http://127.0.0.1:1")
    assert "127.0.0.1 does not answer (connection refused)" in away.stderr
    assert f"put it into {folder} by hand" in away.stderr
    assert away.stderr.count("\n") == 1


def test_a_full_disk_is_one_sentence(run, file_server):
    said = run("pull", "YOSO-coco", code=1, PHOTOMEND_MIN_FREE_MEGABYTES=str(10**9)).stderr
    assert "must stay free" in said
    assert said.count("\n") == 1
    assert file_server.asked == []


def test_a_folder_that_cannot_be_made_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = run("pull", "YOSO-coco", code=1, PHOTOMEND_WEIGHTS_DIR=str(tmp_path / "file/w")).stderr
    assert str(tmp_path / "file") in said
    assert said.count("\n") == 1


def test_a_pull_that_is_killed_goes_on(environment, run, folder, file_server, eventually):
    def falls_silent(answer):
        answer.head(200, {"Content-Length": len(YOSO), "ETag": answer.etag})
        answer.wfile.write(YOSO[:300_000])
        answer.server.closing.wait(60)

    file_server.ways = [falls_silent]
    process = subprocess.Popen([PHOTOMEND, "weights", "pull", "YOSO-coco"], env=environment)
    part = folder / "yoso_res50_coco.pth.part"
    eventually(lambda: part.exists() and part.stat().st_size == 300_000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    [row] = [row for row in json.loads(run("list", "--json").stdout) if row["name"] == "YOSO-coco"]
    assert row["state"] == "partly"
    run("pull", "YOSO-coco")
    assert [span for _, span in file_server.asked] == [None, "bytes=300000-"]
    assert (folder / "yoso_res50_coco.pth").read_bytes() == YOSO


def test_ctrl_c_ends_a_pull_without_a_traceback(environment, folder, file_server, eventually):
    def falls_silent(answer):
        answer.head(200, {"Content-Length": len(YOSO), "ETag": answer.etag})
        answer.wfile.write(YOSO[:300_000])
        answer.server.closing.wait(60)

    file_server.ways = [falls_silent]
    # Who runs the tests in the background has Ctrl-C ignored, and its children too.
    words = ["/usr/bin/env", "--default-signal=INT", PHOTOMEND, "weights", "pull", "YOSO-coco"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    part = folder / "yoso_res50_coco.pth.part"
    eventually(lambda: part.exists() and part.stat().st_size == 300_000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert part.stat().st_size == 300_000


@pytest.mark.slow
def test_a_box_without_network_is_given_the_files_by_hand(run, folder, file_server):
    assert run("path").stdout == f"{folder}\n"
    assert "there are no weights" in run("verify", code=1).stderr
    said = run("path", "YOSO-coco", code=1).stderr
    assert "photomend weights pull YOSO-coco" in said
    folder.mkdir(parents=True)
    (folder / "yoso_res50_coco.pth").write_bytes(YOSO)
    assert "✓ YOSO-coco" in run("verify").stdout
    assert run("path", "YOSO-coco").stdout == f"{folder}/yoso_res50_coco.pth\n"
    assert file_server.asked == []


@pytest.mark.slow
def test_a_file_that_was_changed_is_refused_until_its_owner_says_so(run, folder):
    run("pull", "YOSO-coco")
    (folder / "yoso_res50_coco.pth").write_bytes(YOSO + b"more")
    assert "it was changed since" in run("path", "YOSO-coco", code=1).stderr
    told = json.loads(run("verify", "--json", code=1).stdout)
    assert "it was changed since" in told[0]["error"]
    assert "✗ YOSO-coco" in run("verify", code=1).stdout
    assert "--trust needs the names" in run("verify", "--trust", code=2).stderr
    run("verify", "--trust", "YOSO-coco")
    run("path", "YOSO-coco")


def test_a_missing_file_of_several_is_named(run, folder):
    (folder / "RRW").mkdir(parents=True)
    (folder / "RRW/RR.pth").write_bytes(YOSO)
    assert f"{folder}/RRW/RD.pth is not there" in run("verify", code=1).stdout


def test_settings_take_a_folder_and_a_mirror(tmp_path):
    assert Settings(state_dir=tmp_path).weights_root == tmp_path / "weights"
    made = make({"weights_dir": "/srv/w", "weights_mirror": "https://nas.example/w"}, "here")
    assert made.weights_root == Path("/srv/w")
    assert made.to_environment()["PHOTOMEND_WEIGHTS_DIR"] == "/srv/w"
    assert "PHOTOMEND_WEIGHTS_DIR" not in Settings(state_dir=tmp_path).to_environment()
    with pytest.raises(SettingsError, match="weights_mirror must be an address"):
        make({"weights_mirror": "file:///srv"}, "here")
