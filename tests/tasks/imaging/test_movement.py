"""The kernel of a shaken photo is found from crops, its blur is removed, and a wrong kernel fails."""

import cv2
import numpy as np
import pytest
import skimage.data

from tasks.evaluation.metrics import psnr
from tasks.imaging import degrade, spectra
from tasks.imaging.kernels import streak
from tasks.imaging.movement_checks import checks
from tasks.imaging.shared_kernel import SIDE, shared_kernel, trial_crops
from tasks.imaging.sparse_deconvolution import remove_blur
from tasks.lite.motion import MAX_SPARSITY, MAX_STRAIGHT_SPARSITY, accepted, removal

SIGMA = 1 / 255


def photo():
    return skimage.data.coffee().astype(np.float32) / 255


def hook():
    """Return a curved movement, three quarters of a circle that grows."""
    kernel = np.zeros((SIDE, SIDE), np.float32)
    for turn in np.linspace(0, 1.5 * np.pi, 400):
        reach = 4 + turn
        row, column = (SIDE // 2 + reach * wave(turn) for wave in (np.sin, np.cos))
        kernel[round(row), round(column)] += 1
    soft = cv2.GaussianBlur(kernel, (0, 0), 0.6)
    return soft / soft.sum()


def blurred(image, kernel):
    moved = cv2.filter2D(image, -1, cv2.flip(kernel, -1), borderType=cv2.BORDER_REFLECT)
    return np.rint(np.clip(moved, 0, 1) * 255).astype(np.float32) / 255


def aligned_psnr(image, truth):
    """Return the PSNR at the best shift: a kernel does not say where the photo was before."""
    inner = (slice(40, -40), slice(40, -40))
    shifts = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
    return max(psnr(np.roll(image, shift, (0, 1))[inner], truth[inner]) for shift in shifts)


@pytest.mark.parametrize("shape", [(64, 64), (63, 65), (64, 65), (65, 64)])
def test_power_is_the_squared_magnitude_at_both_places(shape):
    plane = np.random.default_rng(0).random(shape, np.float32)
    again = spectra.inverse(spectra.forward(plane) * spectra.power(spectra.forward(plane)))
    spectrum = np.fft.fft2(plane)
    expected = np.fft.ifft2(spectrum * np.abs(spectrum) ** 2).real
    assert again == pytest.approx(expected, rel=1e-3)


def test_the_kernel_of_a_curved_shake_is_found_and_removed():
    truth = photo()
    moved = blurred(truth, hook())
    kernel, agreement = shared_kernel(cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY))
    restored = remove_blur(moved, kernel, SIGMA)
    gain = aligned_psnr(restored, truth) - aligned_psnr(moved, truth)
    print(f"agreement {agreement:.3f}, gain {gain:+.2f} dB")
    assert agreement > 0.93
    assert gain > 3


def test_crops_overlap_as_little_as_they_can():
    plane = np.random.default_rng(0).random((900, 1300), np.float32)
    views = trial_crops(plane)
    covered = np.zeros(plane.shape, int)
    for view in views:
        covered[view] += 1
    assert len(views) == 3
    assert (covered > 1).sum() < 0.6 * 400**2
    assert len(trial_crops(plane[:410, :650])) == 2
    assert len(trial_crops(plane[:448, :448])) == 1
    assert len(trial_crops(plane[:64, :64])) == 1


def test_crops_of_one_scene_are_no_witnesses_of_a_kernel():
    moved = cv2.cvtColor(blurred(photo(), hook()), cv2.COLOR_RGB2GRAY)
    assert shared_kernel(moved[:, :600]) is not None
    assert shared_kernel(moved[:, :448]) is None


def test_only_the_right_kernel_is_accepted():
    truth = photo()
    moved, right = degrade.moved(truth, 17, 30), streak(17, 30)
    measured = {
        angle: checks(moved, remove_blur(moved, streak(17, angle), SIGMA), streak(17, angle), in_light=False)
        for angle in (30, 120)
    }  # fmt: skip
    print(measured, right.shape)
    assert accepted(measured[30], MAX_SPARSITY)
    assert not accepted(measured[120], MAX_SPARSITY)


def test_a_striped_result_is_refused():
    truth = photo()
    moved, kernel = degrade.moved(truth, 17, 0), streak(17, 0)
    rows = np.sin(np.arange(truth.shape[1]) * 2 * np.pi / 17, dtype=np.float32)  # the kernel's zero
    striped = np.clip(truth + 0.08 * rows[None, :, None], 0, 1)
    assert accepted(checks(moved, truth, kernel, in_light=True), MAX_STRAIGHT_SPARSITY)
    assert not accepted(checks(moved, striped, kernel, in_light=True), MAX_STRAIGHT_SPARSITY)


def test_clipped_lights_are_left_out():
    scene = 0.3 * photo()
    scene[200:203, 300:303] = 6.0  # a light, far brighter than the photo can hold
    moved = blurred(scene, hook())
    restored = remove_blur(moved, hook(), SIGMA)
    beside = (slice(170, 235), slice(270, 335))
    away = np.ones(moved.shape[:2], bool)
    away[185:220, 285:320] = False
    error = np.abs(restored - np.clip(scene, 0, 1)).mean(2)
    assert error[beside][away[beside]].mean() < 0.03


@pytest.mark.parametrize("clipped", [(slice(None), slice(200)), (slice(200), slice(None))])
def test_a_photo_of_one_grey_beside_clipped_white_is_left_alone(clipped):
    image = np.full((400, 400, 3), 0.5, np.float32)
    image[clipped] = 1
    for kernel in (streak(17, 0), np.ones((1, 1), np.float32)):
        assert checks(image, image, kernel, in_light=True) is None
    assert removal(image) is None
