"""Build the classifier and the chains of the paper engine from weights in the weights folder.

Each chain is imported only when it is built, because each needs different libraries.
"""

from dataclasses import dataclass
from typing import assert_never

from storage import weights
from storage.enums import Category
from storage.photos import Image
from storage.settings_paper import PaperSettings
from tasks.chains import Chain, Restorer
from tasks.engines import own_classifier
from tasks.paper.classifier.second_opinion import SecondOpinion
from tasks.receipt import Receipt
from tasks.verdict import Classifier, Verdict


@dataclass(frozen=True)
class ClassifierOnGpu:
    """A classifier whose errors say whether the device or the image is at fault."""

    classifier: Classifier

    @property
    def name(self) -> str:
        return self.classifier.name

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        from tasks.paper import gpu

        with gpu.errors():
            return self.classifier(image, jpeg_quality=jpeg_quality)


@dataclass(frozen=True)
class ChainOnGpu:
    """A chain whose errors say whether the device or the image is at fault."""

    chain: Chain

    @property
    def scale(self) -> int:
        return self.chain.scale

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        from tasks.paper import gpu

        with gpu.errors():
            return self.chain(image, verdict, receipt)


def paper_classifier(
    paper: PaperSettings, *, first: Classifier, wait_for_room: bool = False
) -> Classifier:
    """Build the classifier: a vision-language model here, or on a server.

    `wait_for_room` is that of `qwen.load`. Unless `faithful` is set, it is combined with `first`.

    Raises:
        ClassifierUnavailable: the model cannot be loaded, or a library is missing.
        WeightsMissing, WeightsWrong: its weights are missing or damaged.
        GpuLost, GpuBusy: the GPU cannot be used now.

    """
    second = _server(paper) if paper.classifier_url else _model(paper, wait_for_room)
    return second if paper.faithful else SecondOpinion(first, second)


def paper_chain(category: Category, paper: PaperSettings, *, clean: Restorer, faces: bool) -> Chain:
    """Build the chain of a category. Without `faces`, it changes no face.

    `clean` restores photos that have too many pixels of detail to be enlarged.

    Raises:
        WeightsMissing, WeightsWrong: weights are missing or damaged.
        GpuLost, GpuBusy: the GPU cannot be used now.
        ValueError: the category is clean, which has no chain.

    """
    from tasks.paper import gpu

    with gpu.errors(loading=True):
        return ChainOnGpu(_chain(category, paper, clean=clean, faces=faces))


def _chain(category: Category, paper: PaperSettings, *, clean: Restorer, faces: bool) -> Chain:
    match category:
        case Category.SUPER_RESOLUTION:
            from tasks.paper.super_resolution import super_resolution

            return super_resolution(paper, clean, faces=faces)
        case Category.REFLECTION:
            from tasks.paper.reflection import reflection

            return reflection(paper)
        case Category.MOTION_BLUR:
            from tasks.paper.motion_blur import motion_blur

            return motion_blur(paper, faces=faces)
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)


def _server(paper: PaperSettings) -> Classifier:
    from tasks.paper.classifier.server import Server

    return Server(paper.classifier_url, paper.classifier_net, paper.classifier_key, paper.faithful)


def _model(paper: PaperSettings, wait_for_room: bool) -> Classifier:
    from tasks.paper import gpu
    from tasks.paper.classifier import qwen
    from tasks.paper.tensors import best_device

    folder = own_classifier(paper) or weights.path(paper.classifier)
    with gpu.errors(loading=True):
        net = qwen.load(folder, best_device(), faithful=paper.faithful, wait_for_room=wait_for_room)
        return ClassifierOnGpu(net)
