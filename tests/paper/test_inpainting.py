"""Masked pixels are painted from their surroundings, and no other pixel changes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from tasks.imaging.masks import dilated
from tasks.paper.restorers import inpainting
from tasks.paper.restorers.inpainting import Inpaint

PHOTO = skimage.data.astronaut().astype(np.float32) / 255
CPU = torch.device("cpu")


@dataclass
class Filler:
    """Replaces LaMa: fills the hole with the mean of all other pixels, and records its inputs."""

    most: int = 10**9
    given: list = field(default_factory=list)

    def __call__(self, image, mask):
        assert image.shape[:2] == (1, 3)
        assert mask.shape == (1, 1, *image.shape[2:])
        assert image.dtype == mask.dtype == torch.float32
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        if max(image.shape[2:]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.given.append((image, mask))
        known = 1 - mask
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
        return image * known + mean * mask


def inside(shape, *boxes):
    mask = np.zeros(shape, np.float32)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def test_a_spot_on_a_plain_wall_is_removed_and_no_other_bit_changes():
    wall = np.full((300, 400, 3), (0.4, 0.5, 0.6), np.float32)
    spoilt = wall.copy()
    spoilt[120:160, 200:260] = 1
    mask = dilated(inside((300, 400), (120, 200, 160, 260)))
    painted = Inpaint(Filler(), CPU)(spoilt, mask)
    assert np.abs(painted - wall).max() < 1e-5


def test_outside_of_the_mask_no_bit_changes():
    mask = np.zeros(PHOTO.shape[:2], np.float32)
    mask[50:90, 30:200], mask[300:310, 500:], mask[511, 0] = 0.5, 0.8, 1
    mask[200:210, 200:210] = 0.49  # not to be painted
    original = PHOTO.copy()
    painted = Inpaint(Filler(), CPU)(PHOTO, mask)
    assert painted.dtype == np.float32
    assert painted[mask < 0.5].tobytes() == PHOTO[mask < 0.5].tobytes()
    assert (painted[mask >= 0.5] != PHOTO[mask >= 0.5]).any(1).mean() > 0.9
    assert np.array_equal(PHOTO, original)


def test_without_a_mask_nothing_runs():
    net = Filler()
    assert np.array_equal(Inpaint(net, CPU)(PHOTO, np.zeros(PHOTO.shape[:2], np.float32)), PHOTO)
    assert np.array_equal(Inpaint(net, CPU)(PHOTO, np.ones(PHOTO.shape[:2], np.float32)), PHOTO)
    assert not net.given


def test_near_regions_are_painted_together_and_far_ones_on_crops_of_their_own():
    net = Filler()
    Inpaint(net, CPU)(
        PHOTO, inside((512, 512), (20, 20, 40, 40), (60, 60, 70, 70), (20, 300, 30, 320))
    )
    assert sorted(tuple(image.shape[2:]) for image, _ in net.given) == [(158, 276), (198, 198)]


def test_another_hole_in_the_crop_is_masked_too():
    net = Filler()
    Inpaint(net, CPU)(PHOTO, inside((512, 512), (20, 20, 40, 40), (20, 120, 40, 140)))
    assert [float(mask.sum()) for _, mask in net.given] == [800, 800]


def test_a_border_fades_in():
    wall = np.zeros((200, 200, 3), np.float32)
    wall[80:120, 80:120] = 1
    painted = Inpaint(Filler(), CPU)(wall, inside((200, 200), (80, 80, 120, 120)))[100, :, 0]
    assert painted[79] == 0
    assert np.all(np.diff(painted[80:84]) < 0)
    assert painted[84:116].max() < 1e-6


def test_a_large_region_is_painted_shrunken_and_comes_back_in_size():
    image = np.tile(PHOTO, (4, 4, 1))
    net = Filler()
    mask = inside(image.shape[:2], (100, 100, 1900, 1800))
    painted = Inpaint(net, CPU)(image, mask)
    assert max(net.given[0][0].shape) == inpainting.MAX_SIDE
    assert painted[mask < 0.5].tobytes() == image[mask < 0.5].tobytes()
    assert np.ptp(painted[200:1800, 200:1700], axis=(0, 1)).max() < 1e-3


def test_a_chain_of_regions_is_painted_one_by_one():
    image = np.tile(PHOTO, (1, 4, 1))
    boxes = [(100, left, 110, left + 10) for left in range(20, 2000, 60)]
    net = Filler()
    Inpaint(net, CPU)(image, inside(image.shape[:2], *boxes))
    assert len(net.given) == len(boxes)
    assert max(max(crop.shape) for crop, _ in net.given) <= 2 * inpainting.MARGIN + 10


def test_too_little_memory_shrinks_the_crop_and_then_is_an_error():
    mask = inside((512, 512), (100, 100, 400, 400))
    net = Filler(most=512)
    image = np.tile(PHOTO, (2, 2, 1))
    wide = np.tile(mask, (2, 2))
    assert Inpaint(net, CPU)(image, wide).shape == image.shape
    assert max(net.given[0][0].shape) == 512
    with pytest.raises(torch.OutOfMemoryError):
        Inpaint(Filler(most=200), CPU)(image, wide)


@pytest.mark.parametrize("shape", [(1, 2), (5, 300), (17, 19)])
def test_any_size_is_painted(shape):
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    mask = inside(shape, (0, 0, 1, 1))
    painted = Inpaint(Filler(), CPU)(image, mask)
    assert painted[mask < 0.5].tobytes() == image[mask < 0.5].tobytes()


def test_lama_itself_runs_through_spandrel_without_a_change_of_its_statistics():
    try:
        import spandrel
        from spandrel.architectures.LaMa import LaMa
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch
        pytest.skip(f"LaMa needs spandrel: {error}")
    torch.manual_seed(1)
    random = LaMa(in_nc=4).state_dict()
    net = spandrel.ModelLoader("cpu").load_from_state_dict(random)
    inpaint = inpainting.ready(net, CPU)
    image, mask = PHOTO[:75, :93], inside((75, 93), (20, 30, 40, 60))
    painted = inpaint(image, mask)
    assert painted[mask < 0.5].tobytes() == image[mask < 0.5].tobytes()
    assert 0 <= painted.min() <= painted.max() <= 1
    assert np.array_equal(inpaint(image, mask), painted)
    after = net.model.state_dict()
    assert all(torch.equal(random[name], after[name]) for name in random)
