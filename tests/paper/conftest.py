"""Tiny networks of the paper engine, in files with the names of the real ones.

Their architectures are the real ones, what they make is not.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.enums import QUEUES

SITE = Path(__file__).parent / "site"
"""Folder for PYTHONPATH of processes that a test starts."""
TF32 = 0.01
"""Largest difference on a GPU over the largest value: its convolutions round to 10 bits. Rounded so on
a CPU, the golden tests differ by 0.003 at most, those of YOSO by 0.03."""
SHARPENING = 0.4
"""Share of the Laplacian that the tiny NAFNet adds."""
SHARED = Path(__file__).parents[2] / "../shared"


def _module(file):
    """Import a file beside the tests."""
    spec = importlib.util.spec_from_file_location(f"_paper_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_site = _module(SITE / "sitecustomize.py")

try:
    import tokenizers
    import torch
    import transformers
except ImportError:  # each test says what it misses
    pass

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _tokenizer():
    """Build a tokenizer of bytes, "A" to "D" after a space, and one token that begins with a letter."""
    signs = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merged = [("Ġ", sign) for sign in "ABCD"] + [("A", "n")]
    vocabulary = [*signs, *("".join(pair) for pair in merged)]
    bytewise = tokenizers.Tokenizer(
        tokenizers.models.BPE({token: number for number, token in enumerate(vocabulary)}, merged)
    )
    bytewise.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytewise, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL, chat_template=CHAT,
    )  # fmt: skip


TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 8192, "bos_token_id": None,
}  # fmt: skip
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4,
    "out_hidden_size": 32, "spatial_merge_size": 2, "temporal_patch_size": 2,
}  # fmt: skip


def _qwen25():
    """Return the beginning of class names of Qwen2.5-VL, and the sizes of its text and vision parts."""
    vision = VISION | {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]}
    return "Qwen2_5_VL", "Qwen2VL", TEXT | {"rope_parameters": ROPE}, vision


def _qwen3():
    """Return the same as `_qwen25` for Qwen3-VL."""
    text = TEXT | {
        "rope_parameters": ROPE | {"mrope_section": [2, 1, 1], "mrope_interleaved": True}
    }
    vision = VISION | {
        "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return "Qwen3VL", "Qwen3VL", text, vision


def _net(tokenizer, kind, text, vision):
    number = tokenizer.convert_tokens_to_ids
    tokens = {
        "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        text_config=text | tokens, vision_config=vision,
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    net = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    with torch.no_grad():  # large enough that what it sees makes a difference
        for weights in net.parameters():
            if weights.dim() > 1:
                weights.mul_(5)
    return net


def _write_qwen(where, kind, video, text, vision):
    """Write a tiny random net and its processor in the published layout."""
    pytest.importorskip("transformers", reason="the paper engine needs transformers")
    tokenizer = _tokenizer()
    levels = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} if kind == "Qwen3VL" else {}
    pictures = transformers.Qwen2VLImageProcessor(
        patch_size=vision["patch_size"], min_pixels=3136, max_pixels=12845056, **levels
    )
    processor = getattr(transformers, f"{kind}Processor")(
        image_processor=pictures, tokenizer=tokenizer,
        video_processor=getattr(transformers, f"{video}VideoProcessor")(), chat_template=CHAT,
    )  # fmt: skip
    _net(tokenizer, kind, text, vision).save_pretrained(where)
    processor.save_pretrained(where)
    return where


@dataclass(frozen=True)
class Device:
    """Where a test computes, and how near to a golden tensor it comes there."""

    torch: "torch.device"

    @property
    def half(self):
        """The type in which the engine runs diffusion on a GPU; on a CPU, one that it knows."""
        return torch.float16 if self.torch.type == "cuda" else torch.bfloat16

    def near(self, made, expected, on_cpu, tf32=TF32):
        """Return whether two tensors differ by less than `on_cpu`, or than TF32 explains on a GPU."""
        assert made.shape == expected.shape
        on_gpu = max(on_cpu, tf32 * float(expected.abs().max()))
        difference = float((made.cpu() - expected.cpu()).abs().max())
        return difference < (on_gpu if self.torch.type == "cuda" else on_cpu)


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """The CPU, then the GPU if there is one: `pytest -m gpu tests/paper` proves the engine on it."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return Device(torch.device(request.param))


@pytest.fixture(scope="session")
def chat():
    """The chat template of the tiny nets."""
    return CHAT


@pytest.fixture(scope="session")
def qwen(tmp_path_factory):
    """The folder of a tiny random Qwen2.5-VL in the published layout."""
    return _write_qwen(tmp_path_factory.mktemp("nets") / "Tiny-VL", *_qwen25())


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory):
    """The folder of a tiny random Qwen3-VL in the published layout."""
    return _write_qwen(tmp_path_factory.mktemp("nets") / "Tiny-VL", *_qwen3())


@pytest.fixture(scope="session")
def official_x4plus(tmp_path_factory):
    """A file with the official weights of RealESRGAN_x4plus."""
    file = tmp_path_factory.mktemp("official") / "RealESRGAN_x4plus.safetensors"
    _module(Path(__file__).parent / "ncnn.py").write_x4plus(file)
    return file


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A weights folder for the default settings; Real-ESRGAN and YuNet are real."""
    for name in ("diffusers", "transformers", "spandrel"):
        pytest.importorskip(name, reason="the paper engine's packages are not installed")
    if not (SHARED / "parity").is_dir():
        pytest.skip("the golden tensors are not beside this checkout")
    folder = tmp_path_factory.mktemp("weights")
    _write_sd_turbo(folder)
    _write_text_encoder(folder / "sd-turbo-text")
    from safetensors.torch import load_file

    from tasks.paper.nets.noise_predictor import NoisePredictor

    torch.manual_seed(0)
    predictor = NoisePredictor(_site.tiny_noise_predictor())
    torch.save(predictor.state_dict(), folder / "noise_predictor_sd_turbo_v5.pth")
    compact = load_file(SHARED / "weights/realesrgan_compact_x4.safetensors")
    torch.save(compact, folder / "RealESRGAN_x4plus.pth")
    torch.save(_sharpening_nafnet(), folder / "NAFNet-REDS-width64.pth")
    _write_reflection_nets(folder)
    yunet = folder / "face_detection_yunet_2023mar.onnx"
    yunet.write_bytes((SHARED / "weights/yunet_n_640.onnx").read_bytes())
    return folder


@pytest.fixture
def tiny_text_encoder(tmp_path):
    """The folder of a tiny CLIP and its tokenizer, in the layout of sd-turbo's text encoder."""
    pytest.importorskip("transformers", reason="the paper engine's packages are not installed")
    _write_text_encoder(tmp_path / "sd-turbo-text")
    return tmp_path / "sd-turbo-text"


@pytest.fixture
def any_weights(monkeypatch):
    """Accept any files, and a tiny InvSR, as weights in this process."""
    from storage.weights import folder
    from tasks.paper.nets import noise_predictor

    sizes = _site.tiny_noise_predictor()
    monkeypatch.setattr(folder, "TABLE", _site.without_hashes(folder.TABLE))
    monkeypatch.setattr(noise_predictor, "Sizes", lambda: sizes)


@pytest.fixture
def known_weights(tiny_weights, any_weights):
    """Accept the tiny weights in this process; the folder of these weights."""
    return tiny_weights


@pytest.fixture
def ultralytics(home, monkeypatch):
    """Ultralytics, imported as by the product."""
    for name in (
        "ultralytics",
        "polars",
    ):  # not imported: alone, it would write into the home folder
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"a YOLO needs {name}")
    from tasks.paper.detectors import yolo

    yolo.library.cache_clear()
    made = yolo.library()
    _site.sieve_boxes()
    return made


@pytest.fixture
def tiny_yolo(ultralytics, tmp_path):
    """The architecture of YOLOv8-seg, a thirtieth as wide."""
    text = (Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8-seg.yaml").read_text()
    file = tmp_path / "yolov8n-seg.yaml"
    file.write_text(text.replace("n: [0.33, 0.25, 1024]", "n: [0.33, 0.0625, 64]"))
    return file


def _write_sd_turbo(folder):
    import diffusers
    from safetensors import safe_open
    from safetensors.torch import load_file

    golden = SHARED / "parity/invsr_tiny.safetensors"
    tensors = load_file(golden)
    with safe_open(golden, "pt") as file:
        config = json.loads(file.metadata()["config"])
    parts = {"vae": diffusers.AutoencoderKL, "unet": diffusers.UNet2DConditionModel}
    for name, kind in parts.items():
        net = kind(**config[name])
        own = {
            k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")
        }
        net.load_state_dict(own)
        net.save_pretrained(folder / "sd-turbo" / name, variant="fp16")
    (folder / "sd-turbo/scheduler").mkdir()
    (folder / "sd-turbo/scheduler/scheduler_config.json").write_text("{}")


def _write_text_encoder(folder):
    """Write a CLIP with letters as tokens and the embedding width of the tiny UNet."""
    letters = "abcdefghijklmnopqrstuvwxyz,-8"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["!", "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({text: at for at, text in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="!"
    )
    tokenizer.model_max_length = 77
    tokenizer.save_pretrained(folder / "tokenizer")
    for name in ("vocab.json", "merges.txt"):
        (folder / name).rename(folder / "tokenizer" / name)
    (folder / "tokenizer/special_tokens_map.json").write_text("{}")
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1,
    )  # fmt: skip
    transformers.CLIPTextModel(config).save_pretrained(folder / "text_encoder", variant="fp16")


def _write_reflection_nets(folder):
    """Write RRW, LaMa, and a YOSO of the owner's own that finds a reflection in every photo."""
    from spandrel.architectures.LaMa import LaMa

    from tasks.paper.nets.rrw import LocationNet, SeparationNet
    from tasks.paper.nets.yoso import Sizes, YosoNet

    torch.manual_seed(1)
    (folder / "RRW").mkdir()
    torch.save(LocationNet().state_dict(), folder / "RRW/RD.pth")
    torch.save(SeparationNet(8, (1, 1), 1, (1, 1)).state_dict(), folder / "RRW/RR.pth")
    torch.save(LaMa(in_nc=4).state_dict(), folder / "big-lama.pt")
    yoso = YosoNet(Sizes(8, 4, 16, 32, 1, 1))
    yoso.yoso_head.mask_heads[-1].fc_cls.bias.data[:] = torch.tensor([9.0, 0])
    torch.save(yoso.state_dict(), folder / "own-yoso.pth")


def _sharpening_nafnet():
    """Return a NAFNet that only sharpens: its blocks are the identity, its ending is a Laplacian."""
    from tasks.paper.nets.nafnet import NAFNet

    net = NAFNet(8, (1, 1), 1, (1, 1))
    for weights in net.parameters():
        if weights.dim() == 1 or weights.shape[1] > 1:
            torch.nn.init.zeros_(weights)
    with torch.no_grad():
        for colour in range(3):
            net.intro.weight[colour, colour, 1, 1] = 1
            net.ending.weight[colour, colour] = SHARPENING * torch.tensor(
                ((0.0, -1, 0), (-1, 4, -1), (0, -1, 0))
            )
    return net.state_dict()


@pytest.fixture
def start_paper_engine(home, photomend, tiny_weights, qwen, monkeypatch):
    """Start a watcher and workers with the paper engine, and return the first worker's process.

    Keywords change `[paper]`.
    """

    def start(weights_dir=tiny_weights, workers=(QUEUES,), **wishes):
        paper = {"classifier": str(qwen), **wishes}
        environment = {
            "PHOTOMEND_ENGINE": "paper", "PHOTOMEND_PAPER": json.dumps(paper),
            "PHOTOMEND_WEIGHTS_DIR": str(weights_dir), "PYTHONPATH": str(SITE),
            "TINY_WEIGHTS": "1", "OMP_NUM_THREADS": "1",
            "PHOTOMEND_LEAST_CHANGE": "any",  # the tiny nets change less than anybody sees
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        photomend("watch")
        started = [photomend("work", *queues) for queues in workers]
        return started[0]

    return start
