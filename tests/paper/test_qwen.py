"""The paper's classifier on tiny random nets, through transformers' own loading and processor."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
transformers = pytest.importorskip("transformers", reason="the paper engine needs transformers")

from storage.enums import Category
from storage.errors import GpuBusy, PhotomendError
from tasks.paper.classifier import qwen as qwen_net
from tasks.paper.classifier.answers import ClassifierUnavailable
from tasks.paper.classifier.prompt import LETTERS, PREFACE, PROMPT
from tasks.paper.classifier.qwen import RESERVED_BYTES, Placement, letter_ids, load, placement_for
from tasks.paper.classifier.views import CROP, OVERVIEW_PIXELS, grey, views
from tasks.paper.engine import ClassifierOnGpu

A, B, C, D = Category
CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["qwen", "qwen3"])
def net(request):
    """The folder of a tiny Qwen2.5-VL, then of a tiny Qwen3-VL."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def seeing(net):
    """The classifier with its random weights."""
    return load(net, CPU)


@pytest.fixture
def saying(net):
    """Build a classifier with the same token probabilities for every photo."""

    def make(shares, *, faithful=False):
        classifier = load(net, CPU, faithful=faithful)
        number = classifier.processor.tokenizer.convert_tokens_to_ids
        head = torch.nn.Linear(32, classifier.net.config.text_config.vocab_size)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, -1e4)
        with torch.no_grad():
            for token, share in shares.items():
                head.bias[number(token)] = math.log(share)
        classifier.net.lm_head = head
        return classifier

    return make


def photo(height=120, width=160, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize(("sign", "category"), LETTERS.items())
def test_the_letter_that_the_net_says_is_the_category(saying, sign, category):
    others = {other: 0.02 for other in LETTERS if other != sign}
    verdict = saying({sign: 0.94} | others, faithful=True)(photo())
    assert (verdict.category, verdict.confident) == (category, True)
    assert verdict.scores[category] == pytest.approx(0.94, rel=1e-4)
    assert sum(verdict.scores.values()) == pytest.approx(1)


def test_all_ways_to_write_a_letter_count_together(saying):
    shares = {"A": 0.30, "ĠA": 0.25, "An": 0.05, "B": 0.35, "C": 0.03, "D": 0.02}
    answer = saying(shares).ask(grey(1))
    expected = {A: 0.55, B: 0.35, C: 0.03, D: 0.02}
    assert answer.odds == pytest.approx(expected, rel=1e-4)
    assert answer.mass == pytest.approx(0.95, rel=1e-4)


def test_a_net_whose_likely_tokens_are_no_letters_is_not_confident(saying):
    verdict = saying({"T": 0.6, "A": 0.397, "B": 0.001, "C": 0.001, "D": 0.001}, faithful=True)(
        photo()
    )
    assert verdict.category is A and verdict.scores[A] > 0.9
    assert not verdict.confident


def test_a_net_that_answers_the_same_on_grey_pictures_is_not_confident(saying):
    verdict = saying({"A": 0.7, "B": 0.1, "C": 0.1, "D": 0.1})(photo())
    assert verdict.scores == pytest.approx(dict.fromkeys(Category, 0.25))
    assert not verdict.confident


def test_an_uncertain_letter_is_not_confident(saying):
    verdict = saying({"A": 0.5, "B": 0.2, "C": 0.2, "D": 0.1}, faithful=True)(photo())
    assert verdict.category is A and not verdict.confident


def test_severities_follow_the_category(saying):
    verdict = saying({"A": 0.1, "B": 0.2, "C": 0.6, "D": 0.1}, faithful=True)(photo())
    assert verdict.severities == pytest.approx(
        {"noise": 0.1, "compression": 0.1, "softness": 0.1, "motion": 0.6, "reflection": 0.2},
        rel=1e-4,
    )


def test_a_photo_that_is_too_small_has_no_confident_verdict(saying):
    for size in [(1, 1), (20, 5000), (63, 100)]:
        assert not saying({"A": 1.0}, faithful=True)(photo(*size)).confident


def test_a_net_whose_logits_are_not_finite_is_not_confident(saying):
    broken = saying({"A": 1.0}, faithful=True)
    with torch.no_grad():
        broken.net.lm_head.bias[0] = math.nan
    verdict = broken(photo())
    assert not verdict.confident
    assert set(verdict.scores.values()) == {0.25}


def test_the_odds_are_the_softmax_over_all_tokens_at_the_last_place(seeing):
    pictures = views(photo())
    with torch.inference_mode():
        logits = seeing.net(**seeing._inputs(pictures)).logits
    assert logits.shape[1] > 200
    shares = logits[0, -1].softmax(-1)
    number = seeing.processor.tokenizer.convert_tokens_to_ids
    for sign, category in LETTERS.items():
        expected = float(shares[number(sign)] + shares[number("Ġ" + sign)])
        assert seeing.ask(pictures).odds[category] == pytest.approx(expected, rel=1e-4)


def test_what_is_said_depends_on_the_photo_and_on_nothing_else(seeing, net):
    one, other = photo(seed=1), 0.3 * photo(seed=2)
    first = seeing.ask(views(one))
    assert seeing.ask(views(other)).odds != pytest.approx(first.odds, rel=1e-3)
    assert seeing.ask(views(one)) == first
    assert seeing(one) == seeing(one) == load(net, CPU)(one)


def test_scores_are_divided_by_those_of_grey_pictures(net):
    classifier = load(net, CPU)
    letters = [number for ids in classifier.letters.values() for number in ids]
    classifier.net.lm_head.register_forward_hook(
        lambda _head, _given, logits: logits.masked_fill(~one_of(letters, logits.shape[-1]), -1e4)
    )
    pictures = views(photo(), token_pixels=2 * patch_pixels(classifier))
    said, nothing = classifier.ask(pictures).odds, classifier.ask(grey(1)).odds
    assert sum(said.values()) == pytest.approx(1) and sum(nothing.values()) == pytest.approx(1)
    weighed = {one: said[one] / max(nothing[one], 0.05) for one in Category}
    expected = {one: share / sum(weighed.values()) for one, share in weighed.items()}
    assert classifier(photo()).scores == pytest.approx(expected)
    assert expected != pytest.approx(said, rel=1e-2)


def one_of(numbers, count):
    return torch.isin(torch.arange(count), torch.tensor(numbers))


def test_a_large_photo_is_shown_by_an_overview_and_parts_that_nothing_resizes(seeing):
    image = photo(1100, 1500)
    pictures = views(image)
    given = seeing._inputs(pictures)
    side = patch_pixels(seeing)
    grids = given["image_grid_thw"].tolist()
    assert len(grids) == len(pictures) > 3
    assert all(grid == [1, CROP // side, CROP // side] for grid in grids[1:])
    assert side**2 * math.prod(grids[0]) <= OVERVIEW_PIXELS
    patches = given["pixel_values"].numpy()[math.prod(grids[0]) :]
    assert np.array_equal(seen(seeing, patches[: math.prod(grids[1])], grids[1]), pictures[1])


def patch_pixels(classifier):
    return classifier.net.config.vision_config.patch_size


def seen(classifier, patches, grid):
    """Return the picture that a processor cut into patches."""
    side, images = patch_pixels(classifier), classifier.processor.image_processor
    rows, columns = grid[1] // 2, grid[2] // 2
    planes = patches.reshape(rows, columns, 2, 2, 3, 2, side, side)[:, :, :, :, :, 0]
    image = planes.transpose(0, 2, 5, 1, 3, 6, 4).reshape(2 * rows * side, 2 * columns * side, 3)
    mean, deviation = np.array(images.image_mean), np.array(images.image_std)
    return np.rint(255 * (image * deviation + mean)).astype(np.uint8)


def test_the_question_is_the_papers_and_ends_where_the_answer_begins(seeing):
    def text(pictures):
        return seeing.processor.tokenizer.decode(seeing._inputs(pictures)["input_ids"][0])

    one, several = text(grey(1)), text(grey(3))
    assert one.count("<|vision_start|>") == 1 and several.count("<|vision_start|>") == 3
    assert f"<|vision_end|>{PROMPT}<|im_end|>" in one and PREFACE not in one
    assert f"{PREFACE} {PROMPT}<|im_end|>" in several
    assert one.endswith("<|im_start|>assistant\n")


def test_faithful_shows_one_picture_with_the_papers_prompt(saying):
    shown = []
    classifier = saying({"D": 1.0}, faithful=True)
    classifier.net.register_forward_pre_hook(
        lambda _net, _args, given: shown.append(given["image_grid_thw"].tolist()), with_kwargs=True
    )
    classifier(photo(1100, 1500))
    (grids,) = shown
    assert len(grids) == 1
    assert patch_pixels(classifier) ** 2 * math.prod(grids[0]) > 0.9 * 28 * 28 * 1280


def test_reasoning_is_switched_off(net, chat):
    classifier = load(net, CPU)
    classifier.processor.chat_template = chat + (
        "{% if enable_thinking is defined and not enable_thinking %}[no thinking]{% endif %}"
    )
    given = classifier._inputs(grey(1))
    assert classifier.processor.tokenizer.decode(given["input_ids"][0]).endswith("[no thinking]")


def test_the_name_holds_the_net_its_placement_and_the_way_of_asking(seeing, saying):
    assert seeing.name == "Tiny-VL (CPU)"
    assert saying({"A": 1.0}, faithful=True).name == "Tiny-VL (CPU, as in the paper)"


def test_too_little_memory_is_a_memory_error(saying):
    classifier = saying({"A": 1.0})

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    classifier.net.lm_head.register_forward_pre_hook(fail)
    with pytest.raises(MemoryError, match="does not fit"):
        ClassifierOnGpu(classifier)(photo())


def test_nothing_is_downloaded(net, monkeypatch):
    def fail(*_):
        raise AssertionError("something was to be fetched")

    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    load(net, CPU)


def test_only_tokens_of_one_letter_are_letters(seeing):
    tokenizer = seeing.processor.tokenizer
    found = letter_ids(tokenizer)
    for sign, category in LETTERS.items():
        told = {tokenizer.decode([number]) for number in found[category]}
        assert told == {sign, " " + sign}


def _without(qwen, tmp_path):
    return shutil.copytree(qwen, tmp_path / "net")


def test_a_folder_without_a_net_is_an_error_in_one_sentence(tmp_path):
    with pytest.raises(ClassifierUnavailable, match="holds no net") as caught:
        load(tmp_path / "nothing", CPU)
    assert isinstance(caught.value, PhotomendError) and isinstance(caught.value, OSError)
    assert caught.value.errno is not None
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ClassifierUnavailable, match="holds no net"):
        load(tmp_path, CPU)


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json", "processor_config.json"])
def test_a_net_with_a_file_lost_is_not_loaded(qwen, tmp_path, lost):
    copy = _without(qwen, tmp_path)
    (copy / lost).unlink()
    with pytest.raises(ClassifierUnavailable, match="cannot be loaded"):
        load(copy, CPU)


def test_a_damaged_net_is_not_loaded(qwen, tmp_path):
    copy = _without(qwen, tmp_path)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ClassifierUnavailable, match="cannot be loaded"):
        load(copy, CPU)


def test_a_net_of_another_kind_is_not_loaded(qwen, tmp_path):
    copy = _without(qwen, tmp_path)
    config = json.loads((copy / "config.json").read_text()) | {"model_type": "bert"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ClassifierUnavailable, match="cannot be loaded"):
        load(copy, CPU)


def test_a_net_that_lacks_weights_is_not_loaded(qwen, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch", reason="comes with transformers")
    copy = _without(qwen, tmp_path)
    weights = safetensors.load_file(copy / "model.safetensors")
    lost = next(name for name in weights if "mlp" in name)
    del weights[lost]
    safetensors.save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ClassifierUnavailable, match="lacks 1 weights"):
        load(copy, CPU)


FOREIGN = {
    "config.json": {"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Own"},
    "processor_config.json": {
        "AutoProcessor": "own.Own", "AutoImageProcessor": "own.Own", "AutoVideoProcessor": "own.Own",
    },
    "preprocessor_config.json": {"AutoProcessor": "own.Own", "AutoImageProcessor": "own.Own"},
    "tokenizer_config.json": {"AutoProcessor": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]},
}  # fmt: skip
"""Files of a net's folder, and the classes that they may name in Python files beside them."""
OWN_KIND = {
    "model_type": "own", "processor_class": "Own", "tokenizer_class": "Own",
    "image_processor_type": "Own",
}  # fmt: skip
LOADS = """
import sys
from pathlib import Path
import torch
from tasks.paper.classifier.qwen import ClassifierUnavailable, load
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        print(folder.name, load(folder, torch.device("cpu")).name)
    except ClassifierUnavailable as error:
        print(folder.name, error)
"""


def test_python_files_beside_the_weights_are_not_run_and_nobody_is_asked(qwen, tmp_path):
    for name, classes in FOREIGN.items():
        for kind, said in (("known", {}), ("own", OWN_KIND)):
            copy = shutil.copytree(qwen, tmp_path / "nets" / f"{name}-{kind}")
            file = copy / name
            found = json.loads(file.read_text()) if file.is_file() else {}
            file.write_text(json.dumps(found | {"auto_map": classes} | said))
            (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    done = subprocess.run(
        [sys.executable, "-c", LOADS, str(tmp_path / "nets")], input="y\n" * 100,
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        env=os.environ | {
            "HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": str(Path(__file__).parent / "site"),
        },
    )  # fmt: skip
    assert not (tmp_path / "ran").exists()
    assert "[y/N]" not in done.stdout + done.stderr
    answers = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert answers["config.json-known"] == "config.json-known (CPU)"
    assert "photomend runs none" in answers["config.json-own"]
    assert len(answers) == 2 * len(FOREIGN)


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__.__mro__ }}", "{% for", "{{ none.name.first }}", "{{ 1 / 0 }}"]
)
def test_a_chat_template_that_cannot_be_used_is_an_error_in_one_sentence(qwen, tmp_path, template):
    copy = _without(qwen, tmp_path)
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(ClassifierUnavailable, match="chat template"):
        load(copy, CPU)


@pytest.mark.parametrize(
    ("weights", "free", "four_bit", "where"),
    [
        (17, 24, True, Placement.GPU),
        (17, 24, False, Placement.GPU),
        (17, 12, True, Placement.FOUR_BIT),
        (17, 12, False, Placement.SHARED),
        (17, 8, True, Placement.SHARED),
        (7.5, 12, True, Placement.GPU),
        (7.5, 8, True, Placement.FOUR_BIT),
        (7.5, 2, True, Placement.CPU),
    ],
)
def test_the_placement_follows_the_free_memory(weights, free, four_bit, where):
    assert placement_for(int(weights * GIB), int(free * GIB), four_bit=four_bit) is where


def test_memory_is_reserved_for_the_pictures():
    assert placement_for(10 * GIB, 10 * GIB + RESERVED_BYTES, four_bit=False) is Placement.GPU
    assert (
        placement_for(10 * GIB, 10 * GIB + RESERVED_BYTES - 1, four_bit=False) is Placement.SHARED
    )


def test_a_net_waits_for_the_memory_of_other_workers_before_it_is_placed_worse(
    tmp_path, monkeypatch
):
    (tmp_path / "config.json").write_text('{"quantization_config": {}}')
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(8 * GIB)  # without a block on the disk
    free = [20 * GIB]
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 24 * GIB))

    def place(**how):
        return qwen_net._choose_placement(tmp_path, torch.device("cuda"), **how)

    assert place(wait_for_room=True) is Placement.GPU
    free[:] = [8 * GIB]
    assert place(wait_for_room=False) is Placement.SHARED
    with pytest.raises(GpuBusy):
        place(wait_for_room=True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 9 * GIB))
    assert place(wait_for_room=True) is Placement.SHARED  # nobody can make that room


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_gives_the_same_answer(seeing, net):
    on_gpu = load(net, torch.device("cuda", 0))
    assert on_gpu.name == "Tiny-VL (GPU)"
    expected = seeing.ask(views(photo())).odds
    assert on_gpu.ask(views(photo())).odds == pytest.approx(expected, rel=1e-2)
