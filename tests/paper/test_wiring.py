"""Each setting of `[paper]` reaches the network that it is meant for.

The loaders of the networks are replaced by stubs that record their arguments; what is built around
them is real.
"""

import inspect
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
for _name in ("diffusers", "safetensors", "spandrel"):
    pytest.importorskip(_name, reason="the paper engine's packages are not installed")

from safetensors.torch import load_file
from skimage import data

from storage import weights
from storage.enums import Category, Degradation, EngineName
from storage.errors import GpuBusy
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks import loading
from tasks.lite.classifier import Lite
from tasks.lite.cleaning import clean
from tasks.paper import engine, motion_blur, reflection, super_resolution
from tasks.paper.classifier import qwen, server
from tasks.paper.classifier.second_opinion import SecondOpinion
from tasks.paper.detectors import paddle_text, reflections, yolo
from tasks.paper.detectors.faces import Face, FindFaces
from tasks.paper.detectors.yolo import Region
from tasks.paper.engine import paper_chain, paper_classifier
from tasks.paper.restorers import (
    inpainting,
    invsr,
    nafnet,
    real_esrgan,
    resolution,
    separation,
)
from tasks.receipt import Receipt
from tasks.verdict import Verdict

A, B, C, _ = Category
PHOTO = data.astronaut()[:128, :160].astype(np.float32) / 255
VERDICT = Verdict(dict.fromkeys(Category, 0.25), dict.fromkeys(Degradation, 1.0), True)
CUDA = torch.device("cuda")
WEIGHTS = Path("/weights")
YOLO, YOSO = Path("/own.pt"), Path("/own.pth")
BOX, BLOB = (slice(40, 70), slice(50, 90)), (slice(50, 60), slice(60, 80))
FACE = Face(np.zeros((5, 2)), (76.0, 48.0, 84.0, 56.0), 0.9)
PROMPT = torch.arange(4.0).reshape(1, 2, 2)


def enlarged(image, generator=None):
    return cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).clip(0, 1)


def mask_of(place):
    mask = np.zeros(PHOTO.shape[:2], np.bool_)
    mask[place] = True
    return mask


class Calls:
    """The arguments with which each stub was called, by the names of the parameters."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.of = monkeypatch, {}

    def stub(self, owner, name, result, key=None):
        signature = inspect.signature(getattr(owner, name))

        def record(*values, **named):
            bound = signature.bind(*values, **named)
            bound.apply_defaults()
            self.of.setdefault(key or name, []).append(bound.arguments)
            return result

        self.monkeypatch.setattr(owner, name, record)

    def __getitem__(self, key):
        [arguments] = self.of[key]
        return arguments


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    """A state folder without a database."""
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def calls(monkeypatch):
    """Stubs in place of all networks, on a machine with a GPU where all weights are present."""
    recorded = Calls(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A card")
    monkeypatch.setattr(weights, "path", lambda name: WEIGHTS / name)
    monkeypatch.setattr(weights, "is_present", lambda name: True)
    recorded.stub(invsr, "load", enlarged, "InvSR")
    recorded.stub(invsr, "embed_prompt", PROMPT)
    recorded.stub(real_esrgan, "load", enlarged, "Real-ESRGAN")
    recorded.stub(nafnet, "load", lambda image, verdict: image / 2, "NAFNet")
    recorded.stub(yolo, "load", lambda image: [Region(BOX, None)], "YOLO")
    recorded.stub(reflections, "load_segmenter", lambda image: mask_of(BLOB), "YOSO")
    recorded.stub(inpainting, "load", lambda image, mask: image * (mask < 0.5)[..., None], "LaMa")
    recorded.stub(separation, "load", lambda image, verdict: image / 2, "RRW")
    recorded.stub(qwen, "load", "a model here", "Qwen")
    monkeypatch.setattr(FindFaces, "__call__", lambda find, image: [])
    monkeypatch.setattr(reflection, "find_text", lambda image: np.zeros(image.shape[:2], "f4"))
    for name in ("codeformer", "gfpgan"):
        recorded.stub(motion_blur, name, torch.nn.Identity())
    return recorded


def build(category, gallery_faces=True, **known):
    return paper_chain(category, PaperSettings(**known), clean=clean, faces=gallery_faces).chain


TABLE = [
    (A, {}, "InvSR", {"steps": 1, "base": WEIGHTS / "sd-turbo", "predictor": WEIGHTS / "InvSR"}),
    (A, {"invsr_steps": 3}, "InvSR", {"steps": 3, "device": CUDA, "dtype": torch.float16}),
    (A, {}, "embed_prompt", {"base": WEIGHTS / "sd-turbo-text"}),
    (A, {}, "Real-ESRGAN", {
        "file": WEIGHTS / "RealESRGAN_x4plus", "device": CUDA, "dtype": torch.float16,
    }),
    (B, {}, "RRW", {
        "location": WEIGHTS / "RRW/RD.pth", "separation": WEIGHTS / "RRW/RR.pth", "device": CUDA,
    }),
    (B, {"reflection_detector": YOLO}, "YOLO", {
        "file": YOLO, "classes": ("reflection",), "device": CUDA,
    }),
    (B, {"reflection_detector": YOLO, "reflection_classes": ("glare",)}, "YOLO", {
        "classes": ("glare",),
    }),
    (B, {"reflection_detector": YOLO}, "LaMa", {"file": WEIGHTS / "big-lama", "device": CUDA}),
    (B, {"reflection_detector": YOLO}, "RRW", {
        "location": WEIGHTS / "RRW/RD.pth", "separation": WEIGHTS / "RRW/RR.pth", "device": CUDA,
    }),
    (B, {"reflection_segmenter": YOSO}, "YOSO", {"file": YOSO, "device": CUDA}),
    (C, {}, "NAFNet", {
        "file": WEIGHTS / "NAFNet-REDS-width64", "device": CUDA, "local": True,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("category", "known", "net", "expected"), TABLE)
def test_a_setting_reaches_its_network(calls, category, known, net, expected):
    build(category, **known)
    found = calls[net]
    assert {name: found[name] for name in expected} == expected


def test_on_a_cpu_the_networks_of_a_compute_in_full_precision(calls, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    build(A)
    for net in ("InvSR", "Real-ESRGAN"):
        assert (calls[net]["device"].type, calls[net]["dtype"]) == ("cpu", torch.float32)


# A


def test_the_prompt_is_embedded_once_and_kept(calls):
    build(A)
    build(A)
    assert len(calls.of["embed_prompt"]) == 1
    assert all(torch.equal(each["prompt"], PROMPT) for each in calls.of["InvSR"])
    kept = load_file(settings().state_dir / "invsr-prompt.safetensors")
    assert list(kept) == ["prompt"]


@pytest.mark.parametrize(
    ("known", "scale", "faithful"),
    [({}, 1, False), ({"enlarge": 2}, 2, False), ({"faithful": True, "enlarge": 2}, 4, True)],
)
def test_a_result_is_as_large_as_the_settings_ask_for(calls, known, scale, faithful):
    chain, receipt = replace(build(A, **known), find_text=lambda image: []), Receipt()
    assert (chain.scale, chain.faithful) == (scale, faithful)
    assert chain(PHOTO, VERDICT, receipt).shape == (scale * 128, scale * 160, 3)
    step = receipt.steps[1]
    assert step["nets"] == ", ".join(
        map(weights.description, ("sd-turbo", "InvSR", "RealESRGAN_x4plus"))
    )
    assert receipt.generative


def test_faithful_never_shrinks_a_soft_photo_and_the_default_does(calls):
    soft = cv2.GaussianBlur(PHOTO, (0, 0), 2.4)
    for faithful in (False, True):
        chain, receipt = build(A, faithful=faithful), Receipt()
        replace(chain, find_text=lambda image: [])(soft, VERDICT, receipt)
        assert (receipt.steps[1]["shrunk_by"] == 1) == faithful


def test_the_colours_of_the_photo_are_restored_and_the_result_is_in_range(calls, monkeypatch):
    calls.stub(invsr, "load", lambda image, generator: enlarged(image) * 0.8 + 0.2, "InvSR")
    made = build(A).enlarge(PHOTO, (0, 0))
    assert made.mean((0, 1)) == pytest.approx(PHOTO.mean((0, 1)), abs=0.01)
    assert made.min() >= 0 and made.max() <= 1
    calls.stub(invsr, "load", lambda image, generator: 5 * enlarged(image) - 2, "InvSR")
    made = build(A).enlarge(PHOTO, (0, 0))
    assert (made.min(), made.max()) == (0, 1)


def test_each_photo_gets_the_same_noise(calls):
    drawn = []

    def draw(image, generator):
        drawn.append(torch.rand(3, generator=generator).tolist())
        return enlarged(image)

    calls.stub(invsr, "load", draw, "InvSR")
    chain = build(A)
    chain.enlarge(PHOTO, (0, 0))
    chain.enlarge(PHOTO, (0, 0))
    assert drawn[0] == drawn[1] == torch.rand(
        3, generator=super_resolution.generator_of((0, 0))
    ).tolist()  # fmt: skip


def written(words):
    page = np.full((96, 360, 3), 0.9, np.float32)
    cv2.putText(page, words, (20, 60), 0, 1.4, (0.1, 0.1, 0.1), 3, cv2.LINE_AA)
    return page


def test_the_gate_reads_and_refuses_other_letters(calls):
    page, line = written("Invoice 4711"), np.float32([(14, 22), (330, 22), (330, 70), (14, 70)])
    calls.stub(real_esrgan, "load", lambda image: enlarged(image[:, ::-1]), "Real-ESRGAN")
    chain, receipt = build(A), Receipt()
    assert chain.gate(page, page, [line]) == [True]
    replace(chain, find_text=lambda image: [line])(page, VERDICT, receipt)
    assert (receipt.steps[-2]["kept"], receipt.steps[-2]["refused"]) == (0, 1)
    receipt = Receipt()
    known = replace(chain, find_text=lambda image: [line], gate=lambda *_: [True])
    known(page, VERDICT, receipt)
    assert (receipt.steps[-2]["kept"], receipt.steps[-2]["refused"]) == (1, 0)


def test_text_is_found_by_the_papers_detector_and_detailed_photos_are_cleaned_by_lite(calls):
    chain = build(A)
    assert chain.find_text is paddle_text.find_polygons
    assert chain.clean is clean
    assert chain.enlarge_text is enlarged


@pytest.mark.parametrize("scale", [1, 2])
def test_a_photo_with_too_much_detail_is_cleaned_and_resized(calls, monkeypatch, scale):
    monkeypatch.setattr(resolution, "MAX_PIXELS", 100)
    given = []

    def darkened(image, verdict):
        given.append((image, verdict))
        return image / 2

    chain, receipt = replace(build(A, enlarge=scale), clean=darkened), Receipt()
    made = chain(PHOTO, VERDICT, receipt)
    assert made.shape == (scale * 128, scale * 160, 3)
    assert made.mean() == pytest.approx(PHOTO.mean() / 2, abs=0.005)
    [(image, verdict)] = given
    assert image is PHOTO and verdict is VERDICT
    assert [step["step"] for step in receipt.steps] == [
        "find text",
        "clean the whole image, which has too much detail to be enlarged",
    ]
    assert not receipt.generative


def test_the_receipt_of_a_names_each_step_and_the_lines_of_text(calls):
    line = np.float32([(10, 10), (60, 10), (60, 30), (10, 30)])
    for lines in [], [line, line + 60]:
        receipt = Receipt()
        chain = replace(
            build(A),
            find_text=lambda image, lines=lines: lines,
            gate=lambda before, after, some: [True] * len(some),
        )
        made = chain(PHOTO, VERDICT, receipt)
        fused = ["restore text and fuse"] if lines else []
        names = ["find text", "restore the whole image", *fused, "keep faces"]
        assert [step["step"] for step in receipt.steps] == names
        assert receipt.steps[0]["lines"] == len(lines)
        assert np.abs(made - PHOTO).mean() < 0.02
        assert receipt.text.any() == bool(lines)


@pytest.mark.parametrize(
    ("known", "name", "overlap"),
    [
        ({"invsr_steps": 3}, "InvSR, 3 steps", 5.2),
        ({"enlarging_net": "RealESRGAN_x4plus"}, "Real-ESRGAN", 1.3),
    ],
)
def test_the_time_for_a_photo_follows_from_that_for_a_patch(
    calls, monkeypatch, known, name, overlap
):
    patches = []

    def enlarge(image, generator=None):
        patches.append((image, generator and generator.initial_seed()))
        return enlarged(image)

    calls.stub(invsr, "load", enlarge, "InvSR")
    calls.stub(real_esrgan, "load", enlarge, "Real-ESRGAN")
    calls.stub(super_resolution, "tile_seconds", 2.0)
    found = build(A, **known).seconds(PHOTO, resolution.Resolution(2.0, 1))
    assert found == pytest.approx(2 * overlap * (64 * 80) / (128 * 128))
    asked = calls["tile_seconds"]
    assert (asked["net"], asked["device"]) == (name, CUDA)
    asked["run"]()
    [(patch, seed)] = patches
    assert (patch.shape, patch.dtype, patch.any()) == ((128, 128, 3), np.float32, False)
    first = super_resolution.generator_of((0, 0)).initial_seed()
    assert seed == (first if name.startswith("InvSR") else None)


def test_the_permissive_way_enlarges_by_real_esrgan_alone(calls):
    chain, receipt = build(A, enlarging_net="RealESRGAN_x4plus"), Receipt()
    assert set(calls.of) == {"Real-ESRGAN"}
    made = replace(chain, find_text=lambda image: [])(PHOTO, VERDICT, receipt)
    assert np.abs(made - PHOTO).mean() < 0.02
    assert receipt.steps[1]["nets"] == weights.description("RealESRGAN_x4plus")


@pytest.mark.parametrize("settings_allow", [True, False])
@pytest.mark.parametrize("gallery_allows", [True, False])
def test_a_repainted_face_stays_only_if_settings_and_gallery_allow_it(
    calls, settings_allow, gallery_allows
):
    keep = build(A, gallery_faces=gallery_allows, faces=settings_allow).keep_faces
    assert keep.find == FindFaces(WEIGHTS / "YuNet")
    assert keep.allowed == (settings_allow and gallery_allows)


# B


def test_without_a_detector_nothing_is_painted_and_weak_reflections_are_reduced(calls):
    chain, receipt = build(B, reflection_strength=0.5), Receipt()
    made = chain(PHOTO, VERDICT, receipt)
    assert set(calls.of) == {"RRW"}
    assert np.allclose(made, 0.75 * PHOTO)
    assert [step["step"] for step in receipt.steps][-1] == "reduce weak reflections"
    assert not receipt.generative


@pytest.mark.parametrize(
    ("known", "place"),
    [
        ({"reflection_detector": YOLO}, BOX),
        ({"reflection_segmenter": YOSO}, BLOB),
        ({"reflection_detector": YOLO, "reflection_segmenter": YOSO}, BLOB),
    ],
    ids=["YOLO", "YOSO", "both"],
)
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_what_the_detectors_find_is_painted_over_and_the_rest_reduced(
    calls, known, place, strength
):
    chain, receipt = build(B, reflection_strength=strength, **known), Receipt()
    made = chain(PHOTO, VERDICT, receipt)
    assert not made[place].any()
    edge = chain.find_strong(PHOTO) > 0
    assert not edge[:16].any()
    assert np.allclose(made[~edge], (1 - strength / 2) * PHOTO[~edge], atol=1e-6)
    assert receipt.steps[0]["detectors"] == [file.name for file in known.values()]
    assert receipt.generative
    assert ("YOLO" in calls.of) == ("reflection_detector" in known)
    assert ("YOSO" in calls.of) == ("reflection_segmenter" in known)


def test_boxes_are_used_where_the_segmenter_finds_nothing_to_refine(calls):
    calls.stub(reflections, "load_segmenter", lambda image: mask_of((slice(0, 0),) * 2), "YOSO")
    own = np.ones((30, 40), np.bool_)
    calls.stub(yolo, "load", lambda image: [Region(BOX, own)], "YOLO")
    chain = build(B, reflection_detector=YOLO, reflection_segmenter=YOSO)
    assert (chain.find_strong(PHOTO)[BOX] >= 0.5).all()


def test_without_rrw_weak_reflections_stay_beside_a_detector(calls, monkeypatch):
    monkeypatch.setattr(weights, "is_present", lambda name: name != "RRW")
    chain = build(B, reflection_detector=YOLO)
    assert "RRW" not in calls.of
    made = chain(PHOTO, VERDICT, Receipt())
    untouched = chain.find_strong(PHOTO) == 0
    assert np.array_equal(made[untouched], PHOTO[untouched])


def test_no_face_and_no_text_is_painted_by_the_chain(calls, monkeypatch):
    files, text = [], mask_of((slice(40, 44), slice(50, 60))).astype(np.float32)
    monkeypatch.setattr(
        FindFaces, "__call__", lambda find, image: files.append(find.file) or [FACE]
    )
    monkeypatch.setattr(reflection, "find_text", lambda image: text)
    mask = build(B, reflection_detector=YOLO).find_strong(PHOTO)
    assert not mask[48:56, 76:84].any()
    assert not mask[text > 0].any()
    assert (mask >= 0.5)[64:68, 52:60].all()
    assert files == [WEIGHTS / "YuNet"]


# C


@pytest.mark.parametrize(
    ("known", "faces"),
    [({}, True), ({"faces": True}, False), ({}, False)],
    ids=["settings", "gallery", "both"],
)
def test_no_face_changes_unless_settings_and_gallery_allow_it(calls, known, faces):
    chain, receipt = build(C, gallery_faces=faces, **known), Receipt()
    made = chain(PHOTO, VERDICT, receipt)
    assert np.array_equal(made, PHOTO / 2)
    assert [step["step"] for step in receipt.steps] == ["deblur"]
    assert receipt.steps[0]["nets"] == weights.description("NAFNet-REDS-width64")


@pytest.mark.parametrize(
    ("known", "loaded", "expected"),
    [
        ({}, "codeformer", {"fidelity": 0.8}),
        ({"fidelity": 0.3}, "codeformer", {"fidelity": 0.3}),
        ({"face_net": "CodeFormer"}, "codeformer", {"file": WEIGHTS / "CodeFormer"}),
        ({"face_net": "GFPGANv1.4"}, "gfpgan", {"file": WEIGHTS / "GFPGANv1.4", "device": CUDA}),
    ],
)
def test_faces_are_restored_by_the_named_net_with_its_fidelity(calls, known, loaded, expected):
    chain = build(C, faces=True, **known)
    assert set(calls.of) == {"NAFNet"}
    face = torch.rand(1, 3, 8, 8)
    assert torch.equal(chain.mend_faces.net(face), face)
    assert set(calls.of) == {"NAFNet", loaded}
    found = calls[loaded]
    assert {name: found[name] for name in expected} == expected
    assert found["device"] == CUDA


@pytest.mark.parametrize("faithful", [False, True])
def test_the_restorer_of_faces_gets_detector_device_and_way_of_pasting(calls, faithful):
    chain, receipt = build(C, faces=True, faithful=faithful), Receipt()
    restorer = chain.mend_faces
    assert (restorer.faithful, restorer.device) == (faithful, CUDA)
    assert restorer.find == FindFaces(WEIGHTS / "YuNet")
    made = chain(PHOTO, VERDICT, receipt)
    assert np.array_equal(made, PHOTO / 2)
    nets = [step["nets"] for step in receipt.steps]
    assert nets == list(map(weights.description, ("NAFNet-REDS-width64", "CodeFormer")))


def test_a_clean_photo_has_no_chain():
    with pytest.raises(ValueError, match=r"^a clean photo has no chain$"):
        build(Category.CLEAN)


# The classifier


def test_too_little_memory_for_loading_is_the_machines_fault_not_the_photos(monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(weights, "path", lambda name: WEIGHTS / name)
    monkeypatch.setattr(nafnet, "load", fail)
    monkeypatch.setattr(qwen, "load", fail)
    with pytest.raises(GpuBusy, match="to load the networks"):
        build(C)
    with pytest.raises(GpuBusy, match="to load the networks"):
        paper_classifier(PaperSettings(), first="measures")


@pytest.mark.parametrize("faithful", [False, True])
def test_the_server_gets_address_net_key_and_way_of_asking(calls, faithful):
    known = PaperSettings(
        classifier_url="http://host:1", classifier_net="net", classifier_key="key",
        faithful=faithful,
    )  # fmt: skip
    classifier = paper_classifier(known, first="measures")
    expected = server.Server("http://host:1", "net", "key", faithful)
    assert classifier == (expected if faithful else SecondOpinion("measures", expected))
    assert "Qwen" not in calls.of


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ("Qwen3-VL-4B-Instruct", WEIGHTS / "Qwen3-VL-4B-Instruct"),
        ("/models/own", Path("/models/own")),
        ("~/own", Path("~/own").expanduser()),
    ],
)
def test_the_model_is_loaded_from_its_folder_for_the_device(calls, named, folder, faithful):
    classifier = paper_classifier(
        PaperSettings(classifier=named, faithful=faithful), first="measures", wait_for_room=faithful
    )
    assert dict(calls["Qwen"]) == {
        "folder": folder, "device": CUDA, "faithful": faithful, "wait_for_room": faithful,
    }  # fmt: skip
    second = engine.ClassifierOnGpu("a model here")
    assert classifier == (second if faithful else SecondOpinion("measures", second))


# The engines


def test_the_paper_engine_gets_the_settings_and_the_parts_of_lite(monkeypatch):
    recorded = Calls(monkeypatch)
    recorded.stub(engine, "paper_chain", "chain")
    recorded.stub(engine, "paper_classifier", "classifier")
    assert loading.chain(EngineName.PAPER, C, faces=False) == "chain"
    assert dict(recorded["paper_chain"]) == {
        "category": C, "paper": settings().paper, "clean": clean, "faces": False,
    }  # fmt: skip
    assert loading.classifier(EngineName.PAPER) == "classifier"
    assert recorded["paper_classifier"]["paper"] == settings().paper
    assert isinstance(recorded["paper_classifier"]["first"], Lite)
