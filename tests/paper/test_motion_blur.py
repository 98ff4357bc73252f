"""The chain of figure 4: NAFNet for the whole image, then faces, if the settings allow it."""

import dataclasses
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
safetensors = pytest.importorskip("safetensors.torch", reason="the golden tensors need safetensors")
pytest.importorskip("spandrel_extra_arches", reason="spandrel builds the face nets")

from storage import weights
from storage.enums import Category
from storage.errors import WeightsMissing, WeightsWrong
from storage.settings import settings
from storage.settings_paper import PaperSettings
from storage.weights.catalogue import TABLE
from tasks.chains.motion_blur import MotionBlur
from tasks.paper.detectors.faces import FindFaces
from tasks.paper.motion_blur import motion_blur
from tasks.paper.nets.nafnet import NAFNet
from tasks.paper.restorers.faces import MendFaces
from tasks.paper.restorers.nafnet import Deblur
from tasks.receipt import Receipt
from tasks.verdict import Verdict

SHARED = Path(__file__).parents[2] / "../shared"
CPU = torch.device("cpu")
BLURRED = Verdict({Category.MOTION_BLUR: 1.0}, {}, True)
ON = PaperSettings(faces=True)


def shared(path):
    if not (SHARED / path).exists():
        pytest.skip("the shared files are not beside this checkout")
    return SHARED / path


@pytest.fixture(scope="module")
def people():
    """Two people, in an image with odd sides."""
    path = shared("photos/research/faces/codeformer/whole_imgs/06.png")
    with Pictures.open(path) as picture:
        small = picture.convert("RGB").reduce(2)
    return np.asarray(small, np.float32)[:-5, :-2] / 255


@pytest.fixture(scope="module")
def deblur():
    tensors = safetensors.load_file(shared("parity/nafnet_tiny.safetensors"))
    return Deblur(NAFNet.of(tiny(tensors)), CPU, tile_pixels=256)


@pytest.fixture(scope="module")
def find():
    return FindFaces(shared("weights/yunet_n_640.onnx"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of small weights under the real names, without published hashes."""
    monkeypatch.setenv("PHOTOMEND_WEIGHTS_DIR", str(tmp_path))
    settings.cache_clear()
    unpublished = tuple(
        dataclasses.replace(known, files=tuple(map(without_hash, known.files))) for known in TABLE
    )
    monkeypatch.setattr("storage.weights.folder.TABLE", unpublished)
    shutil.copy(shared("weights/yunet_n_640.onnx"), tmp_path / file_of("YuNet"))
    for name in ("CodeFormer", "GFPGANv1.4"):
        torch.save({"kernel": torch.zeros(1)}, tmp_path / file_of(name))
    put_nafnet(tmp_path, "NAFNet-REDS-width64")
    yield tmp_path
    settings.cache_clear()


def tiny(tensors):
    return {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}


def without_hash(file):
    return dataclasses.replace(file, bytes=None, sha256=None, about_bytes=1)


def file_of(name):
    return weights.find(name).files[0].path


def put_nafnet(folder, name):
    tensors = safetensors.load_file(shared("parity/nafnet_tiny.safetensors"))
    torch.save({"params": tiny(tensors)}, folder / file_of(name))


def mended(chain, image):
    receipt = Receipt()
    return chain(image, BLURRED, receipt), receipt


def test_only_where_a_net_changed_a_face_the_photo_is_generative(deblur, find, people):
    sharpened, plain = mended(MotionBlur(deblur), people)
    same, none_changed = mended(MotionBlur(deblur, MendFaces(find, lambda f: f, CPU)), people)
    other, changed = mended(MotionBlur(deblur, MendFaces(find, lambda f: 0.9 * f, CPU)), people)
    assert [receipt.generative for receipt in (plain, none_changed, changed)] == [
        False,
        False,
        True,
    ]
    assert same.tobytes() == sharpened.tobytes()
    assert 0 < (other != sharpened).any(2).mean() < 0.6
    assert [step["step"] for step in plain.steps] == ["deblur"]
    facts = changed.steps[1]
    assert (facts["found"], facts["restored"], facts["refused"]) == (2, 2, {})
    assert json.loads(json.dumps(none_changed.steps[1]))["refused"] == {"nothing to change": 2}


def test_another_persons_face_is_refused_and_noted(deblur, find, people):
    seen = []

    def swap(face):
        seen.append(face)
        return seen[0]

    chain = MotionBlur(deblur, MendFaces(find, swap, CPU))
    image, receipt = mended(chain, people)
    assert receipt.steps[1]["refused"] == {"nothing to change": 1, "other features": 1}
    assert image.tobytes() == deblur(people).tobytes()
    assert not receipt.generative


@pytest.mark.parametrize("shape", [(1, 1), (37, 51), (301, 77)])
def test_any_size_goes_through(deblur, find, shape):
    image = np.full((*shape, 3), 0.5, np.float32)
    made, receipt = mended(MotionBlur(deblur, MendFaces(find, lambda f: f, CPU)), image)
    assert made.shape == image.shape
    assert receipt.steps[1]["found"] == 0


@pytest.mark.parametrize("face_net", ["CodeFormer", "GFPGANv1.4"])
def test_no_face_net_is_loaded_before_there_is_a_face(folder, people, face_net):
    chain = motion_blur(PaperSettings(faces=True, face_net=face_net), faces=True)
    _, receipt = mended(chain, people[:40])
    assert receipt.steps[1]["found"] == 0
    with pytest.raises(WeightsWrong, match=f"{file_of(face_net)} is not of"):
        mended(chain, people)


@pytest.mark.parametrize(
    "known, faces", [(PaperSettings(), True), (ON, False)], ids=["not asked for", "folder"]
)
def test_no_face_changes_unless_settings_and_gallery_allow_it(folder, people, known, faces):
    for name in ("YuNet", "CodeFormer"):
        (folder / file_of(name)).unlink()
    made, receipt = mended(motion_blur(known, faces=faces), people)
    assert made.shape == people.shape
    assert [step["step"] for step in receipt.steps] == ["deblur"]


@pytest.mark.parametrize("faithful", [False, True])
def test_the_published_paste_is_used_only_if_faithful_is_set(folder, faithful):
    known = dataclasses.replace(ON, faithful=faithful)
    assert motion_blur(known, faces=True).mend_faces.faithful == faithful


def test_the_nafnet_of_the_settings_is_used(folder, people):
    (folder / file_of("NAFNet-REDS-width64")).unlink()
    with pytest.raises(WeightsMissing, match="NAFNet-REDS-width64"):
        motion_blur(PaperSettings(), faces=True)
    put_nafnet(folder, "NAFNet-GoPro-width32")
    chosen = PaperSettings(deblurring_net="NAFNet-GoPro-width32")
    assert motion_blur(chosen, faces=True).deblur(people, BLURRED).any()


def test_weights_of_the_face_net_must_be_here_before_the_first_photo(folder):
    (folder / file_of("CodeFormer")).unlink()
    with pytest.raises(WeightsMissing, match="CodeFormer"):
        motion_blur(ON, faces=True)


def test_memory_grows_with_the_image_alone(find, people):
    """Memory beside the image: 2.4 times its size for blending tiles, and 25 MB for a face."""
    image = np.full((2000, 3000, 3), 0.5, np.float32)
    image[: people.shape[0], : people.shape[1]] = people
    mend_faces = MendFaces(find, lambda face: 0.9 * face, CPU)
    tracemalloc.start()
    _, receipt = mended(MotionBlur(Deblur(torch.nn.Identity(), CPU), mend_faces), image)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert receipt.steps[1]["restored"] == 2
    assert most_bytes < 2.7 * image.nbytes
