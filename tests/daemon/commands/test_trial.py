"""`photomend trial`: what it tries, writes and says."""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.commands.app import app
from daemon.reports import trial
from storage import jail, photos
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from tasks import previews

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    yield tmp_path / "state"
    settings.cache_clear()


def run(*words):
    return CliRunner().invoke(app, ["trial", *map(str, words)], catch_exceptions=False)


def test_sample_has_years_in_their_proportion_and_depends_on_the_seed():
    found = [trial.Candidate(2000 + n % 4, n, str(n)) for n in range(400)]
    drawn = trial.draw(found, 40, 7)
    assert Counter(each.year for each in drawn) == {2000: 10, 2001: 10, 2002: 10, 2003: 10}
    assert drawn == trial.draw(found, 40, 7) != trial.draw(found, 40, 8)
    assert len(set(drawn)) == 40
    assert sorted(trial.draw(found, 1000, 7)) == sorted(found)


def test_estimate_scales_the_sample_to_all_photos():
    tried = [
        trial.Tried("a", "restored", "noise", "", 3.0, 2.0, 1_000_000),
        trial.Tried("b", "clean", "clean", "", 1.0, 2.0),
    ]
    found = trial.estimate(tried, 1000, 2)
    assert (found.seconds, found.megapixels, found.gigabytes) == (2000, 2000, 0.5)
    assert found.hours == pytest.approx(2000 / 2 / 3600)
    middle, low, high = found.mended
    assert low < middle == 0.5 < high


def test_intervals_hold_the_truth_about_19_times_of_20():
    rng, held = random.Random(3), 0
    for _ in range(200):
        seconds = [rng.expovariate(0.5) for _ in range(300)]
        _, (low, high) = trial.total(rng.sample(seconds, 60), 300)
        held += low <= sum(seconds) <= high
    assert 180 <= held <= 198
    assert trial.total([1.0, 2.0, 6.0], 3) == (9.0, None)
    assert trial.share(1, 4, 4) == (0.25, 0.25, 0.25)
    assert trial.total([1.0], 3) == (3.0, None)


def test_a_trial_does_all_that_a_worker_does_except_writing(tmp_path, state, monkeypatch):
    from chaos import add_photo

    done: list[str] = []

    def noted(owner, name):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (done.append(name), real(*given))[1])

    noted(previews, "pictures")
    for name in ("read", "coded", "verify"):
        noted(photos, name)
    add_photo(tmp_path, 1, random.Random(1))
    gallery = GallerySettings(tmp_path)
    with jail.used():
        [pair] = trial.attempt(gallery, trial.candidates(gallery))
    [photo] = tmp_path.rglob("*.jpg")
    assert pair.tried.outcome == "restored"
    assert 0.3 < pair.tried.copy_bytes / photo.stat().st_size < 3
    assert not state.exists()
    assert done == ["pictures", "read", "coded", "verify", "pictures"]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"mode": "off"}, 'rule 1 ("*") turns mending off'),
        ({"categories": ["reflection"]}, "mends only reflection, and this is super-resolution"),
        ({"mode": "off", "galleries": ["other"]}, ""),
    ],
)
def test_a_trial_obeys_the_rules(tmp_path, state, monkeypatch, rule, reason):
    from chaos import add_photo

    (tmp_path / "photos").mkdir()
    add_photo(tmp_path / "photos", 1, random.Random(1))
    known = {name: {"path": str(tmp_path / name)} for name in ("photos", "other")}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps(known))
    monkeypatch.setenv("PHOTOMEND_RULES", json.dumps([{"match": "*"} | rule]))
    settings.cache_clear()
    gallery = settings().galleries["photos"]
    with jail.used():
        [tried] = trial.attempt(gallery, trial.candidates(gallery), name="photos")
    if reason:
        assert (tried.outcome, reason in tried.reason) == ("left alone", True)
    else:
        assert tried.tried.outcome == "restored"


@pytest.mark.slow
def test_trial_writes_only_its_report_with_names_escaped(tmp_path, state):
    from chaos import add_photo

    gallery = tmp_path / "gallery"
    gallery.mkdir()
    for number in range(6):
        add_photo(gallery, number, random.Random(number))
    for photo in sorted(gallery.rglob("*.jpg")):
        photo.rename(photo.with_name(f"<script>{photo.name}"))
    (gallery / "Screenshot 1.jpg").write_bytes(next(gallery.rglob("<*.jpg")).read_bytes())
    (gallery / ".hidden.jpg").write_bytes(b"ignored")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    found = json.loads(run(gallery, "--seed", 1, "--json").stdout)
    assert found["photos"] == found["sampled"] == 7
    assert found["outcomes"]["left alone"] == 1
    assert found["outcomes"]["restored"] >= 1
    page = state / "trial" / "trial.html"
    files = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {*before, page, page.with_suffix(".jpg")}
    assert all(p.stat().st_mtime_ns == mtime for p, mtime in before.items())
    assert {p.stat().st_mode & 0o777 for p in files - set(before)} == {0o600}
    assert page.parent.stat().st_mode & 0o777 == 0o700
    text = page.read_text()
    assert "&lt;script&gt;IMG" in text
    assert "<script>IMG" not in text
    assert ": noise or softness<" in text and "super-resolution" not in text
    assert "default-src 'none'" in text
    assert 'type="range"' in text
    assert f"photomend up --backlog all {gallery}" in text


def test_report_is_not_written_among_the_photos(tmp_path, state):
    done = run(tmp_path, "--out", tmp_path / "report")
    assert done.exit_code == 2
    assert not (tmp_path / "report").exists()


def test_empty_folder_is_told(tmp_path, state):
    (tmp_path / "empty").mkdir()
    assert "tried: 0 of 0 photos" in run(tmp_path / "empty").stdout
