"""The classifier of the paper engine: a vision-language model, after one that measures.

Also where the paper leaves it open: a server in the model's place, and a second opinion.
"""

from storage import weights
from storage.settings import PaperSettings
from tasks.engines import own_classifier
from tasks.paper.classifier.second_opinion import SecondOpinion
from tasks.verdict import Classifier


def load(known: PaperSettings, *, first: Classifier) -> Classifier:
    """Build the classifier; unless the paper is followed to the letter, `first` is asked, too.

    Raises:
        ClassifierAway: the model cannot be loaded, or it lacks a library.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    seeing = _server(known) if known.classifier_url else _model(known)
    return seeing if known.faithful else SecondOpinion(first, seeing)


def _server(known: PaperSettings) -> Classifier:
    from tasks.paper.classifier.server import Server

    return Server(known.classifier_url, known.classifier_net, known.classifier_key, known.faithful)


def _model(known: PaperSettings) -> Classifier:
    from tasks.paper.classifier import qwen
    from tasks.paper.tensors import best_device

    folder = own_classifier(known) or weights.path(known.classifier)
    return qwen.load(folder, best_device(), faithful=known.faithful)
