"""What the detectors, the deblurring network and the quantised classifier are given."""

import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from skimage import data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from tasks.paper.detectors import reflections, yolo
from tasks.paper.nets.nafnet import NAFNet
from tasks.paper.nets.yoso import Sizes, YosoNet, input_size
from tasks.paper.restorers import nafnet

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
PHOTO = data.astronaut()[:200, :260].astype(np.float32) / 255


class Yolo:
    """A YOLO of ultralytics that records what it is given and finds one box."""

    names = {0: "person", 1: "reflection", 2: "glare", 3: "dog"}  # noqa: RUF012

    def __init__(self, file):
        self.file, self.given = file, []

    def predict(self, image, **settings):
        self.given.append((image, settings))
        boxes = SimpleNamespace(xyxy=torch.tensor([[20.2, 10.0, 59.5, 50.0]]))
        return [SimpleNamespace(boxes=boxes, masks=None, orig_shape=image.shape[:2])]


@pytest.fixture
def own_yolo(tmp_path, monkeypatch):
    """The file of a recording YOLO, and all that were made from it."""
    made = []
    monkeypatch.setattr(
        yolo,
        "library",
        lambda: SimpleNamespace(YOLO=lambda file: made.append(Yolo(file)) or made[-1]),
    )
    (tmp_path / "own.pt").touch()
    return tmp_path / "own.pt", made


@pytest.mark.parametrize(
    ("classes", "numbers"), [(("reflection",), [1]), (("dog", "glare", "none"), [2, 3])]
)
def test_a_yolo_gets_blue_first_and_the_classes_of_reflections_only(own_yolo, classes, numbers):
    file, made = own_yolo
    find = yolo.load(file, classes, CUDA)
    [region] = find(PHOTO)
    assert region.place == (slice(10, 50), slice(20, 60))
    assert region.pixels is None
    [net] = made
    [(image, given)] = net.given
    assert net.file == str(file)
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.rint(PHOTO[..., ::-1] * 255))
    assert (given["classes"], given["device"]) == (numbers, CUDA)
    assert given["conf"] == yolo.MIN_SCORE
    assert given["retina_masks"] is True


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_real_yolo_does_not_find_other_classes(ultralytics, tiny_yolo, tmp_path):
    torch.manual_seed(0)
    net = ultralytics.YOLO(str(tiny_yolo))
    net.model.names = {n: f"class {n}" for n in range(80)}
    for branch in net.model.model[-1].cv3:
        branch[-1].bias.data[7] = 3
    net.save(str(tmp_path / "own.pt"))
    found = {
        name: yolo.load(tmp_path / "own.pt", (name,), CPU)(PHOTO) for name in ("class 7", "class 8")
    }
    assert found["class 7"]
    assert not found["class 8"]


def test_a_yoso_gets_red_first_at_the_size_of_its_authors():
    net, given = YosoNet(Sizes(8, 4, 16, 32, 1, 1)).eval(), []
    net.register_forward_pre_hook(lambda _net, values: given.append(values[0]))
    reflections.segment(net, CPU, PHOTO)
    [planes] = given
    size = input_size(*PHOTO.shape[:2])
    assert planes.shape == (1, 3, *size)
    expected = cv2.resize(PHOTO, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.allclose(planes[0].numpy(), expected.transpose(2, 0, 1), atol=1e-6)


def test_deblurring_uses_local_means_unless_asked_otherwise(tmp_path):
    torch.manual_seed(0)
    net = NAFNet(8, (1, 1), 1, (1, 1))
    for weights in net.parameters():
        torch.nn.init.normal_(weights, 0, 0.3)
    torch.save({"params": net.state_dict()}, tmp_path / "net.pth")
    planes = torch.rand(1, 3, 400, 400)
    by_default, whole = (
        nafnet.load(tmp_path / "net.pth", CPU, **wish).net for wish in ({}, {"local": False})
    )
    with torch.inference_mode():
        made = by_default(planes)
        assert torch.equal(made, NAFNet.of(net.state_dict(), 256)(planes))
        assert not torch.allclose(made, whole(planes), atol=1e-3)


@pytest.fixture
def given_to_transformers(monkeypatch):
    """The arguments with which a net is loaded; it is not loaded."""
    transformers = pytest.importorskip("transformers", reason="the classifier needs it")
    given = {}

    def record(folder, **arguments):
        given.update(arguments)
        raise OSError("not loaded")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", record)
    return given


@pytest.fixture
def weigh(qwen, tmp_path, monkeypatch):
    """Return a folder with a net of some GiB on a GPU with so many GiB free."""
    from tasks.paper.classifier import qwen as classifier

    def make(weights, free, net=qwen):
        folder = shutil.copytree(net, tmp_path / "net")
        os.truncate(folder / "model.safetensors", weights * GIB)  # sparse
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (free * GIB, 24 * GIB))
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(classifier.importlib.util, "find_spec", lambda name: name)
        return folder

    return make


@pytest.mark.parametrize("name", ["qwen", "qwen3"])
def test_four_bits_are_never_used_for_the_eye_and_the_letters(
    request, given_to_transformers, weigh, name
):
    from transformers.quantizers.quantizers_utils import should_convert_module

    from tasks.paper.classifier.answers import ClassifierUnavailable
    from tasks.paper.classifier.qwen import load

    with pytest.raises(ClassifierUnavailable, match="not loaded"):
        load(weigh(16, 12, request.getfixturevalue(name)), CUDA)
    config = given_to_transformers["quantization_config"]
    assert (config.load_in_4bit, config.bnb_4bit_quant_type) == (True, "nf4")
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert given_to_transformers["device_map"] == {"": CUDA}
    net = _layers(request.getfixturevalue(name))
    quantised = {name for name in net if should_convert_module(name, config.llm_int8_skip_modules)}
    kept = net - quantised
    assert {name for name in net if ".visual." in name or name == "lm_head"} == kept
    assert len(quantised) > 4 and len(kept) > 4


def _layers(folder):
    """Return the names of the linear layers of a net."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        net = transformers.AutoModelForImageTextToText.from_config(config)
    return {name for name, each in net.named_modules() if isinstance(each, torch.nn.Linear)}


@pytest.mark.parametrize(("weights", "quantised"), [(8, False), (16, True)])
def test_a_net_that_fits_is_not_quantised(given_to_transformers, weigh, weights, quantised):
    from tasks.paper.classifier.answers import ClassifierUnavailable
    from tasks.paper.classifier.qwen import load

    with pytest.raises(ClassifierUnavailable, match="not loaded"):
        load(weigh(weights, 12), CUDA)
    assert ("quantization_config" in given_to_transformers) == quantised


def test_a_net_that_is_too_large_is_shared_with_the_main_memory(given_to_transformers, weigh):
    from tasks.paper.classifier.answers import ClassifierUnavailable
    from tasks.paper.classifier.qwen import RESERVED_BYTES, load

    with pytest.raises(ClassifierUnavailable, match="not loaded"):
        load(weigh(60, 12), CUDA)
    assert given_to_transformers["device_map"] == "auto"
    assert given_to_transformers["max_memory"][0] == 12 * GIB - RESERVED_BYTES
    assert "quantization_config" not in given_to_transformers
