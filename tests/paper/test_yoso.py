"""Each part of YOSO matches its authors' code, and its proposals become regions."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
safetensors = pytest.importorskip("safetensors.torch", reason="the golden tensors need safetensors")

from tasks.paper.nets import pyramid, yoso
from tasks.paper.nets.segments import region_of
from tasks.paper.nets.yoso import YosoNet

PARITY = Path(__file__).parents[2] / "../shared/parity"
MASKS, LOGITS = 2e-4, 5e-4
"""The golden tensors ask for more than 6e-5 and 1.4e-4: logits are divided by 0.05."""


@pytest.fixture(scope="module")
def golden():
    if not (PARITY / "yoso_tiny.safetensors").is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    torch.set_num_threads(1)
    return safetensors.load_file(PARITY / "yoso_tiny.safetensors")


@pytest.fixture(scope="module")
def net(golden, device):
    prefix = "model."
    return YosoNet.of(
        {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
    ).to(device.torch)


def worst(one, other):
    assert one.shape == other.shape
    return float((one - other).abs().max())


def watched(net, run):
    """Run a function, and return its outputs and those of all modules of the net."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _, __, made, name=name: seen.update({name: made}))
        for name, module in net.named_modules()
    ]
    with torch.inference_mode():
        made = run()
    for hook in hooks:
        hook.remove()
    return made, seen


def near(device, made, expected, on_cpu):
    """Return whether both are near; the division by 0.05 multiplies what TF32 rounds."""
    return device.near(made, expected, on_cpu, tf32=0.1)


def assert_refined_as_by_the_authors(case, seen, golden, device):
    inner = {k.split(".")[-1]: v for k, v in golden.items() if k.startswith(f"{case}.stage1.inner")}
    assert len(inner) == 6
    for name, expected in inner.items():
        made = seen[f"yoso_head.mask_heads.0.{name}"]
        assert near(device, made, expected.reshape(made.shape), MASKS), name
    for stage in (1, 2):
        kernels = seen[f"yoso_head.mask_heads.{stage - 1}"][1]
        assert near(device, kernels, golden[f"{case}.stage{stage}.kernels"][..., 0, 0], MASKS)
    logits, _, masks = seen["yoso_head.mask_heads.0"]
    assert near(device, logits, golden[f"{case}.stage1.logits"], LOGITS)
    assert near(device, masks, golden[f"{case}.stage1.masks"], MASKS)


def test_an_image_becomes_the_authors_proposals(device, golden, net):
    image = golden["in.image"][None].to(device.torch) / 255
    (logits, masks), seen = watched(net, lambda: net(image))
    framed = yoso.padded(image)
    assert near(device, framed, golden["image.normalised_padded"], 1e-5)
    for level in ("res2", "res3", "res4", "res5"):
        assert near(device, seen[f"backbone.{level}"], golden[f"image.{level}"], MASKS)
    assert near(device, seen["yoso_neck.deconv"], golden["image.neck_agg"], MASKS)
    assert near(device, seen["yoso_neck"], golden["image.neck"], MASKS)
    assert near(device, seen["yoso_head.kernels"], golden["image.stage0.masks"], MASKS)
    assert_refined_as_by_the_authors("image", seen, golden, device)
    assert near(device, logits, golden["image.logits"], LOGITS)
    assert near(device, masks, golden["image.masks"], MASKS)


def test_a_batch_of_features_becomes_the_authors_proposals(device, golden, net):
    levels = [golden[f"in.feats.res{level}"].to(device.torch) for level in (2, 3, 4, 5)]
    (logits, masks), seen = watched(net, lambda: net.yoso_head(net.yoso_neck(levels)))
    assert near(device, seen["yoso_neck.deconv"], golden["feats.neck_agg"], MASKS)
    assert near(device, seen["yoso_neck"], golden["feats.neck"], MASKS)
    assert_refined_as_by_the_authors("feats", seen, golden, device)
    assert near(device, logits, golden["feats.logits"], LOGITS)
    assert near(device, masks, golden["feats.masks"], MASKS)


def test_masks_come_to_the_size_that_is_asked_for_as_the_authors_do(golden):
    inside = yoso.unpadded(golden["image.masks"], golden["in.image"].shape[-2:])
    masks = pyramid.resized(inside, golden["in.out_size"].tolist())[0]
    assert worst(masks, golden["image.post.masks"]) < MASKS


def test_the_region_of_a_class_is_the_union_of_what_is_believed_to_be_it():
    masks = torch.full((4, 6, 8), -5.0)
    for proposal in range(4):
        masks[proposal, :, 2 * proposal : 2 * proposal + 2] = 5
    logits = torch.tensor([[9.0, 0], [1.0, 0], [0, 9.0], [9.0, 0]])  # yes, unsure, none, yes
    found = region_of(logits, masks, 0, 0.9)
    assert found.shape == (6, 8)
    assert found.dtype == torch.bool
    assert found[0].tolist() == [True, True, *4 * [False], True, True]
    assert not region_of(logits[1:3], masks[1:3], 0, 0.9).any()


@torch.inference_mode()
def test_a_net_of_one_class_is_built_and_sees_any_size():
    net = YosoNet(yoso.Sizes(8, 4, 16, 32, 12, 1)).eval()
    same = YosoNet.of(net.state_dict())
    image = torch.rand(1, 3, 70, 45, generator=torch.Generator().manual_seed(1))
    logits, masks = same(image)
    assert logits.shape == (1, 12, 2)
    assert masks.shape == (1, 12, 24, 16)
    assert yoso.unpadded(masks, image.shape[-2:]).shape == (1, 12, 70, 45)
    assert torch.equal(logits, net(image).logits)


def test_the_official_checkpoint_fits():
    if not (PARITY / "yoso_res50_coco_keys.json").is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    listed = json.loads((PARITY / "yoso_res50_coco_keys.json").read_text())
    with torch.device("meta"):
        made = {k: list(v.shape) for k, v in YosoNet().state_dict().items()}
    assert made == listed


def test_weights_of_another_net_are_refused():
    with pytest.raises(RuntimeError):
        YosoNet.of({"intro.weight": torch.zeros(32, 3, 3, 3)})


@pytest.mark.parametrize(
    "size, seen",
    [((480, 640), (800, 1067)), ((3000, 4000), (800, 1067)), ((400, 4000), (133, 1333))],
)
def test_images_are_seen_in_the_official_size(size, seen):
    assert yoso.input_size(*size) == seen


@torch.inference_mode()
def test_a_deformed_convolution_that_moves_nothing_is_a_convolution():
    chance = torch.Generator().manual_seed(2)
    planes, weight = (
        torch.randn(shape, generator=chance) for shape in ((2, 4, 7, 9), (5, 4, 3, 3))
    )
    moves, shares = torch.zeros(2, 18, 7, 9), torch.ones(2, 9, 7, 9)
    made = pyramid.deformable_conv(planes, moves, shares, weight)
    assert worst(made, torch.nn.functional.conv2d(planes, weight, padding=1)) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("size", [(5, 9), (1, 9), (7, 1)])
def test_outside_of_the_features_there_is_nothing(size):
    chance = torch.Generator().manual_seed(3)
    planes, moves = (torch.randn(1, number, *size, generator=chance) for number in (4, 18))
    shares = torch.rand(1, 9, *size, generator=chance)
    weight = torch.randn(5, 4, 3, 3, generator=chance)
    around = [torch.nn.functional.pad(t, 4 * (6,)) for t in (planes, moves, shares)]
    made = pyramid.deformable_conv(planes, moves, shares, weight)
    assert worst(made, pyramid.deformable_conv(*around, weight)[..., 6:-6, 6:-6]) < 1e-4
