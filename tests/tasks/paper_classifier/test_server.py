"""A vision-language net behind a real server on this machine, with all its answers and failures."""

import base64
import functools
import io
import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from daemon.reports import worker_checks
from storage.database import galleries, search
from storage.enums import QUEUES, Category, Decision, ErrorKind, Status
from storage.errors import PhotomendError, SettingsError
from storage.settings import settings
from tasks.paper.classifier import server as module
from tasks.paper.classifier.answers import ClassifierUnavailable
from tasks.paper.classifier.endpoint import MAX_BYTES
from tasks.paper.classifier.prompt import PREFACE, PROMPT
from tasks.paper.classifier.server import BARE_LETTER_SCORE, Server
from tasks.paper.classifier.views import grey, views
from tasks.steps.run_step import run_step
from tasks.worker import redis_client, runtime
from tests.recorded import seen

A, B, C, D = Category
IMAGE = np.random.default_rng(0).random((120, 160, 3), np.float32)


class ChatServer(ThreadingHTTPServer):
    """Records requests, and answers each by `behave(handler, request)`."""

    daemon_threads = True

    def __init__(self, behave):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave, self.asked, self.headers = behave, [], []
        self.over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """Log nothing about clients that disconnect."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        self.server.headers.append((self.path, dict(self.headers)))
        self.server.behave(self, question)

    def reply(self, body, status=200):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def chat_server():
    running = []

    def start(behave):
        server = ChatServer(behave)
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _forget():
    module._warn_once.cache_clear()


def classifier(chat_server, **more):
    more = {"timeout_seconds": 20, "pauses_seconds": (0.01, 0.02)} | more
    return Server(chat_server.url, "some-vl", **more)


def completion(content, likely=None, finish="length"):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    choice["finish_reason"] = finish
    if likely is not None:
        told = [{"token": token, "logprob": math.log(share)} for token, share in likely.items()]
        first = {"token": content, "logprob": told[0]["logprob"], "top_logprobs": told}
        choice["logprobs"] = {"content": [first]}
    return {"object": "chat.completion", "choices": [choice]}


def pictures_of(question):
    (message,) = question["messages"]
    shown = []
    for part in message["content"][:-1]:
        head, _, code = part["image_url"]["url"].partition(",")
        assert (part["type"], head) == ("image_url", "data:image/png;base64")
        with Pictures.open(io.BytesIO(base64.b64decode(code))) as picture:
            shown.append(np.asarray(picture))
    assert message["content"][-1]["type"] == "text"
    return shown, message["content"][-1]["text"]


def is_grey(question):
    return all(np.ptp(picture) == 0 for picture in pictures_of(question)[0])


def always(likely):
    content = max(likely, key=likely.get)
    return lambda handler, question: handler.reply(
        completion(content, dict.fromkeys("ABCD", 0.25) if is_grey(question) else likely)
    )


def test_the_probabilities_of_the_first_token_are_the_scores(chat_server):
    server = chat_server(
        always({"C": 0.8, " C": 0.1, "A": 0.05, "B": 0.02, "D": 0.01, "The": 0.02})
    )
    verdict = classifier(server)(IMAGE)
    assert (verdict.category, verdict.confident) == (C, True)
    assert verdict.scores[C] == pytest.approx(0.9 / 0.98)
    assert verdict.severities["motion"] == verdict.scores[C]
    assert sum(verdict.scores.values()) == pytest.approx(1)


def test_the_question_is_the_papers_with_lossless_pictures_and_one_token_to_answer(chat_server):
    server = chat_server(always({"D": 1.0}))
    classifier(server, key="secret")(IMAGE)
    question, about_nothing = server.asked
    (shown,), text = pictures_of(question)
    assert text == PROMPT
    assert np.array_equal(shown, views(IMAGE)[0])
    assert np.array_equal(pictures_of(about_nothing)[0][0], grey(1)[0])
    assert question["model"] == "some-vl"
    assert (question["max_tokens"], question["temperature"], question["logprobs"]) == (1, 0, True)
    path, headers = server.headers[0]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer secret")


def test_a_large_photo_is_shown_by_several_pictures(chat_server):
    server = chat_server(always({"D": 1.0}))
    image = np.random.default_rng(0).random((1100, 1500, 3), np.float32)
    classifier(server)(image)
    shown, text = pictures_of(server.asked[0])
    assert len(shown) == len(views(image)) > 3
    assert text == f"{PREFACE} {PROMPT}"


def test_the_papers_way_is_one_picture_and_no_calibration(chat_server):
    server = chat_server(always({"D": 0.9, "A": 0.1}))
    image = np.random.default_rng(0).random((1100, 1500, 3), np.float32)
    verdict = classifier(server, faithful=True)(image)
    (question,) = server.asked
    assert len(pictures_of(question)[0]) == 1 and pictures_of(question)[1] == PROMPT
    assert verdict.scores[D] == pytest.approx(0.9)


def test_what_is_said_of_grey_pictures_is_asked_once_and_divided_out(chat_server):
    def behave(handler, question):
        said = {"B": 0.5, "A": 0.5} if is_grey(question) else {"B": 0.6, "A": 0.2, "D": 0.2}
        handler.reply(completion("B", said))

    server = chat_server(behave)
    asking = classifier(server)
    first, again = asking(IMAGE), asking(IMAGE)
    assert first == again
    assert [is_grey(question) for question in server.asked] == [False, True, False]
    weighed = {A: 0.2 / 0.5, B: 0.6 / 0.5, D: 0.2 / 0.05}
    assert first.scores[B] == pytest.approx(weighed[B] / sum(weighed.values()), rel=1e-3)
    assert not first.confident


def test_a_letter_that_is_not_listed_gets_no_more_than_what_is_left(chat_server):
    server = chat_server(lambda handler, _: handler.reply(completion("A", {"A": 0.97})))
    verdict = classifier(server, faithful=True)(IMAGE)
    assert verdict.scores[B] == verdict.scores[C] == pytest.approx(0.03 / 1.06)


def test_a_letter_without_probabilities_causes_no_restoration(chat_server, caplog):
    server = chat_server(lambda handler, _: handler.reply(completion("A", finish="stop")))
    asking = classifier(server)
    verdict = asking(IMAGE)
    asking(IMAGE)
    assert (verdict.category, verdict.scores[A]) == (A, pytest.approx(BARE_LETTER_SCORE))
    assert not verdict.confident
    assert len(server.asked) == 2  # grey pictures have nothing to be compared with
    assert sum("letters without probabilities" in line for line in caplog.messages) == 1


def test_without_probabilities_a_clean_photo_is_clean(chat_server):
    server = chat_server(lambda handler, _: handler.reply(completion(" D", finish="stop")))
    verdict = classifier(server)(IMAGE)
    assert (verdict.category, verdict.confident) == (D, True)


def test_an_answer_that_begins_with_words_is_asked_for_some_more(chat_server):
    def behave(handler, question):
        more = question["max_tokens"] > 1
        handler.reply(completion("The answer is B." if more else "The"))

    server = chat_server(behave)
    assert classifier(server)(IMAGE).category is B
    assert [question["max_tokens"] for question in server.asked] == [1, 16]


@pytest.mark.parametrize("words", ["I see a dog.", "A, B, C, or D", "", None, 7])
def test_words_without_a_letter_give_no_confident_verdict(chat_server, words):
    server = chat_server(lambda handler, _: handler.reply(completion(words)))
    verdict = classifier(server)(IMAGE)
    assert not verdict.confident
    assert set(verdict.scores.values()) == {0.25}


def test_a_net_whose_likely_tokens_are_no_letters_is_not_confident(chat_server):
    server = chat_server(always({"Sorry": 0.7, "A": 0.28, "D": 0.01}))
    verdict = classifier(server)(IMAGE)
    assert verdict.category is A and not verdict.confident


def test_a_server_that_refuses_to_tell_probabilities_is_asked_without(chat_server):
    def behave(handler, question):
        if "logprobs" in question or "top_logprobs" in question:
            return handler.reply({"error": {"message": "logprobs is not supported"}}, 400)
        return handler.reply(completion("D", finish="stop"))

    assert classifier(chat_server(behave))(IMAGE).category is D


def test_a_net_is_asked_not_to_think_by_the_names_of_each_server(chat_server):
    server = chat_server(always({"C": 0.9, "A": 0.1}))
    classifier(server)(IMAGE)
    for question in server.asked:
        assert question["reasoning_effort"] == "none"
        assert question["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_server_that_does_not_know_the_option_is_asked_without_it_from_then_on(chat_server):
    refused = []

    def behave(handler, question):
        if "chat_template_kwargs" in question:
            refused.append(question)
            return handler.reply({"error": {"message": "Unrecognized request argument"}}, 400)
        return always({"C": 0.9, "A": 0.1})(handler, question)

    asking = classifier(chat_server(behave))
    assert [asking(IMAGE).category for _ in range(3)] == [C, C, C]
    assert len(refused) == 1


def test_a_net_that_never_begins_with_a_letter_is_reported_once(chat_server, caplog):
    thinking = completion("<think>", {"<think>": 0.99, "A": 0.005, "B": 0.005})
    asking = classifier(chat_server(lambda handler, _: handler.reply(thinking)))
    for _ in range(6):
        assert not asking(IMAGE).confident
    assert caplog.text.count("began none of its first 5 answers with a letter") == 1
    caplog.clear()
    seeing = classifier(chat_server(always({"A": 0.9, "<think>": 0.1})))
    for _ in range(6):
        seeing(IMAGE)
    assert "with a letter" not in caplog.text


@pytest.mark.parametrize(
    ("likely", "well", "text"),
    [
        ({"D": 0.9, "A": 0.1}, True, "answers"),
        ({"<think>": 0.9, "A": 0.1}, False, "does not begin its answer with a letter"),
    ],
)
def test_doctor_asks_the_server(chat_server, home, monkeypatch, likely, well, text):
    server = chat_server(
        lambda handler, _: handler.reply(completion(max(likely, key=likely.get), likely))
    )
    paper = {"classifier_url": server.url, "classifier_net": "some-vl"}
    monkeypatch.setenv("PHOTOMEND_PAPER", json.dumps(paper))
    settings.cache_clear()
    found = worker_checks.server()
    assert (found.well, f"some-vl on {server.url} {text}" in found.text) == (well, True)
    settings.cache_clear()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>It works!</html>",
        b"[" * 200_000,
        b"null",
        b"\xff\xfe\x00",
        {"choices": []},
        {"choices": [{}]},
        {"choices": [7]},
        {"choices": {"0": {}}},
        {"object": "list", "data": []},
    ],
)
def test_an_answer_of_another_form_is_an_error_in_one_sentence(chat_server, body):
    server = chat_server(lambda handler, _: handler.reply(body))
    with pytest.raises(ClassifierUnavailable, match=r"something else than chat completions: \S"):
        classifier(server)(IMAGE)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"content": []},
        {"content": [{"token": "C", "top_logprobs": []}]},
        {"content": [{"token": "C", "top_logprobs": [{"token": "C", "logprob": None}]}]},
        {"content": [{"token": "C", "top_logprobs": [{"token": "C", "logprob": "NaN"}]}]},
        {"content": [{"token": "C", "top_logprobs": [{"token": "C", "logprob": 0.9}]}]},
        {"content": [{"token": "C", "top_logprobs": [{"token": "C", "logprob": 1e9}]}]},
        {"tokens": ["C"], "token_logprobs": [-0.1]},
        "yes",
    ],
)
def test_probabilities_of_another_form_are_ignored(chat_server, told):
    body = completion("C", finish="stop")
    body["choices"][0]["logprobs"] = told
    verdict = classifier(chat_server(lambda handler, _: handler.reply(body)))(IMAGE)
    assert (verdict.category, verdict.scores[C]) == (C, pytest.approx(BARE_LETTER_SCORE))


def test_a_server_that_fails_twice_is_asked_a_third_time(chat_server):
    def behave(handler, _):
        if len(server.asked) <= 2:
            return handler.reply({"error": "loading"}, 503 if len(server.asked) == 1 else 429)
        return handler.reply(completion("D", {"D": 1.0}))

    server = chat_server(behave)
    assert classifier(server, faithful=True)(IMAGE).category is D
    assert len(server.asked) == 3


def test_the_pauses_between_tries_are_kept(chat_server):
    server = chat_server(lambda handler, _: handler.reply(b"", 500))
    begun = time.monotonic()
    with pytest.raises(ClassifierUnavailable):
        classifier(server, pauses_seconds=(0.1, 0.3))(IMAGE)
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_keeps_failing_is_unavailable(chat_server, status):
    message = "CUDA\x1b[31m out of memory\n" + 5000 * "!"
    server = chat_server(lambda handler, _: handler.reply({"error": {"message": message}}, status))
    with pytest.raises(ClassifierUnavailable) as caught:
        classifier(server)(IMAGE)
    assert len(server.asked) == 3
    assert f"answers {status}: CUDA [31m out of memory !!!" in str(caught.value)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("status", [401, 404, 413, 301])
def test_a_server_that_refuses_is_not_asked_again(chat_server, status):
    server = chat_server(lambda handler, _: handler.reply({"error": "no such model"}, status))
    with pytest.raises(ClassifierUnavailable, match=f"answers {status}: no such model"):
        classifier(server)(IMAGE)
    assert len(server.asked) == 1


def trickling(piece, status_line):
    """Send the beginning of an answer, then endless small pieces."""

    def behave(handler, _):
        if status_line:
            handler.send_response(200)
            handler.end_headers()
        while not handler.server.over.wait(0.05):
            handler.wfile.write(piece)
            handler.wfile.flush()

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        lambda handler, _: handler.server.over.wait(),
        trickling(b" ", status_line=True),
        trickling(b"H", status_line=False),
    ],
    ids=["silent", "a body without end", "a first line without end"],
)
def test_a_server_that_is_too_slow_is_cut_off(chat_server, behave):
    begun = time.monotonic()
    with pytest.raises(ClassifierUnavailable, match=r"gives no answer: not in 0\.5 s"):
        classifier(chat_server(behave), timeout_seconds=0.5, pauses_seconds=())(IMAGE)
    assert 0.5 <= time.monotonic() - begun < 15


def test_a_request_is_repeated_if_the_server_disconnects(chat_server):
    def behave(handler, _):
        if len(server.asked) == 1:
            return handler.connection.close()
        return handler.reply(completion("D", {"D": 1.0}))

    server = chat_server(behave)
    assert classifier(server, faithful=True)(IMAGE).category is D


def test_an_answer_without_end_is_not_read(chat_server):
    sent = []

    def behave(handler, _):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.over.is_set() and sum(sent) < 50 * MAX_BYTES:
            handler.wfile.write(b" " * 65536)
            sent.append(65536)

    with pytest.raises(ClassifierUnavailable, match="more than 1048576 bytes"):
        classifier(chat_server(behave), pauses_seconds=())(IMAGE)
    assert sum(sent) < 20 * MAX_BYTES


def test_an_unreachable_server_is_named_without_its_password(chat_server):
    server = chat_server(always({"D": 1.0}))
    port = server.server_address[1]
    server.shutdown()
    server.server_close()
    gone = Server(f"http://me:secret@127.0.0.1:{port}/v1/", "vl", pauses_seconds=(0.01,))
    with pytest.raises(
        ClassifierUnavailable, match=rf"@127.0.0.1:{port}/v1/ gives no answer"
    ) as caught:
        gone(IMAGE)
    assert isinstance(caught.value, PhotomendError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_key_that_the_server_repeats_is_not_shown(chat_server, status):
    server = chat_server(lambda handler, _: handler.reply({"error": "no key sesam-7"}, status))
    with pytest.raises(ClassifierUnavailable, match=r"no key \*\*\*$"):
        classifier(server, key="sesam-7")(IMAGE)


def test_a_key_is_not_shown():
    assert "secret" not in repr(Server("http://localhost", "vl", key="secret"))
    for key in ("secret\n", "sécret"):
        with pytest.raises(SettingsError, match="classifier_key") as raised:
            Server("http://localhost", "vl", key=key)
        assert "cret" not in str(raised.value)
    with pytest.raises(SettingsError, match="is no address") as raised:
        Server("http://me:se/cret@localhost", "vl")
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "localhost:11434", "ftp://x", "http://", "http://x:99999"])
def test_an_invalid_address_is_a_settings_error(url):
    with pytest.raises(SettingsError, match="is no address of a server"):
        Server(url, "vl")


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_address_may_have_the_version_at_its_end(chat_server, end):
    server = chat_server(always({"D": 1.0}))
    Server(server.url + end, "vl")(IMAGE)
    assert {path for path, _ in server.headers} == {"/v1/chat/completions"}


@pytest.mark.parametrize("size", [(1, 1), (20, 5000), (63, 300)])
def test_a_photo_that_is_too_small_has_no_confident_verdict(chat_server, size):
    server = chat_server(always({"A": 1.0}))
    verdict = classifier(server)(np.full((*size, 3), 0.3, np.float32))
    assert verdict.category is A and not verdict.confident


@pytest.fixture
def worker(home, redis_server, jobs, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    runtime.jobs.cache_clear()
    redis_client.client.cache_clear()
    runtime.become_worker(QUEUES)
    yield lambda asking: monkeypatch.setattr(runtime, "classifier", functools.cache(lambda: asking))
    runtime.jobs().engine.dispose()
    runtime.jobs.cache_clear()


def test_a_photo_waits_without_an_attempt_until_the_server_is_back(
    worker, jobs, take_photo, chat_server, eventually
):
    well = threading.Event()

    def behave(handler, question):
        if well.is_set():
            return always({"D": 1.0})(handler, question)
        return handler.reply({"error": "loading"}, 503)

    worker(classifier(chat_server(behave)))
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.error_kind, job.attempts) == (Status.QUEUED, ErrorKind.MACHINE, 0)
    assert "answers 503: loading" in job.error
    well.set()
    eventually(lambda: search.due(jobs.engine, "classify", 1))
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.decision) == (Status.DONE, Decision.CLEAN)
    assert job.scores["classifier"] == "some-vl (served)"
