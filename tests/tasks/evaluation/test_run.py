"""Figures that are right, manifests that are checked, and an evaluation of real photos."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.metrics import structural_similarity

from daemon.reports import evaluation_sheets
from storage import photos
from storage.enums import Category, Decision, Degradation
from storage.formats.safe_open import Limits
from storage.settings import settings
from tasks.evaluation import baselines, metrics, summary
from tasks.evaluation import manifest as manifests
from tasks.evaluation.manifest import BadManifest, Row
from tasks.evaluation.run import Evaluated, Likeness, Views, camera
from tasks.imaging import degrade
from tasks.imaging.light import luma
from tasks.mend import UNSEEN
from tasks.verdict import Verdict

TRUTH = skimage.data.astronaut()[:400, :400].astype(np.float32) / 255
HEAD = "path,label,truth,group\n"
SAME, CHANGE = "before, unchanged", "difference, 4 times"


def noisy(sigma):
    return degrade.noisy(TRUTH, sigma, np.random.default_rng(1))


def save(image, path):
    Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(path)


def test_an_image_is_most_like_itself():
    assert metrics.psnr(TRUTH, TRUTH) == 100
    assert metrics.ssim(TRUTH, TRUTH) == pytest.approx(1, abs=1e-6)
    assert metrics.fsim(TRUTH, TRUTH) == pytest.approx(1, abs=1e-6)


def test_psnr_and_ssim_are_those_of_another_library():
    image = noisy(10)
    assert metrics.psnr(image, TRUTH) == pytest.approx(28.13, abs=0.5)  # of sigma 10, some clipped
    theirs = structural_similarity(
        luma(image), luma(TRUTH), gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1.0,
    )  # fmt: skip
    assert metrics.ssim(image, TRUTH) == pytest.approx(theirs, abs=0.005)


def test_fsim_falls_with_each_degradation():
    for spoil in (
        noisy,
        lambda amount: degrade.softened(TRUTH, amount / 8),
        lambda amount: degrade.compressed(TRUTH, int(60 - 2 * amount)),
    ):
        falling = [metrics.fsim(spoil(amount), TRUTH) for amount in (4, 10, 24)]
        assert 1 > falling[0] > falling[1] > falling[2] > 0.3


def test_phases_agree_at_an_edge_however_faint_it_is():
    step = np.full((128, 128), 100, np.float32)
    step[:, 64:] += 20
    phase = metrics.phase_congruency(step)
    assert phase[64, 62:66].max() > 0.5
    assert phase[64, 24:40].max() < 0.2


def test_auc_counts_how_often_a_positive_wins():
    assert metrics.auc([0.9, 0.8], [0.1, 0.2]) == 1
    assert metrics.auc([0.5, 0.5], [0.5]) == 0.5
    assert metrics.auc([0.9, 0.1], [0.5]) == 0.5
    assert metrics.auc([], [0.5]) is None


def test_the_interval_of_a_share_is_wilson_s():
    assert metrics.interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-3)
    assert metrics.interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert metrics.interval(0, 0) == (0, 1)


def test_scores_that_are_right_as_often_as_they_say_are_calibrated():
    assert metrics.calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert metrics.calibration_error([0.95] * 2, [False, False]) == pytest.approx(0.95)
    assert metrics.calibration_error([], []) is None


def test_a_bad_row_is_told_by_its_line_and_the_others_are_read(tmp_path):
    save(TRUTH, tmp_path / "a.png")
    (tmp_path / "list.csv").write_text(
        HEAD + "a.png,D,,x\nb.png,A,,x\na.png,E,,x\na.png,?,none.png,x\n,A,,x\na.png\n"
    )
    found = list(manifests.read(tmp_path / "list.csv"))
    assert [isinstance(row, Row) for row in found] == [True, False, False, False, False, True]
    assert found[0].label is Category.CLEAN
    assert found[5].label is None
    for row, word in zip(found[1:5], ("b.png", "'E'", "none.png", "no photo"), strict=True):
        assert word in str(row)
        assert "line" in str(row)


@pytest.mark.parametrize("text", ["", "path,label\n", "photo;label;truth;group\n"])
def test_a_manifest_without_its_columns_says_which(tmp_path, text):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(BadManifest, match="lacks the column"):
        list(manifests.read(tmp_path / "list.csv"))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Evaluate a clean, a noisy, a soft, a small and a broken photo; give output and folder."""
    folder: Path = tmp_path_factory.mktemp("evaluated")
    save(TRUTH, folder / "truth.png")
    save(noisy(18), folder / "noisy.png")
    save(degrade.softened(TRUTH, 2.5), folder / "soft.png")
    save(TRUTH[:399, :398], folder / "odd.png")
    exif = Image.Exif()
    exif[271], exif[272] = "ACME", "ACME One"
    small = Image.fromarray(np.rint(TRUTH[::2, ::2] * 255).astype(np.uint8))
    small.save(folder / "small.jpg", quality=95, exif=exif)
    (folder / "broken.png").write_bytes(b"no photo")
    (folder / "list.csv").write_text(
        "path,label,truth,group,camera\n"
        "truth.png,D,truth.png,good,\nnoisy.png,A,truth.png,spoilt,Old Box\n"
        "soft.png,A,truth.png,spoilt,\nsmall.jpg,?,truth.png,small,\nodd.png,D,truth.png,odd,\n"
        "broken.png,D,,good,\nmissing.png,D,,good,\n"
    )
    ran = subprocess.run(
        [Path(sys.executable).parent / "photomend", "evaluate", folder / "list.csv", "--json",
         "--sheet", folder / "report", "--rows", folder / "new/rows.csv", "--baseline", "nlm"],
        env={"PATH": "", "PHOTOMEND_CONFIG": "/dev/null", "HOME": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran, folder


@pytest.mark.slow
def test_an_evaluation_tells_what_scripts_rely_on(evaluated):
    ran, _ = evaluated
    assert ran.returncode == 1  # rows were skipped
    found = json.loads(ran.stdout)
    assert set(found["groups"]) == {"good", "spoilt", "small"}
    assert set(found["all"]) == {
        "photos", "forced_accuracy", "confusion", "auc", "ece", "coverage", "acted_on",
        "all_found", "clean_touch_rate", "restored", "visible_rate", "unseen_rate", "shifted_rate",
        "pairs", "psnr_in", "psnr_out", "ssim_in", "ssim_out", "fsim_in", "fsim_out", "gain",
        "gain_acted", "worst_gain_acted", "poor_pairs", "poor_acted_on", "baseline_pairs",
        "baseline_psnr_out", "baseline_gain", "baseline_harm_rate", "gain_beside_baseline",
        "harm_rate", "harm_rate_95", "other_pairs", "other_harm_rate", "other_harm_rate_95", "seconds_per_megapixel", "peak_mb",
    }  # fmt: skip
    assert found["all"]["photos"] == found["all"]["pairs"] == 4
    spoilt = found["groups"]["spoilt"]
    assert spoilt["forced_accuracy"] == 1
    assert spoilt["acted_on"] == {"super-resolution": 1}
    assert spoilt["psnr_out"] > spoilt["psnr_in"] + 1
    assert spoilt["harm_rate"] == 0
    assert spoilt["gain"] == pytest.approx(spoilt["psnr_out"] - spoilt["psnr_in"])
    assert (spoilt["restored"], spoilt["visible_rate"], spoilt["poor_acted_on"]) == (2, 1, 1)
    good = found["groups"]["good"]
    assert (good["clean_touch_rate"], good["psnr_out"]) == (0, 100)
    assert found["groups"]["small"]["forced_accuracy"] is None
    assert set(found["cameras"]) == {"ACME One", "Old Box"}
    assert found["cameras"]["Old Box"]["photos"] == 1


@pytest.mark.slow
def test_a_classical_denoiser_restores_the_same_pairs(evaluated):
    found = json.loads(evaluated[0].stdout)
    assert found["baseline"] == "nlm"
    assert found["all"]["baseline_pairs"] == 3  # a photo that is its own truth is no pair
    assert found["groups"]["good"]["baseline_gain"] is None
    noisy = found["cameras"]["Old Box"]
    assert 0 < noisy["baseline_gain"] < noisy["gain"]
    assert noisy["gain_beside_baseline"] == noisy["gain"]
    assert noisy["baseline_psnr_out"] == pytest.approx(noisy["psnr_in"] + noisy["baseline_gain"])


@pytest.mark.slow
def test_each_photo_has_a_row_with_what_was_found_and_measured(evaluated):
    with (evaluated[1] / "new/rows.csv").open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert set(rows) == {"truth.png", "noisy.png", "soft.png", "small.jpg"}
    noisy = rows["noisy.png"]
    assert (noisy["group"], noisy["camera"]) == ("spoilt", "Old Box")
    assert (noisy["category"], noisy["decision"]) == ("super-resolution", "restored")
    gain = float(noisy["psnr_after"]) - float(noisy["psnr_before"])
    assert float(noisy["gain"]) == pytest.approx(gain, abs=1e-3)
    assert float(noisy["baseline_gain"]) > 0
    assert float(noisy["noise"]) > 0.9
    assert float(noisy["visible_change"]) > 1
    assert 0 < float(noisy["guard_kept_share"]) <= 1
    assert 0 < float(noisy["guard_mean_shift"]) < 2
    assert (rows["truth.png"]["visible_change"], rows["truth.png"]["gain"]) == ("", "0.0")


def test_rows_that_cannot_be_used_are_told_and_no_more(evaluated):
    ran, _ = evaluated
    bad = json.loads(ran.stdout)["bad_rows"]
    assert len(bad) == 3
    for name in ("odd.png", "broken.png", "missing.png"):
        assert sum(name in reason for reason in bad) == 1
        assert name in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_best_the_worst_and_the_curve_are_drawn(evaluated):
    _, folder = evaluated
    assert {path.name for path in (folder / "report").iterdir()} == {
        "best.jpg", "worst.jpg", "coverage-risk.png",
        "group-good.jpg", "group-spoilt.jpg", "group-small.jpg", "blind-1.png", "blind-key.csv",
    }  # fmt: skip
    with Image.open(folder / "report/best.jpg") as sheet:
        assert sheet.width > 4 * 320


def test_a_photo_with_a_broken_exif_is_evaluated_and_its_camera_read_as_far_as_it_goes(tmp_path):
    exif = Image.Exif()
    exif[271], exif[272] = "ACME Cameras", "One of them"
    block = exif.tobytes()
    for length, name in ((len(block), "ACME Cameras One of them"), (len(block) - 12, "ACME Cameras"),
                         (40, ""), (16, ""), (12, ""), (9, "")):  # fmt: skip
        picture = Image.fromarray(np.rint(TRUTH[:40, :40] * 255).astype(np.uint8))
        picture.save(tmp_path / "photo.jpg", exif=block[:length])
        photo = photos.read(tmp_path / "photo.jpg", Limits.of(settings()))
        assert camera(photo) == name


def evaluated_as(decision, failed=None, change=None, before=None, after=None, **facts):
    """Return what became of a noisy photo: no real result is refused, or unseen, on demand."""
    row = Row(1, Path("a.png"), Category.SUPER_RESOLUTION, Path("b.png"), "noise", **facts)
    scores = dict.fromkeys(Category, 0.25)
    figures = {} if change is None else {"visible_change": change}
    reason = UNSEEN if decision is Decision.CLEAN else None
    old, new = (None if psnr is None else Likeness(psnr, 0.9, 0.9) for psnr in (before, after))
    return Evaluated(
        row, Verdict(scores, dict.fromkeys(Degradation, 0.5), True), decision, reason, old, new,
        1.0, 1.0, row.camera, figures, failed,
    )  # fmt: skip


def test_what_is_refused_or_seen_by_nobody_is_counted():
    found = [
        evaluated_as(Decision.RESTORED, change=0.5),
        evaluated_as(Decision.RESTORED, change=2.0),
        evaluated_as(Decision.RESTORED),  # enlarged
        evaluated_as(Decision.CLEAN, change=0.5),
        evaluated_as(Decision.KEPT_ORIGINAL, failed="mean_shift"),
        evaluated_as(Decision.KEPT_ORIGINAL, failed="mean_shift"),
        evaluated_as(Decision.KEPT_ORIGINAL, failed="texture_lost"),
        evaluated_as(Decision.UNSURE),
    ]
    figures = summary.summarise(found)["all"]
    assert figures["visible_rate"] == pytest.approx(2 / 3)
    assert figures["unseen_rate"] == 1 / 8
    assert figures["shifted_rate"] == {"mean_shift": 2 / 7, "texture_lost": 1 / 7}


def test_gains_are_those_of_all_pairs_and_of_those_acted_on():
    found = [
        evaluated_as(Decision.RESTORED, before=30, after=33, camera="one"),
        evaluated_as(Decision.RESTORED, before=39, after=38, camera="one"),
        evaluated_as(Decision.UNSURE, before=36, after=36, camera="two"),
        evaluated_as(Decision.UNSURE),
    ]
    figures = summary.summarise(found)
    every = figures["all"]
    assert every["gain"] == pytest.approx(2 / 3)
    assert (every["gain_acted"], every["worst_gain_acted"]) == (1, -1)
    assert (every["poor_pairs"], every["poor_acted_on"]) == (2, 0.5)
    assert figures["cameras"]["two"]["gain"] == 0
    assert set(figures["cameras"]) == {"one", "two"}


def test_harm_of_pairs_is_also_counted_without_photos_that_are_their_own_truth():
    harmed = evaluated_as(Decision.RESTORED, before=100, after=40)
    touched = replace(harmed, row=replace(harmed.row, truth=harmed.row.path))
    figures = summary.summarise([evaluated_as(Decision.RESTORED, before=30, after=33), touched])
    found = figures["all"]
    assert (found["pairs"], found["harm_rate"]) == (2, 0.5)
    assert (found["other_pairs"], found["other_harm_rate"]) == (1, 0)


def test_bm3d_is_asked_for_by_a_sentence_if_it_is_not_installed(tmp_path):
    if find_spec("bm3d") is not None:
        pytest.skip("bm3d is installed")
    (tmp_path / "list.csv").write_text(HEAD)
    ran = subprocess.run(
        [Path(sys.executable).parent / "photomend", "evaluate", tmp_path / "list.csv",
         "--baseline", "bm3d"],
        env={"PATH": "", "PHOTOMEND_CONFIG": "/dev/null", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "needs the package bm3d" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_rows_that_cannot_be_written_are_told_before_a_photo_is_mended(tmp_path):
    save(TRUTH[:64, :64], tmp_path / "a.png")
    (tmp_path / "list.csv").write_text(HEAD + "a.png,D,,x\n")
    ran = subprocess.run(
        [Path(sys.executable).parent / "photomend", "evaluate", tmp_path / "list.csv", "--json",
         "--rows", tmp_path],
        env={"PATH": "", "PHOTOMEND_CONFIG": "/dev/null", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, "")
    assert str(tmp_path) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_strength_of_white_noise_is_estimated():
    flat = degrade.softened(TRUTH, 3)
    for sigma in (5, 12):
        image = degrade.noisy(flat, sigma, np.random.default_rng(1))
        assert baselines.noise_sigma(image) * 255 == pytest.approx(sigma, rel=0.1)


def test_sheets_are_drawn_from_what_was_kept_without_the_photos(tmp_path):
    mended = np.clip(TRUTH + np.float32(0.1), 0, 1)
    kept = [
        (Views(TRUTH, mended, TRUTH, changed=True), ["before", "after", "truth", CHANGE]),
        (Views(TRUTH, mended, None, changed=True), ["before", "after", CHANGE]),
        (Views(TRUTH, TRUTH, TRUTH, changed=False), [SAME, "truth"]),
        (Views(TRUTH, TRUTH, None, changed=False), [SAME]),
    ]
    found = [evaluated_as(Decision.RESTORED, before=30, after=31)] * len(kept)
    for number, (views, headings) in enumerate(kept):
        evaluation_sheets.keep(views, tmp_path, number)
        strip = evaluation_sheets.strip(found[number], tmp_path, number)
        assert list(strip.headings) == headings
        assert {image.shape for image in strip.images} == {(320, 320, 3)}
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 4 * 3 * 320**2 * 3
    files = list(evaluation_sheets.draw(found, tmp_path, tmp_path / "sheets"))
    assert {file.name for file in files} == {
        "best.jpg", "worst.jpg", "group-noise.jpg", "coverage-risk.png", "blind-1.png",
        "blind-key.csv",
    }  # fmt: skip


def test_blind_sheets_hide_which_image_is_the_result_and_the_key_tells(tmp_path):
    mended = np.clip(TRUTH + np.float32(0.1), 0, 1)
    found = [evaluated_as(Decision.RESTORED, before=30, after=31)] * 20
    for number in range(20):
        changed = number != 7
        views = Views(TRUTH, mended if changed else TRUTH, None, changed=changed)
        evaluation_sheets.keep(views, tmp_path, number)
    list(evaluation_sheets.draw(found, tmp_path, tmp_path))
    key = list(csv.DictReader((tmp_path / "blind-key.csv").read_text().splitlines()))
    assert [row["photo"] for row in key] == [str(number) for number in range(1, 20)]
    assert 4 <= [row["result"] for row in key].count("second") <= 15
    with Image.open(tmp_path / "blind-4.png") as sheet:  # photo 19
        shown = np.asarray(sheet)[:, :, :3]
    cells = [shown[46 + 8 : 46 + 8 + 320, left : left + 320].mean() for left in (8, 8 + 328)]
    brighter = ("first", "second")[int(np.argmax(cells))]
    assert brighter == key[18]["result"]
