"""The files of repositories on the hub, at one revision each, with their published hashes."""

from dataclasses import dataclass

HUB = "https://huggingface.co/{}/resolve/{}/{}"
"""Repository, revision and path."""
MARIGOLD = HUB.format(
    "prs-eth/marigold-iid-appearance-v1-1", "e7280a0a0fc5a0df0b36050882b3d8b77da22fd9", "{}"
)
"""A network whose VAE and text encoder are those of sd-turbo."""


@dataclass(frozen=True)
class Published:
    """A file of a repository."""

    path: str
    bytes: int | None
    """None if it is not published."""
    sha256: str
    copies: tuple[str, ...] = ()
    """Addresses of the same file in other repositories."""


@dataclass(frozen=True)
class Repository:
    """Files of a repository."""

    name: str
    revision: str
    files: tuple[Published, ...]

    def origins(self, file: Published) -> tuple[str, ...]:
        """Return the addresses of one of its files."""
        return (HUB.format(self.name, self.revision, file.path), *file.copies)


_SD_TURBO = "stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2"

_QWEN_TOKENS = (
    Published(
        "vocab.json", 2_776_833,
        "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910",
    ),
    Published(
        "merges.txt", 1_671_839,
        "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3",
    ),
)  # fmt: skip
"""The same files in both repositories."""
QWEN25_VL_7B = Repository(
    "Qwen/Qwen2.5-VL-7B-Instruct", "cc594898137f460bfe9f0759e9844b3ce807cfb5",
    (
        Published(
            "model-00001-of-00005.safetensors", 3_900_233_256,
            "e97b877e47fde53a6c6e77aafb36e58e91ee9d95c4a3eeac6f1b5c0e6a1c986e",
        ),
        Published(
            "model-00002-of-00005.safetensors", 3_864_726_320,
            "a9a300a43b4724eee2abe7c18ceb26768d0ab011eb0cad19d9bfd2476a24d024",
        ),
        Published(
            "model-00003-of-00005.safetensors", 3_864_726_424,
            "111223d173e00bbee81cba1216fad28668df3476706b7fd26f4d5b50f8b3a507",
        ),
        Published(
            "model-00004-of-00005.safetensors", 3_864_733_680,
            "ef47f634fa57d46ee134edcc09f34085a47da1e16c12a2abe0d67118be6d72ed",
        ),
        Published(
            "model-00005-of-00005.safetensors", 1_089_994_880,
            "0c859795ad3a627a9b95bcb762e059d5b768a4a36fdd4affeff269d93fdecc67",
        ),
        Published(
            "model.safetensors.index.json", 57_619,
            "73b333b0b16e5286ddba615d2caebcd495cf7e616f52eb217a81781393d79de9",
        ),
        Published(
            "config.json", 1_374,
            "77d9ec7321cc572e3579e2c84799c9cadaded63c49ce93b101733349fc330c43",
        ),
        Published(
            "generation_config.json", 216,
            "0a3aea82869fe29f20dc95ccf3e2bcff380eca1f5ad6447a4a4b37110b08e43e",
        ),
        Published(
            "preprocessor_config.json", 350,
            "f2058c716eef96ccaed1cc1e2d0c08306b62586d535b28d9d08e691b2fab7ca0",
        ),
        Published(
            "chat_template.json", 1_050,
            "ad60d90252ed0b0705ba14e2d0ad0fec0beac1ea955642b54059b36052d8bc96",
        ),
        Published(
            "tokenizer.json", 7_031_645,
            "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539",
        ),
        Published(
            "tokenizer_config.json", 5_702,
            "4abd3520120e266da84c0864fee064d1fb10806f02225911a47253dd38dc5f56",
        ),
        *_QWEN_TOKENS,
    ),
)  # fmt: skip
QWEN3_VL_4B = Repository(
    "Qwen/Qwen3-VL-4B-Instruct", "ebb281ec70b05090aa6165b016eac8ec08e71b17",
    (
        Published(
            "model-00001-of-00002.safetensors", 4_967_229_296,
            "30a01a0556622645a3cce87b655bbbbbc1f170c196099f1b666c93202c3339a9",
        ),
        Published(
            "model-00002-of-00002.safetensors", 3_908_490_048,
            "046296a2a387efb43b0c997d5833c789604d168834f6e0d3064bf7bb13d002a6",
        ),
        Published(
            "model.safetensors.index.json", None,
            "58a7841d7bff2548dd91577d216274a83cf1b500bc6a534b809d6c1b1707cf2b",
        ),
        Published(
            "config.json", None,
            "edac7703329133edfc53e46ac0081835144c99d7eebf28b71c732694d435224d",
        ),
        Published(
            "generation_config.json", 269,
            "8469742d1fce0de951c8909b26a2c0c0d8490837ce476efb114da9e0cefc4d44",
        ),
        Published(
            "preprocessor_config.json", 390,
            "27225450ac9c6529872ee1924fcb0962ff5634834f817040f444118116f4e516",
        ),
        Published(
            "video_preprocessor_config.json", 385,
            "7768af27c1fafa9cc9011c1dc20067e03f8915e03b63504550e11d5066986d13",
        ),
        Published(
            "chat_template.json", 5_502,
            "6f8a6a55027e3da5160105556cda5dd69f6423f1c32645f6730d32de7773d0c4",
        ),
        Published(
            "tokenizer.json", 7_032_403,
            "a5d85b6dcc535e6b93115a9ef287e6132fdbf30270da6218194ba742261173c7",
        ),
        Published(
            "tokenizer_config.json", 10_868,
            "c2da771801886ad9ae98181793ffd3dfb7f1af30f6f7c6a4e15d7dbba52e2399",
        ),
        *_QWEN_TOKENS,
    ),
)  # fmt: skip
SD_TURBO = Repository(
    *_SD_TURBO,
    (
        Published(
            "unet/diffusion_pytorch_model.fp16.safetensors", 1_731_904_736,
            "40ec400881e27d1376c7c95c5bd495f407b33756e80eb6365e301c33a07af6e5",
        ),
        Published(
            "vae/diffusion_pytorch_model.fp16.safetensors", 167_335_342,
            "3e4c08995484ee61270175e9e7a072b66a6e4eeb5f0c266667fe1f45b90daf9a",
            (MARIGOLD.format("vae/diffusion_pytorch_model.fp16.safetensors"),),
        ),
        Published(
            "unet/config.json", 1_867,
            "ca09d494527ebe13343006e22b4468d45bf12aa34e76cf03639b6dbba1fb5c6d",
        ),
        Published(
            "vae/config.json", 655,
            "699a58ef7ecf3bffa201a507a3eaa3eed7efabab457ac547bf82df798b52a9be",
        ),
        Published(
            "scheduler/scheduler_config.json", 553,
            "5599066c725fc2747a201fa3165ad7c8c3de3be629ce325451752e8f94c0d1ae",
        ),
    ),
)  # fmt: skip
SD_TURBO_TEXT = Repository(
    *_SD_TURBO,
    (
        Published(
            "text_encoder/model.fp16.safetensors", 680_820_392,
            "bc1827c465450322616f06dea41596eac7d493f4e95904dcb51f0fc745c4e13f",
            (MARIGOLD.format("text_encoder/model.fp16.safetensors"),),
        ),
        Published(
            "text_encoder/config.json", 618,
            "9f6935d3d41bf8ce49b1d7ed912b29e770649d1aa3f3972215284f9397cd97d2",
        ),
        Published(
            "tokenizer/merges.txt", 524_619,
            "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a",
        ),
        Published(
            "tokenizer/vocab.json", 1_059_962,
            "e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a4349",
        ),
        Published(
            "tokenizer/special_tokens_map.json", None,
            "c2d0fb8b86ad86b1f46134d4a5f93fd1e688c932a78efc8d149087c33a53ad06",
        ),
        Published(
            "tokenizer/tokenizer_config.json", None,
            "516314ccab66918d7cb647480ac27abd3520d14e1e5825aac99f50c851c16071",
        ),
    ),
)  # fmt: skip
