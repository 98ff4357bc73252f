"""Photos through the daemon with the paper engine: real Redis, real loading, tiny networks."""

import base64
import io
import json
import math
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

pytest.importorskip("torch", reason="the paper engine needs torch")

from storage import publishing
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import Category, Decision, Degradation, ErrorKind, Status

SITE = Path(__file__).parent / "site"
SECONDS = 120
NOISE_SIGMA = 40


def every(jobs) -> dict[str, Job]:
    with jobs.engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.id))
        return {str(job.source): job for job in map(Job.of, rows)}


def one_noisy_patch(photo):
    """Crop a photo to one patch of InvSR, and add noise."""
    with Image.open(photo) as picture:
        part = np.asarray(picture.convert("RGB").crop((0, 0, 128, 128)), np.float32)
    noise = np.random.default_rng(0).normal(0, NOISE_SIGMA, part.shape)
    Image.fromarray(np.clip(part + noise, 0, 255).astype(np.uint8)).save(photo)


def test_photos_go_through_the_papers_classifier_and_chains(
    home, jobs, take_photo, start_paper_engine, eventually
):
    take_photo("clean.jpg")
    one_noisy_patch(take_photo("noisy.png"))
    take_photo("moved.jpg", kind=Degradation.MOTION)
    before = {path: publishing.sha256(path) for path in (home / "gallery").iterdir()}
    start_paper_engine()
    eventually(lambda: [j.status for j in every(jobs).values()] == 3 * [Status.DONE], SECONDS)
    found = every(jobs)
    assert found["clean.jpg"].decision is Decision.CLEAN
    assert "lite 8, then Tiny-VL" in found["clean.jpg"].scores["classifier"]
    noisy = found["noisy.png"]
    assert noisy.category is Category.SUPER_RESOLUTION
    assert noisy.decision is Decision.KEPT_ORIGINAL  # InvSR's weights are random: the guard sees it
    assert "restore the whole image" in [step["step"] for step in noisy.receipt["steps"]]
    assert noisy.receipt["generative"]
    moved = found["moved.jpg"]
    assert moved.category is Category.MOTION_BLUR
    assert moved.decision is Decision.RESTORED, moved.reason
    assert publishing.sha256(home / "output/moved.jpg") == moved.sha256
    assert not moved.receipt["generative"]
    assert {path: publishing.sha256(path) for path in before} == before


def test_a_photo_with_a_reflection_goes_through_the_papers_chain(
    home, jobs, take_photo, start_paper_engine, eventually, tiny_weights
):
    photo = take_photo("ghost.jpg", kind=Degradation.REFLECTION)
    before = publishing.sha256(photo)
    start_paper_engine(reflection_segmenter=str(tiny_weights / "own-yoso.pth"))
    eventually(lambda: [j.status for j in every(jobs).values()] == [Status.DONE], SECONDS)
    [job] = every(jobs).values()
    assert job.category is Category.REFLECTION
    assert job.decision is Decision.KEPT_ORIGINAL  # all weights are random: the guard sees it
    first, *_, last = job.receipt["steps"]
    assert (first["step"], first["detectors"]) == ("find strong reflections", ["own-yoso.pth"])
    assert last["step"] == "reduce weak reflections"
    assert publishing.sha256(photo) == before
    assert not (home / "output/ghost.jpg").exists()


def test_a_job_waits_for_weights_and_goes_on_once_they_are_there(
    home, jobs, take_photo, start_paper_engine, eventually, tiny_weights, tmp_path
):
    take_photo("moved.jpg", kind=Degradation.MOTION)
    (tmp_path / "weights").mkdir()
    start_paper_engine(weights_dir=tmp_path / "weights")
    eventually(
        lambda: any(job.error_kind is ErrorKind.MACHINE for job in every(jobs).values()), SECONDS
    )
    [job] = every(jobs).values()
    assert (job.status, job.attempts) == (Status.QUEUED, 0)
    assert "photomend weights pull NAFNet-REDS-width64" in job.error
    name = "NAFNet-REDS-width64.pth"
    (tmp_path / "weights" / name).write_bytes((tiny_weights / name).read_bytes())
    eventually(lambda: every(jobs)["moved.jpg"].decision is Decision.RESTORED, SECONDS)


class Contradicts(BaseHTTPRequestHandler):
    """A vision-language net that is sure that every photo is clean, and undecided about grey pictures."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        url = asked["messages"][0]["content"][0]["image_url"]["url"]
        picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        clean = 0.25 if np.ptp(np.asarray(picture)) == 0 else 0.97
        shares = {"D": clean, **dict.fromkeys("ABC", (1 - clean) / 3)}
        top = [{"token": sign, "logprob": math.log(share)} for sign, share in shares.items()]
        choice = {"message": {"content": "D"}, "logprobs": {"content": [{"top_logprobs": top}]}}
        body = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def contradicting():
    with ThreadingHTTPServer(("127.0.0.1", 0), Contradicts) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_photo_is_left_alone_if_two_classifiers_contradict_each_other(
    home, jobs, take_photo, start_paper_engine, eventually, contradicting
):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    take_photo("clean.jpg")
    start_paper_engine(classifier_url=contradicting)
    eventually(lambda: [j.status for j in every(jobs).values()] == 2 * [Status.DONE], SECONDS)
    assert every(jobs)["noisy.jpg"].decision is Decision.UNSURE
    assert every(jobs)["clean.jpg"].decision is Decision.CLEAN
    command = [Path(sys.executable).parent / "photomend", "jobs", "--decision", "unsure", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [job["source"] for job in json.loads(told)] == ["noisy.jpg"]
    assert not list((home / "output").rglob("*.jpg"))


@pytest.fixture
def run(home, tiny_weights, qwen):
    """Run a command with the paper engine's tiny networks."""

    def command(*words, **paper):
        environment = os.environ | {
            "PHOTOMEND_PAPER": json.dumps({"classifier": str(qwen), **paper}),
            "PHOTOMEND_WEIGHTS_DIR": str(tiny_weights), "PYTHONPATH": str(SITE),
            "TINY_WEIGHTS": "1", "OMP_NUM_THREADS": "1", "PHOTOMEND_LEAST_CHANGE": "any",
        }  # fmt: skip
        photomend = Path(sys.executable).parent / "photomend"
        done = subprocess.run(
            [photomend, *map(str, words)], env=environment, cwd=home, capture_output=True,
            text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return command


def test_evaluate_measures_the_paper_engine(run, home, take_photo):
    photos = [take_photo("moved.jpg", kind=Degradation.MOTION), take_photo("clean.jpg")]
    truth = photos[1].name
    rows = ["path,label,truth,group", f"moved.jpg,C,{truth},motion", f"clean.jpg,D,{truth},clean"]
    (home / "gallery/list.csv").write_text("\n".join(rows))
    found = run("evaluate", home / "gallery/list.csv", "--engine", "paper", "--json")
    assert found["groups"]["motion"]["acted_on"] == {"motion-blur": 1.0}
    motion = found["groups"]["motion"]
    assert abs(motion["psnr_out"] - motion["psnr_in"]) > 0.1  # its NAFNet only sharpens
    assert found["groups"]["clean"]["clean_touch_rate"] == 0


def test_compare_draws_both_engines_side_by_side(run, home, take_photo):
    photo = take_photo("moved.jpg", kind=Degradation.MOTION)
    shown = run(
        "compare", photo, "--engine", "lite", "--engine", "paper", "--sheet", "both.png", "--json"
    )
    assert [(s["engine"], s["category"], s["decision"]) for s in shown] == [
        ("lite", "motion-blur", "restored"), ("paper", "motion-blur", "restored"),
    ]  # fmt: skip
    with Image.open(home / "both.png") as sheet:
        cells = [sheet.crop((8 + n * 328, 82, 328 + n * 328, 402)) for n in range(1, 4)]
    before, lite, paper = (np.asarray(cell.convert("RGB"), np.float32) for cell in cells)
    assert min(np.abs(before - lite).mean(), np.abs(lite - paper).mean()) > 0.5
