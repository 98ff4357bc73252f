"""All weights of the paper engine: their files, addresses, sizes, hashes and licences.

A size or hash that is not published is None. Such a hash is recorded when the file is first seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MB = 1_000_000
MAX_SIZE_FACTOR = 1.5
"""Largest accepted size of a file, relative to `about_bytes`."""
TEXT_BYTES = 10 * MB
"""Assumed size of a file of settings or tokens; none is published."""


@dataclass(frozen=True)
class File:
    """One file of some weights."""

    path: str
    """Path below the weights folder, with slashes."""
    origins: tuple[str, ...]
    """Addresses, the preferred one first."""
    bytes: int | None = None
    sha256: str | None = None
    about_bytes: int = 0
    """Approximate size, from its web page or its number of parameters, if `bytes` is None."""

    @property
    def likely_bytes(self) -> int:
        """The exact size, or the approximate one if that is unknown."""
        return self.about_bytes if self.bytes is None else self.bytes

    @property
    def max_bytes(self) -> int:
        """The largest size that is accepted."""
        return int(self.about_bytes * MAX_SIZE_FACTOR) if self.bytes is None else self.bytes


@dataclass(frozen=True)
class Weights:
    """The files of one network, and the terms of their use."""

    name: str
    purpose: str
    files: tuple[File, ...]
    licence: str
    commercial: bool
    """False if the licence forbids or limits commercial use, or if there is none."""

    @property
    def place(self) -> str:
        """Name of its file, or of the folder of its files, in the weights folder."""
        only = self.files[0].path
        return only.partition("/")[0] if "/" in only else only

    @property
    def likely_bytes(self) -> int:
        """The size of all files, approximate where the exact one is unknown."""
        return sum(file.likely_bytes for file in self.files)


HUB = "https://huggingface.co/{}/resolve/main/{}"
REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/{}/{}"
RRW = "https://github.com/zhuyr97/Reflection_RemoVal_CVPR2024/raw/HEAD/ckpt/{}.pth"
OPENCV_ZOO = "https://github.com/opencv/opencv_zoo/raw/main/models/{}"


def _folder(
    name: str, repository: str, large: Iterable[tuple[str, int]], small: Iterable[str]
) -> tuple[File, ...]:
    """Return the files of a repository; `large` has names and approximate sizes in bytes."""
    return tuple(
        File(f"{name}/{path}", (HUB.format(repository, path),), about_bytes=size)
        for path, size in (*large, *((path, TEXT_BYTES) for path in small))
    )


def _shards(count: int, total_bytes: int) -> list[tuple[str, int]]:
    """Return the files of a network that is stored in `count` parts of about equal size."""
    names = (f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1))
    return [(name, total_bytes // count) for name in names]


def _nafnet(name: str, size: int, sha256: str) -> tuple[File, ...]:
    mirrors = ("nyanko7/nafnet-models", "tog/nafnet-models")
    origins = tuple(HUB.format(mirror, f"{name}.pth") for mirror in mirrors)
    return (File(f"{name}.pth", origins, size, sha256),)


_TEXTS = (
    "config.json", "generation_config.json", "merges.txt", "model.safetensors.index.json",
    "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
    "chat_template.json",
)  # fmt: skip
_APACHE, _MIT, _BSD = "Apache-2.0", "MIT", "BSD-3-Clause"
_S_LAB = "S-Lab License 1.0: non-commercial use only"
_STABILITY = "Stability AI Community License: commercial use is limited, see stability.ai/license"
_QWEN25, _QWEN3 = "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"

TABLE = (
    Weights(
        _QWEN25, "classifier of the paper",
        _folder(_QWEN25, f"Qwen/{_QWEN25}", _shards(5, 16_600 * MB), _TEXTS),
        _APACHE, True,
    ),
    Weights(
        _QWEN3, "smaller, newer classifier",
        _folder(
            _QWEN3, f"Qwen/{_QWEN3}", _shards(2, 8_900 * MB),
            (*_TEXTS, "video_preprocessor_config.json"),
        ),
        _APACHE, True,
    ),
    Weights(
        "sd-turbo", "diffusion network of InvSR: UNet and VAE, fp16",
        _folder(
            "sd-turbo", "stabilityai/sd-turbo",
            [
                ("unet/diffusion_pytorch_model.fp16.safetensors", 1_730 * MB),
                ("vae/diffusion_pytorch_model.fp16.safetensors", 167 * MB),
            ],
            ["unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"],
        ),
        _STABILITY, False,
    ),
    Weights(
        "sd-turbo-text", "text encoder of sd-turbo, fp16, for the prompt of InvSR",
        _folder(
            "sd-turbo-text", "stabilityai/sd-turbo",
            [("text_encoder/model.fp16.safetensors", 681 * MB)],
            [
                "text_encoder/config.json", "tokenizer/merges.txt", "tokenizer/vocab.json",
                "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json",
            ],
        ),
        _STABILITY, False,
    ),
    Weights(
        "InvSR", "noise predictor, version 5",
        (
            File(
                "noise_predictor_sd_turbo_v5.pth",
                (HUB.format("OAOA/InvSR", "noise_predictor_sd_turbo_v5.pth"),),
                about_bytes=135 * MB,
            ),
        ),
        _S_LAB, False,
    ),
    Weights(
        "RealESRGAN_x4plus", "enlarges text, or the whole image",
        (
            File(
                "RealESRGAN_x4plus.pth",
                (REAL_ESRGAN.format("v0.1.0", "RealESRGAN_x4plus.pth"),), 67_040_989,
                "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            ),
        ),
        _BSD, True,
    ),
    Weights(
        "YOSO-coco", "initial weights of `photomend train reflection-detector --yoso`",
        (
            File(
                "yoso_res50_coco.pth",
                ("https://github.com/hujiecpp/YOSO/releases/download/v0.1/yoso_res50_coco.pth",),
                about_bytes=170 * MB,  # 42.09 million parameters, float32
            ),
        ),
        _MIT, True,
    ),
    Weights(
        "big-lama", "fills the areas that strong reflections hide",
        (
            File(
                "big-lama.pt",
                ("https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",),
                205_669_692, "344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            ),
        ),
        _APACHE, True,
    ),
    Weights(
        "RRW", "locates weak reflections (RD) and removes them (RR)",
        tuple(
            File(
                f"RRW/{name}.pth",
                (RRW.format(name),),
                about_bytes=100 * MB,  # no file in a repository on GitHub may have more
            )
            for name in ("RR", "RD")
        ),
        "none stated; ask the authors (Zhu et al., CVPR 2024)", False,
    ),
    Weights(
        "NAFNet-REDS-width64", "removes motion blur, also from compressed photos",
        _nafnet(
            "NAFNet-REDS-width64", 271_756_689,
            "175fe8b3cdf3abedfbc87769779c3d9f491e05bb2e73ea9d627883f90a4b2df3",
        ),
        _MIT, True,
    ),
    Weights(
        "NAFNet-GoPro-width64", "removes motion blur, as in the paper's tables",
        _nafnet(
            "NAFNet-GoPro-width64", 271_778_961,
            "329d3ab4077b8d6b7ff61de376e483714667960bf85be027bf4335cda701196f",
        ),
        _MIT, True,
    ),
    Weights(
        "NAFNet-GoPro-width32", "removes motion blur, smaller",
        _nafnet(
            "NAFNet-GoPro-width32", 68_671_121,
            "19394e6155d12ef6371d1d57496f87f0ec88f92bdffa27c0792690722d5d1a5c",
        ),
        _MIT, True,
    ),
    Weights(
        "CodeFormer", "restores faces",
        (
            File(
                "codeformer.pth",
                ("https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",),
                376_637_898, "1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
            ),
        ),
        _S_LAB, False,
    ),
    Weights(
        "GFPGANv1.4", "restores faces, also for commercial use",
        (
            File(
                "GFPGANv1.4.pth",
                ("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.4/GFPGANv1.4.pth",),
                348_632_874, "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
            ),
        ),
        _APACHE, True,
    ),
    Weights(
        "YuNet", "detects faces",
        (
            File(
                "face_detection_yunet_2023mar.onnx",
                (
                    HUB.format("opencv/face_detection_yunet", "face_detection_yunet_2023mar.onnx"),
                    OPENCV_ZOO.format("face_detection_yunet/face_detection_yunet_2023mar.onnx"),
                ),
                232_589, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            ),
        ),
        _MIT, True,
    ),
)  # fmt: skip
