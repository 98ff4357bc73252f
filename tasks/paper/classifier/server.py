"""Classify by a vision-language net on an HTTP server with OpenAI's chat completions.

Ollama, vLLM and llama.cpp are such servers. One token is requested, with the probabilities of the 20
most likely ones. If a server returns none (Ollama before 0.12.11), the letter itself is used.
"""

import base64
import http.client
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image as Pictures

from storage.enums import Category
from storage.photos import Image
from tasks.paper.classifier.answers import (
    MIN_MASS,
    MIN_SCORES,
    Answer,
    ClassifierUnavailable,
    classify,
)
from tasks.paper.classifier.endpoint import Endpoint
from tasks.paper.classifier.prompt import named_category, question, token_category
from tasks.paper.classifier.views import Pixels
from tasks.verdict import Scores, Verdict

log = logging.getLogger(__name__)

TOP_LOGPROBS = 20
"""Number of requested probabilities: the most that OpenAI and vLLM return."""
ANSWER_TOKENS = 16
"""Tokens of a second answer, if the first one is no letter and has no probabilities."""
BARE_LETTER_SCORE = 0.62
"""Score of a letter without probabilities: the accuracy of the best net (DistortBench,
arXiv 2604.19966). It is below `MIN_SCORES` of A, B and C, so it alone causes no restoration."""
MAX_PROBABILITY = 1.001
"""Largest probability after rounding; with larger numbers, the server means something else."""
NO_THINKING: dict[str, Any] = {
    "reasoning_effort": "none",
    "chat_template_kwargs": {"enable_thinking": False},
}
"""Options so that a net answers at once, as Ollama and as vLLM and llama.cpp call them; a net that
thinks first begins with no letter."""
LOGPROBS: dict[str, Any] = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
"""Options for the probabilities of the first token."""
FIRST_ANSWERS = 5
"""Number of answers of which one must begin with a letter; otherwise the net is reported."""
REFUSAL_STATUSES = (400, 422)
"""HTTP statuses of a server that does not know an option, among other reasons."""


@dataclass(frozen=True)
class Server:
    """A server, and its name of the net."""

    url: str
    """Like http://localhost:11434, with or without "/v1" at the end."""
    net: str
    key: str = field(default="", repr=False)
    """Sent as a bearer token unless it is empty."""
    faithful: bool = False
    """Do as the paper does: one picture, its prompt, no calibration."""
    min_scores: Scores = field(default_factory=lambda: MIN_SCORES)
    """Smallest score of a confident verdict, for each category."""
    timeout_seconds: float = 90.0
    """Time limit of one request and its answer, in which a server may load its net."""
    pauses_seconds: Sequence[float] = (1.0, 5.0)
    """Pause before each retry while the server does not answer or is busy."""
    _priors: dict[int, Answer] = field(default_factory=dict, compare=False, repr=False)
    _masses: list[float] = field(default_factory=list, compare=False, repr=False)
    """How likely a letter was in each of the first answers."""
    _refused: set[str] = field(default_factory=set, compare=False, repr=False)
    """Options that the server does not know."""

    def __post_init__(self) -> None:
        """Check address and key.

        Raises:
            SettingsError: the address is no HTTP URL, or the key cannot be sent.

        """
        self._endpoint.check()

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.url, self.key, self.timeout_seconds, self.pauses_seconds)

    @property
    def name(self) -> str:
        """Return the net's name, for the receipt; the server's address is private."""
        return f"{self.net} (served{', as in the paper' if self.faithful else ''})"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Return the verdict on an image, RGB in [0, 1], shape (H, W, 3), any H and W.

        Raises:
            ClassifierUnavailable: the server gives no answer that could be read.

        """
        return classify(
            image, self.ask, self._priors, faithful=self.faithful, min_scores=self.min_scores
        )

    def ask(self, pictures: Sequence[Pixels]) -> Answer:
        """Return the probability of each letter among all first tokens.

        Raises:
            ClassifierUnavailable: the server gives no answer that could be read.

        """
        answer = self._answer(_request(self.net, pictures))
        if len(self._masses) < FIRST_ANSWERS:
            self._masses.append(answer.mass)
            self._warn_without_letters()
        return answer

    def _warn_without_letters(self) -> None:
        """Log it if none of the first answers began with a letter."""
        if len(self._masses) == FIRST_ANSWERS and max(self._masses) < MIN_MASS:
            log.warning(
                "%s on %s began none of its first %d answers with a letter, so photos stay unsure: "
                "it may think first, or not see pictures; choose another classifier_net",
                self.net, self._endpoint.name, FIRST_ANSWERS,
            )  # fmt: skip

    def _answer(self, request: dict[str, Any]) -> Answer:
        choice = self._choice(request | {"max_tokens": 1} | LOGPROBS)
        odds = _odds(choice)
        if odds is not None:
            return Answer(odds)
        _warn_once(self._endpoint.name)
        named = named_category(_text(choice))
        if named is None and choice.get("finish_reason") == "length":
            named = named_category(_text(self._choice(request | {"max_tokens": ANSWER_TOKENS})))
        return Answer(_scores_of_letter(named), measured=False)

    def _choice(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """Send a request, and return the only choice of the answer.

        Options that the server refuses are left out, then and in all later requests.
        """
        options = request | NO_THINKING
        for unknown in (self._refused, {*NO_THINKING}, {*LOGPROBS}, {*NO_THINKING, *LOGPROBS}):
            known = {name: options[name] for name in options if name not in unknown}
            status, body = self._endpoint.post(known)
            if status not in REFUSAL_STATUSES:
                self._refused.update(unknown)
                break
        if status != http.HTTPStatus.OK:
            raise ClassifierUnavailable(
                f"the server {self._endpoint.name} answers {status}: {self._endpoint.excerpt(body)}"
            )
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            choice = json.loads(body)["choices"][0]
            if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
                return choice
        raise ClassifierUnavailable(
            f"the server {self._endpoint.name} answers something else than chat completions: "
            f"{self._endpoint.excerpt(body)}"
        )


def _request(net: str, pictures: Sequence[Pixels]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures
    ]
    content.append({"type": "text", "text": question(len(pictures))})
    messages = [{"role": "user", "content": content}]
    return {"model": net, "messages": messages, "temperature": 0, "seed": 0}


def _data_url(picture: Pixels) -> str:
    """Return a picture as a lossless data URL: JPEG would add a degradation."""
    file = io.BytesIO()
    Pictures.fromarray(picture).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _odds(choice: Mapping[str, Any]) -> dict[Category, float] | None:
    """Return the probability of each letter; None if the server returns none.

    A letter that is not among the returned tokens gets the remaining probability, but no more than
    the least likely returned token.
    """
    try:
        tokens = [
            (str(token["token"]), math.exp(float(token["logprob"])))
            for token in choice["logprobs"]["content"][0]["top_logprobs"]
        ]
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    if not tokens or not all(0 <= share <= MAX_PROBABILITY for _, share in tokens):
        return None
    shares = [share for _, share in tokens]
    rest = max(0.0, min(*shares, 1 - sum(shares)))
    odds = dict.fromkeys(Category, 0.0)
    for token, share in tokens:
        category = token_category(token)
        if category is not None:
            odds[category] += share
    if not any(odds.values()):
        return odds
    return {category: share or rest for category, share in odds.items()}


def _scores_of_letter(named: Category | None) -> dict[Category, float]:
    if named is None:
        return dict.fromkeys(Category, 0.0)
    others = (1 - BARE_LETTER_SCORE) / (len(Category) - 1)
    return {each: BARE_LETTER_SCORE if each is named else others for each in Category}


def _text(choice: Mapping[str, Any]) -> str:
    content = choice["message"].get("content")
    return content if isinstance(content, str) else ""


@cache
def _warn_once(server: str) -> None:
    log.warning(
        "the server %s returns letters without probabilities: they alone cause no restoration",
        server,
    )
