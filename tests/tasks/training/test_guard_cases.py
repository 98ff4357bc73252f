"""The results that the guard is calibrated with: good ones, and bad ones for each fault."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

pytest.importorskip("torch", reason="fitting needs torch, which `make test` installs")

from storage.enums import Degradation
from tasks.evaluation.metrics import psnr
from tasks.training import calibrate_guard, guard_cases
from tasks.training.guard_cases import SIDE, Degraded


def photos(kind, side=192):
    """Degrade two photos in one way."""
    rng = np.random.default_rng(0)
    wholes = (skimage.data.astronaut(), skimage.data.coffee())
    found = [
        each
        for whole in wholes
        for each in guard_cases.degraded(whole[:side, :side].astype(np.float32) / 255, rng)
    ]
    return [each for each in found if each.kind is kind]


@pytest.mark.slow
def test_each_photo_gets_a_good_result_and_one_for_each_fault():
    two: list[Degraded] = photos(Degradation.NOISE)
    cases = list(guard_cases.cases(two, np.random.default_rng(0)))
    good = [case for case in cases if not case.made_badly]
    assert [case.name for case in good] == ["noise", "noise"]
    bad = {case.name for case in cases if case.made_badly}
    assert {"noise: another's change", "noise: stripes", "noise: median"} <= bad
    assert len(cases) == 2 * (1 + len(bad))
    assert all(case.after.shape == case.before.shape for case in cases)
    assert all(psnr(case.after, case.truth) > psnr(case.before, case.truth) for case in good)
    assert {calibrate_guard._judged(case)[0] for case in good} <= {"good, kept", "good, refused"}


def test_one_photo_is_too_few():
    with pytest.raises(SystemExit, match="two photos"):
        list(guard_cases.cases(photos(Degradation.NOISE)[:1], np.random.default_rng(0)))


def test_a_photo_that_is_too_small_is_named(tmp_path):
    for height, width in ((SIDE, SIDE + 40), (SIDE - 1, 900)):
        Image.new("RGB", (width, height)).save(tmp_path / f"{height}.png")
    assert guard_cases.read(tmp_path / f"{SIDE}.png").shape == (SIDE, SIDE, 3)
    with pytest.raises(SystemExit, match=r"511\.png is smaller"):
        guard_cases.read(tmp_path / "511.png")
