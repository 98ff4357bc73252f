"""Figures that are right, manifests that are checked, and an evaluation of real photos."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.metrics import structural_similarity

from storage.enums import Category
from tasks.evaluation import manifest as manifests
from tasks.evaluation import metrics
from tasks.evaluation.manifest import BadManifest, Row
from tasks.imaging import degrade
from tasks.imaging.light import luma

TRUTH = skimage.data.astronaut()[:400, :400].astype(np.float32) / 255
HEAD = "path,label,truth,group\n"


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
    save(TRUTH[::2, ::2], folder / "small.png")
    (folder / "broken.png").write_bytes(b"no photo")
    (folder / "list.csv").write_text(
        HEAD + "truth.png,D,truth.png,good\nnoisy.png,A,truth.png,spoilt\n"
        "soft.png,A,truth.png,spoilt\nsmall.png,?,truth.png,small\nodd.png,D,truth.png,odd\n"
        "broken.png,D,,good\nmissing.png,D,,good\n"
    )
    ran = subprocess.run(
        [Path(sys.executable).parent / "photomend", "evaluate", folder / "list.csv", "--json",
         "--sheet", folder / "report"],
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
        "all_found", "clean_touch_rate", "pairs", "psnr_in", "psnr_out", "ssim_in", "ssim_out", "fsim_in",
        "fsim_out", "harm_rate", "harm_rate_95", "seconds_per_megapixel", "peak_mb",
    }  # fmt: skip
    assert found["all"]["photos"] == found["all"]["pairs"] == 4
    spoilt = found["groups"]["spoilt"]
    assert spoilt["forced_accuracy"] == 1
    assert spoilt["acted_on"] == {"super-resolution": 1}
    assert spoilt["psnr_out"] > spoilt["psnr_in"] + 1
    assert spoilt["harm_rate"] == 0
    good = found["groups"]["good"]
    assert (good["clean_touch_rate"], good["psnr_out"]) == (0, 100)
    assert found["groups"]["small"]["forced_accuracy"] is None


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
        "group-good.jpg", "group-spoilt.jpg", "group-small.jpg",
    }  # fmt: skip
    with Image.open(folder / "report/best.jpg") as sheet:
        assert sheet.width > 4 * 320
