"""All weights of the paper engine: their files, addresses, sizes, hashes and licences.

A size or hash that is not published is None. Such a hash is recorded when the file is first seen.
An address names a commit or the tag of a release. `UNPINNED` names the repositories of which no
commit is known: their files have a published hash, or a sentence beside them says why not.
"""

from dataclasses import dataclass

from storage.weights.hub_files import (
    HUB,
    QWEN3_VL_4B,
    QWEN25_VL_7B,
    SD_TURBO,
    SD_TURBO_TEXT,
    Repository,
)

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
    instead: str = ""
    """What a user can do who cannot get the files."""

    @property
    def place(self) -> str:
        """Name of its file, or of the folder of its files, in the weights folder."""
        only = self.files[0].path
        return only.partition("/")[0] if "/" in only else only

    @property
    def likely_bytes(self) -> int:
        """The size of all files, approximate where the exact one is unknown."""
        return sum(file.likely_bytes for file in self.files)


UNPINNED = "main"
"""The branch of a repository of which no commit is known."""
REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/{}"
X4PLUS = HUB.format("schwgHao/RealESRGAN_x4plus", UNPINNED, "{}")
"""A copy of Real-ESRGAN."""
CODEFORMER = "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/{}"
GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download/v1.3.4/{}"
FACE_NETS = HUB.format(
    "MaxedOut/ComfyUI-Starter-Packs",
    "7e036e0bdf2cfd04d07668b768bc887b583f745c",
    "FaceRestore_Models/{}",
)
"""A copy of CodeFormer and GFPGAN."""
RRW = (
    "https://github.com/zhuyr97/Reflection_RemoVal_CVPR2024/raw/"
    "a03dac9bcf80656656ceb08693aff5d97ac7aa81/ckpt/{}.pth"
)
BIG_LAMA = (
    "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
    HUB.format("marcojoao/signature-models", UNPINNED, "big-lama.pt"),
)
OPENCV_ZOO = (
    "https://github.com/opencv/opencv_zoo/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/models/{}"
)


def _folder(name: str, repository: Repository) -> tuple[File, ...]:
    """Return the files of a repository, in a folder of their own."""
    return tuple(
        File(
            f"{name}/{file.path}", repository.origins(file), file.bytes, file.sha256,
            TEXT_BYTES if file.bytes is None else 0,
        )
        for file in repository.files
    )  # fmt: skip


def _nafnet(name: str, size: int, sha256: str) -> tuple[File, ...]:
    mirrors = (
        ("nyanko7/nafnet-models", "08e8c701eb662688cccda3bf3074e90e902bcd3b"),
        ("tog/nafnet-models", UNPINNED),
    )
    origins = tuple(HUB.format(*mirror, f"{name}.pth") for mirror in mirrors)
    return (File(f"{name}.pth", origins, size, sha256),)


def _copied(author: str, copy: str, name: str) -> tuple[str, ...]:
    return author.format(name), copy.format(name)


_APACHE, _MIT, _BSD = "Apache-2.0", "MIT", "BSD-3-Clause"
_S_LAB = "S-Lab License 1.0: non-commercial use only"
_STABILITY = "Stability AI Community License: commercial use is limited, see stability.ai/license"
_WITHOUT_INVSR = 'set enlarging_net = "RealESRGAN_x4plus" in [paper], which needs no InvSR'
_YUNET = "face_detection_yunet_2023mar.onnx"
_QWEN25, _QWEN3 = "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"

TABLE = (
    Weights(_QWEN25, "classifier of the paper", _folder(_QWEN25, QWEN25_VL_7B), _APACHE, True),
    Weights(_QWEN3, "smaller, newer classifier", _folder(_QWEN3, QWEN3_VL_4B), _APACHE, True),
    Weights(
        "sd-turbo", "diffusion network of InvSR: UNet and VAE, fp16",
        _folder("sd-turbo", SD_TURBO), _STABILITY, False, _WITHOUT_INVSR,
    ),
    Weights(
        "sd-turbo-text", "text encoder of sd-turbo, fp16, for the prompt of InvSR",
        _folder("sd-turbo-text", SD_TURBO_TEXT), _STABILITY, False, _WITHOUT_INVSR,
    ),
    Weights(
        "InvSR", "noise predictor, version 5",
        (
            # Neither a commit nor a hash is known: later files must be that which was seen first.
            File(
                "noise_predictor_sd_turbo_v5.pth",
                (HUB.format("OAOA/InvSR", UNPINNED, "noise_predictor_sd_turbo_v5.pth"),),
                about_bytes=135 * MB,
            ),
        ),
        _S_LAB, False, _WITHOUT_INVSR,
    ),
    Weights(
        "RealESRGAN_x4plus", "enlarges text, or the whole image",
        (
            File(
                "RealESRGAN_x4plus.pth",
                _copied(REAL_ESRGAN, X4PLUS, "RealESRGAN_x4plus.pth"), 67_040_989,
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
                BIG_LAMA,
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
                _copied(CODEFORMER, FACE_NETS, "codeformer.pth"),
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
                _copied(GFPGAN, FACE_NETS, "GFPGANv1.4.pth"),
                348_632_874, "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
            ),
        ),
        _APACHE, True,
    ),
    Weights(
        "YuNet", "detects faces",
        (
            File(
                _YUNET,
                (
                    HUB.format(
                        "opencv/face_detection_yunet", "3cc26e7f1014a5ee5d74a42acee58bafc9d0a310",
                        _YUNET,
                    ),
                    OPENCV_ZOO.format(f"face_detection_yunet/{_YUNET}"),
                ),
                232_589, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            ),
        ),
        _MIT, True,
    ),
)  # fmt: skip
