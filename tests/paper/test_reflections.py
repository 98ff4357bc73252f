"""Strong reflections are found by the detectors that are set, and painted over within limits."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from storage.enums import Category, Degradation
from storage.errors import WeightsMissing, WeightsWrong
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks.chains.reflection import Reflection
from tasks.engines import needs
from tasks.imaging.masks import FEATHER
from tasks.paper.detectors import reflections, yolo
from tasks.paper.detectors.faces import Face
from tasks.paper.detectors.reflections import FindReflections, refined
from tasks.paper.detectors.yolo import Region
from tasks.paper.nets.yoso import Sizes, YosoNet
from tasks.paper.reflection import reflection
from tasks.receipt import Receipt
from tasks.verdict import Verdict

SHARED = Path(__file__).parents[2] / "../shared"
CPU = torch.device("cpu")
PHOTO = data.astronaut().astype(np.float32) / 255
SIZE = PHOTO.shape[:2]
VERDICT = Verdict(
    {each: float(each is Category.REFLECTION) for each in Category},
    dict.fromkeys(Degradation, 1.0), True,
)  # fmt: skip


def place(top, left, bottom, right):
    return slice(top, bottom), slice(left, right)


def hole(*places):
    made = np.zeros(SIZE, np.bool_)
    for each in places:
        made[each] = True
    return made


def painted(mask):
    return mask >= 0.5


BOX = place(100, 100, 200, 240)
BLOB = place(120, 130, 180, 200)


def test_in_a_box_the_pixels_of_the_segmenter_are_used():
    found = refined([Region(BOX, None)], hole(BLOB), SIZE)
    assert np.array_equal(found, hole(BLOB))
    own = np.ones((100, 140), np.bool_)
    assert np.array_equal(refined([Region(BOX, own)], hole(BLOB), SIZE), hole(BLOB))


def test_a_region_that_the_segmenter_does_not_find_keeps_its_pixels_but_not_its_box():
    own = np.zeros((100, 140), np.bool_)
    own[20:40, 20:60] = True
    expected = hole(place(120, 120, 140, 160))
    assert np.array_equal(refined([Region(BOX, own)], hole(), SIZE), expected)
    assert np.array_equal(refined([Region(BOX, own)], None, SIZE), expected)
    assert not refined([Region(BOX, None)], hole(), SIZE).any()
    assert np.array_equal(refined([Region(BOX, None)], None, SIZE), hole(BOX))


def test_beside_the_boxes_small_reflections_count_and_large_ones_and_specks_do_not():
    small, large, speck = place(20, 20, 60, 60), place(300, 0, 500, 500), place(5, 300, 7, 303)
    found = refined([Region(BOX, None)], hole(BLOB, small, large, speck), SIZE)
    assert np.array_equal(found, hole(BLOB, small))


def test_either_detector_works_alone_and_neither_finds_anything():
    wide = place(120, 100, 190, 300)  # too large to be small
    alone = FindReflections(None, lambda image: hole(wide))(PHOTO)
    assert painted(alone)[wide].all()
    alone = FindReflections(lambda image: [Region(BOX, None)], None)(PHOTO)
    assert painted(alone)[BOX].all()
    neither = FindReflections(None, None)(PHOTO)
    assert neither.shape == SIZE
    assert not neither.any()


def test_a_mask_is_wider_than_what_was_found_and_fades():
    mask = FindReflections(None, lambda image: hole(BLOB))(PHOTO)
    assert mask.dtype == np.float32
    assert painted(mask)[120 - 9 : 180 + 9, 165].all()
    assert not painted(mask)[:110].any()
    edge = mask[100:120, 165]
    assert np.all(np.diff(edge) >= 0)
    assert ((edge > 0) & (edge < 1)).sum() >= 2 * FEATHER
    assert not mask[:100].any()


def test_more_than_a_quarter_of_a_photo_is_never_painted():
    half = place(0, 0, 256, 512)
    assert not FindReflections(None, lambda image: hole(half))(PHOTO).any()
    fifth = place(0, 0, 100, 512)
    assert FindReflections(None, lambda image: hole(fifth))(PHOTO).any()


def test_no_face_and_no_text_is_painted():
    text = np.zeros(SIZE, np.float32)
    text[120:140, 130:200] = 0.01  # the faintest border of a mask
    face = Face(np.zeros((5, 2)), (160.0, 150.0, 180.0, 170.0), 0.9)
    protected = [
        lambda image: text,
        lambda image: reflections.face_mask(lambda image: [face], image),
    ]
    mask = FindReflections(None, lambda image: hole(BLOB), protected)(PHOTO)
    assert not mask[text > 0].any()
    assert not mask[144:176, 154:186].any()  # the face and what is around it
    assert painted(mask)[185, 130:200].all()


def test_a_face_at_the_border_of_a_photo_is_spared():
    face = Face(np.zeros((5, 2)), (-50.0, -60.0, 40.0, 30.0), 0.9)
    mask = reflections.face_mask(lambda image: [face], PHOTO)
    assert np.array_equal(mask > 0, hole(place(0, 0, 58, 68)))
    outside = Face(np.zeros((5, 2)), (-90.0, -90.0, -60.0, -60.0), 0.9)
    assert not reflections.face_mask(lambda image: [outside], PHOTO).any()


def test_text_is_not_searched_if_no_reflection_was_found():
    def fail(image):
        raise AssertionError

    assert not FindReflections(None, lambda image: hole(), [fail])(PHOTO).any()


def test_a_segmenter_is_loaded_and_sees_any_size(tmp_path):
    torch.manual_seed(0)
    net = YosoNet(Sizes(8, 4, 16, 32, 5, 1)).eval()
    net.yoso_head.mask_heads[-1].fc_cls.bias.data[:] = torch.tensor([9.0, 0])  # surely reflections
    torch.save(net.state_dict(), tmp_path / "yoso.pth")
    find = reflections.load_segmenter(tmp_path / "yoso.pth", CPU)
    for shape in (SIZE, (33, 300), (1, 1)):
        found = find(np.resize(PHOTO, (*shape, 3)))
        assert found.shape == shape
        assert found.dtype == np.bool_
    torch.save({"intro.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsWrong, match=r"other\.pth holds no YOSO"):
        reflections.load_segmenter(tmp_path / "other.pth", CPU)
    with pytest.raises(WeightsMissing):
        reflections.load_segmenter(tmp_path / "none.pth", CPU)


# The chain


def strong(image):
    return hole(BLOB).astype(np.float32)


def test_outside_of_the_mask_no_bit_changes_if_weak_reflections_stay():
    for identity in (None, lambda image, verdict: image):
        receipt = Receipt()
        chain = Reflection(strong, lambda image, mask: image * (mask < 0.5)[..., None], identity)
        result = chain(PHOTO, VERDICT, receipt)
        assert not result[BLOB].any()
        assert result[~hole(BLOB)].tobytes() == PHOTO[~hole(BLOB)].tobytes()
        assert receipt.generative


def test_a_photo_without_painting_is_not_generative():
    chain = Reflection(
        lambda image: np.zeros(SIZE, np.float32), None, lambda image, verdict: image / 2
    )
    receipt = Receipt()
    chain(PHOTO, VERDICT, receipt)
    assert not receipt.generative
    steps = [step["step"] for step in receipt.steps]
    assert steps == ["find strong reflections", "reduce weak reflections"]


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_the_strength_of_removal_is_a_share_of_it(strength):
    def nothing(image):
        return np.zeros(SIZE, np.float32)

    receipt = Receipt()
    chain = Reflection(nothing, None, lambda image, verdict: image / 2, strength, ("own.pt",))
    result = chain(PHOTO, VERDICT, receipt)
    assert np.abs(result - PHOTO * (1 - strength / 2)).max() < 1e-6
    assert receipt.steps[0]["detectors"] == ["own.pt"]
    assert receipt.steps[-1]["strength"] == strength
    assert np.abs(PHOTO - result - PHOTO * strength / 2).max() < 1e-6


@pytest.fixture(scope="module")
def lama():
    """A random LaMa's weights, which have only one size."""
    try:
        from spandrel.architectures.LaMa import LaMa
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch
        pytest.skip(f"LaMa needs spandrel: {error}")
    torch.manual_seed(1)
    return LaMa(in_nc=4).state_dict()


@pytest.fixture
def folder(home, any_weights):
    """The weights folder, with a random RRW."""
    from tasks.paper.nets.rrw import LocationNet, SeparationNet

    folder = settings().weights_root
    (folder / "RRW").mkdir(parents=True)
    torch.manual_seed(1)
    torch.save(LocationNet().state_dict(), folder / "RRW/RD.pth")
    torch.save(SeparationNet(8, (1, 1), 1, (1, 1)).state_dict(), folder / "RRW/RR.pth")
    return folder


def sure_yoso(file):
    """Write a YOSO that finds reflections in every image."""
    torch.manual_seed(0)
    net = YosoNet(Sizes(8, 4, 16, 32, 1, 1))
    net.yoso_head.mask_heads[-1].fc_cls.bias.data[:] = torch.tensor([9.0, 0])
    torch.save(net.state_dict(), file)
    return file


@pytest.fixture
def yunet(folder):
    """The file of YuNet in the weights folder."""
    source = SHARED / "weights/yunet_n_640.onnx"
    if not source.is_file():
        pytest.skip("the weights of YuNet are not beside this checkout")
    return shutil.copy(source, folder / "face_detection_yunet_2023mar.onnx")


def test_the_papers_chain_is_built_from_files(lama, folder, yunet, monkeypatch):
    torch.save(lama, folder / "big-lama.pt")
    monkeypatch.setattr(reflections, "MAX_PAINTED", 1.0)  # it sees reflections at random
    image = np.ascontiguousarray(PHOTO[:200, 150:400])
    known = PaperSettings(
        reflection_segmenter=sure_yoso(folder / "own.pth"), reflection_strength=0.5
    )
    chain, receipt = reflection(known), Receipt()
    whole = chain(image, VERDICT, receipt)
    assert whole.shape == image.shape
    assert 0 <= whole.min() <= whole.max() <= 1
    assert [step["step"].split()[0] for step in receipt.steps] == ["find", "inpaint", "reduce"]
    assert receipt.steps[0]["detectors"] == ["own.pth"]
    assert receipt.steps[0]["masked_share"] > 0
    assert receipt.steps[2]["strength"] == 0.5
    assert receipt.generative
    (folder / "RRW/RR.pth").unlink()
    only_painted = reflection(known)
    assert only_painted.reduce_weak is None
    mask = only_painted.find_strong(image)
    result = only_painted(image, VERDICT, Receipt())
    assert result[mask < 0.5].tobytes() == image[mask < 0.5].tobytes()
    assert (result[mask >= 0.5] != image[mask >= 0.5]).any()


def test_the_chain_does_not_paint_without_the_detector_of_faces(lama, folder, yunet):
    torch.save(lama, folder / "big-lama.pt")
    with_segmenter = PaperSettings(reflection_segmenter=sure_yoso(folder / "own.pth"))
    reflection(with_segmenter)
    yunet.unlink()
    with pytest.raises(WeightsMissing, match="photomend weights pull YuNet"):
        reflection(with_segmenter)


def test_without_a_detector_nothing_is_painted_and_rrw_must_be_there(folder):
    assert needs(Category.REFLECTION, PaperSettings()) == ["RRW"]
    assert needs(Category.REFLECTION, PaperSettings(reflection_detector=folder)) == [
        "big-lama", "YuNet",
    ]  # fmt: skip
    receipt = Receipt()
    reflection(PaperSettings())(PHOTO[:90, :70], VERDICT, receipt)
    assert not receipt.generative
    assert receipt.steps[0]["masked_share"] == 0
    (folder / "RRW/RD.pth").unlink()
    with pytest.raises(WeightsMissing, match="photomend weights pull RRW"):
        reflection(PaperSettings())


# YOLO


@pytest.fixture
def sure_yolo(ultralytics, tiny_yolo, tmp_path):
    """A random YOLO that finds reflections in every image."""
    torch.manual_seed(0)
    net = ultralytics.YOLO(str(tiny_yolo))
    net.model.names = {0: "reflection", **{n: f"other {n}" for n in range(1, 80)}}
    for branch in net.model.model[-1].cv3:
        branch[-1].bias.data[0] = 3
    net.save(str(tmp_path / "own.pt"))
    return tmp_path / "own.pt"


@pytest.mark.parametrize("shape", [SIZE, (90, 2000), (20, 20)])
def test_a_yolo_gives_boxes_with_their_pixels(sure_yolo, shape):
    image = np.resize(PHOTO, (*shape, 3))
    regions = yolo.load(sure_yolo, ("reflection",), CPU)(image)
    assert regions
    for region in regions:
        rows, columns = region.place
        assert 0 <= rows.start < rows.stop <= shape[0]
        assert 0 <= columns.start < columns.stop <= shape[1]
        assert region.pixels.shape == image[region.place].shape[:2]
        assert region.pixels.dtype == np.bool_


def test_regions_found_in_a_shrunken_copy_have_the_photos_coordinates(sure_yolo, monkeypatch):
    monkeypatch.setattr(yolo, "MAX_SIDE", 192)
    find = yolo.load(sure_yolo, ("reflection",), CPU)
    large = cv2.resize(PHOTO, (384, 384), interpolation=cv2.INTER_NEAREST)
    copy = cv2.resize(large, (192, 192), interpolation=cv2.INTER_AREA)
    for seen, meant in zip(find(large), find(copy), strict=True):
        for one, other in zip(seen.place, meant.place, strict=True):
            assert abs(one.start - 2 * other.start) <= 2
            assert abs(one.stop - 2 * other.stop) <= 2
        small = seen.pixels[::2, ::2][: meant.pixels.shape[0], : meant.pixels.shape[1]]
        rows, columns = small.shape
        assert (small == meant.pixels[:rows, :columns]).mean() > 0.8


def test_a_file_that_is_no_yolo_of_reflections_is_refused(sure_yolo, tmp_path):
    with pytest.raises(WeightsWrong, match="none of mirror, pane"):
        yolo.load(sure_yolo, ("pane", "mirror"), CPU)
    with pytest.raises(WeightsMissing, match=r"none\.pt"):
        yolo.load(tmp_path / "none.pt", ("reflection",), CPU)
    (tmp_path / "damaged.pt").write_bytes(sure_yolo.read_bytes()[:1000])
    with pytest.raises(WeightsWrong, match=r"damaged\.pt"):
        yolo.load(tmp_path / "damaged.pt", ("reflection",), CPU)
    (tmp_path / "own.onnx").write_bytes(b"")
    with pytest.raises(WeightsWrong, match=r"comes as \.pt"):
        yolo.load(tmp_path / "own.onnx", ("reflection",), CPU)


def test_no_code_in_the_file_of_a_yolo_is_run(ultralytics, tmp_path):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model": Runs()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsWrong, match=r"evil\.pt"):
        yolo.load(tmp_path / "evil.pt", ("reflection",), CPU)
    assert not (tmp_path / "ran").exists()


IMPORTED_BEFORE = """
import sys
from pathlib import Path
import torch, ultralytics
from storage.errors import WeightsWrong
from tasks.paper.detectors import yolo
for _ in range(2):
    try:
        yolo.load(Path(sys.argv[1]), ("reflection",), torch.device("cpu"))
    except WeightsWrong as error:
        print(error)
"""


def test_no_yolo_is_opened_where_ultralytics_was_imported_without_its_safe_mode(
    sure_yolo, tmp_path
):
    environment = {name: value for name, value in os.environ.items() if "ULTRALYTICS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_BEFORE, str(sure_yolo)],
        env=environment | {"YOLO_CONFIG_DIR": str(tmp_path), "PHOTOMEND_STATE_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("no YOLO is opened") == 2


def test_a_yolo_that_unfolds_to_more_than_its_file_is_refused(sure_yolo, tmp_path):
    with zipfile.ZipFile(sure_yolo) as good, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsWrong, match="is compressed"):
        yolo.load(tmp_path / "bomb.pt", ("reflection",), CPU)


ALONE = """
import socket, sys
def refuse(*words, **others):
    raise AssertionError("it asked the network")
socket.getaddrinfo = socket.socket.connect = refuse
import cv2, numpy, PIL.Image, torch
from pathlib import Path
cv2.setNumThreads(3), torch.set_num_threads(3)
def known():
    functions = torch.save, PIL.Image.open, cv2.imread, cv2.imwrite
    return cv2.getNumThreads(), torch.get_num_threads(), numpy.get_printoptions(), functions
before = known()
from tasks.paper.detectors import yolo
find = yolo.load(Path(sys.argv[1]), ("reflection",), torch.device("cpu"))
import sitecustomize
sitecustomize.sieve_boxes()
find(numpy.zeros((64, 64, 3), numpy.float32))
assert before == known()
from ultralytics import settings
assert not any(settings[name] for name in ("sync", *yolo.TRACKERS))
print("found")
"""


def test_ultralytics_uses_no_network_and_leaves_home_folder_and_process_alone(
    sure_yolo, home, tmp_path
):
    (empty := tmp_path / "empty").mkdir()
    state = tmp_path / "other-state"
    path = [str(Path(__file__).parent / "site"), str(Path(__file__).parents[2]), *sys.path]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("YOLO_", "ULTRALYTICS_", "XDG_", "OMP_"))
    } | {
        "HOME": str(empty), "PHOTOMEND_STATE_DIR": str(state), "PYTHONPATH": os.pathsep.join(path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(sure_yolo)],
        env=environment, cwd=empty, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "found\n", done.stderr
    assert not any(empty.iterdir())
    assert (state / "ultralytics/Ultralytics/settings.json").is_file()
