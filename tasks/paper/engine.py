"""The classifier and the chains of the paper engine, built from the weights that the owner fetched.

The parts of a chain are imported with it, since each needs other libraries.
"""

from typing import assert_never

from storage import weights
from storage.enums import Category
from storage.settings_paper import PaperSettings
from tasks.chains import Chain, Restorer
from tasks.engines import own_classifier
from tasks.paper.classifier.second_opinion import SecondOpinion
from tasks.verdict import Classifier


def paper_classifier(known: PaperSettings, *, first: Classifier) -> Classifier:
    """Build the classifier: a vision-language model, or a server that has one.

    Unless the paper is followed to the letter, `first` is asked before it.

    Raises:
        ClassifierAway: the model cannot be loaded, or it lacks a library.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    seeing = _server(known) if known.classifier_url else _model(known)
    return seeing if known.faithful else SecondOpinion(first, seeing)


def paper_chain(
    category: Category, known: PaperSettings, *, clean: Restorer, faces: bool = True
) -> Chain:
    """Build the chain that mends a category; without `faces` it changes none.

    `clean` restores photos that hold too much to be enlarged.

    Raises:
        WeightsMissing, WeightsWrong: weights are not here, or not what they should be.
        ValueError: a clean photo needs none.

    """
    match category:
        case Category.SUPER_RESOLUTION:
            from tasks.paper.super_resolution import super_resolution

            return super_resolution(known, clean)
        case Category.REFLECTION:
            from tasks.paper.reflection import reflection

            return reflection(known)
        case Category.MOTION_BLUR:
            from tasks.paper.motion_blur import motion_blur

            return motion_blur(known, faces=faces)
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)


def _server(known: PaperSettings) -> Classifier:
    from tasks.paper.classifier.server import Server

    return Server(known.classifier_url, known.classifier_net, known.classifier_key, known.faithful)


def _model(known: PaperSettings) -> Classifier:
    from tasks.paper.classifier import qwen
    from tasks.paper.tensors import best_device

    folder = own_classifier(known) or weights.path(known.classifier)
    return qwen.load(folder, best_device(), faithful=known.faithful)
