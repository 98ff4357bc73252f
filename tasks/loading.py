"""Build the classifier and the chains of an engine by its name.

Networks and their libraries are imported by the engine that is asked for, not with this module.
"""

from functools import cache, lru_cache

from storage.enums import CLASSIFY, Category, EngineName
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks.chains import Chain
from tasks.engines import allowed_engine
from tasks.mend import Engine
from tasks.verdict import Classifier


def engine(name: EngineName) -> Engine:
    """Return the engine of a name; lite takes the steps that the settings leave to it.

    One chain stays loaded.
    """
    return Engine(
        cache(lambda: classifier(allowed_engine(name, CLASSIFY))),
        lru_cache(maxsize=1)(lambda category: chain(allowed_engine(name, category), category)),
        settings().least_change,
    )


def classifier(name: EngineName, *, wait_for_room: bool = False) -> Classifier:
    """Build the classifier of an engine. `wait_for_room`: others may free the memory that it lacks.

    Raises:
        ClassifierUnavailable: it cannot answer now.
        GpuBusy: with `wait_for_room`, it would run otherwise than on a GPU that others do not use.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    from tasks.lite.classifier import Lite

    match name:
        case EngineName.LITE:
            return Lite()
        case EngineName.PAPER:
            from tasks.paper.engine import paper_classifier

            paper = settings().paper
            return paper_classifier(paper, first=Lite(), wait_for_room=wait_for_room)


def chain(name: EngineName, category: Category, *, faces: bool = True) -> Chain:
    """Build the chain of a category; without `faces` it changes no face.

    Raises:
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.
        ValueError: a clean photo needs none.

    """
    match name:
        case EngineName.LITE:
            from tasks.lite.engine import lite_chain

            return lite_chain(category)
        case EngineName.PAPER:
            from tasks.lite.cleaning import clean
            from tasks.paper.engine import paper_chain

            return paper_chain(category, settings().paper, clean=clean, faces=faces)


def server_names_a_letter(paper: PaperSettings) -> bool:
    """Ask the classifier's server about a grey picture; return whether a letter is its likely answer.

    Raises:
        ClassifierUnavailable: it does not answer.
        SettingsError: its address or key cannot be used.

    """
    from tasks.paper.classifier.answers import MIN_MASS
    from tasks.paper.classifier.server import Server
    from tasks.paper.classifier.views import grey

    url, net, key = paper.classifier_url, paper.classifier_net, paper.classifier_key
    return Server(url, net, key, pauses_seconds=()).ask(grey(1)).mass >= MIN_MASS
