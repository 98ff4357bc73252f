"""What others write to Redis, with a real Redis and worker: it costs at most the message."""

import base64
import json
import pickle
import zlib

import psutil
import pytest

from storage.database import search
from storage.enums import PREVIEWS, QUEUES, Degradation, Status
from tasks.worker.redis_client import key

pytestmark = pytest.mark.slow

BIG_BYTES = 100_000_000
HUGE_BYTES = 30_000_000


def message(body: object = ((), {}, {}), task: str = "classify", **changes: object) -> bytes:
    """Return a message as Celery sends it, but for what is changed of its headers."""
    coded = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {
        "content-type": changes.pop("content_type", "application/json"),
        "content-encoding": changes.pop("content_encoding", "utf-8"),
    }
    return json.dumps({
        **head, "body": base64.b64encode(coded).decode(),
        "headers": {"lang": "py", "task": task, "id": "1", **changes},
        "properties": {
            "body_encoding": "base64", "delivery_tag": "1", "correlation_id": "1", "reply_to": "r",
            "delivery_info": {"exchange": "", "routing_key": "classify"},
        },
    }).encode()  # fmt: skip


CALLS = {"callbacks": [{"task": "restore", "args": [1]}], "errbacks": [{"task": "x"}]}
POISONS = {
    "garbage": b"\xff\xfe\0{", "huge": bytes(HUGE_BYTES), "empty": b"", "no object": b"[1, 2]", "null": b"null", "zeros": bytes(99),
    "a huge number": b"9" * 5000, "no properties": b'{"body": ""}', "digits of others": "٣".encode(),
    "limit": message(timelimit=[0.001, 0.001]), "argument": message(([["x"]], {"y": 1}, {})),
    "foreign task": message(task="os.system"), "celery's task": message(task="celery.backend_cleanup"),
    "pickle": message(pickle.dumps(print), content_type="application/x-python-serialize"),
    "unknown type": message(b"x", content_type="text/x"),
    "unknown coding": message(b"\xff", content_encoding="rot13"),
    "bomb": message(zlib.compress(bytes(BIG_BYTES)), compression="application/x-gzip"),
    "eta": message(eta="2999-01-01T00:00:00"), "bad eta": message(eta="soon"),
    "expired": message(expires="1999-01-01"), "calls": message(((), {}, CALLS)),
    "chain": message(((), {}, {"chain": [{"task": "restore", "args": []}], "chord": {"task": "x"}})),
    "wrong headers": message(id=None, retries="x", group=[1]), "no list": message(7),
}  # fmt: skip


@pytest.fixture
def write(redis_server):
    """Write to all queues of ours, and wait until the worker has taken it."""

    def write(*texts: bytes) -> None:
        for queue in (*QUEUES, PREVIEWS):
            redis_server.client.lpush(key(queue), *texts)

    return write


def taken(client) -> bool:
    return not client.exists(*map(key, (*QUEUES, PREVIEWS)))


def test_no_message_ends_a_worker_or_its_child(
    home, jobs, photomend, take_photo, redis_server, write, eventually
):
    worker = psutil.Process(photomend("work", *QUEUES).pid)
    eventually(lambda: taken(redis_server.client) and len(worker.children()) > 1)
    eventually(lambda: b"BRPOP" in str(redis_server.client.client_list()).upper().encode())
    children = worker.children()
    before = worker.memory_info().rss
    for poison in POISONS.values():
        write(poison)
    eventually(lambda: taken(redis_server.client))
    broadcast = {"method": "shutdown", "arguments": {}, "destination": None}
    assert redis_server.client.publish("/0.celery.pidbox", json.dumps(broadcast)) == 0
    photomend("watch")
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    eventually((home / "output/noisy.jpg").exists)
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)
    assert search.get(jobs.engine, 1).attempts == 0
    assert worker.is_running() and worker.children() == children
    assert worker.memory_info().rss - before < BIG_BYTES / 2
    log = (home / "log").read_text()
    assert "Traceback" not in log
    assert log.count("what photomend did not send") == 1


def test_what_is_no_list_is_removed_from_the_name_of_a_queue(
    home, photomend, take_photo, redis_server, eventually
):
    client = redis_server.client
    client.set(key("classify"), "x")
    client.hset(key("motion-blur"), "x", "y")
    client.set("_kombu.binding.photomend.classify", "x")
    client.zadd("unacked_index", {"x": 1})
    client.hset("unacked", "x", b"\xff")
    client.lpush("classify", b"the queue of another program")
    worker = photomend("work", *QUEUES)
    photomend("watch")
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    eventually((home / "output/noisy.jpg").exists)
    assert worker.poll() is None
    assert client.llen("classify") == 1 and client.hlen("unacked") == 1
    found = {name.decode() for name in client.scan_iter()}
    assert found <= {
        "_kombu.binding.photomend.classify", "unacked", "unacked_index", "classify",
        *map(key, (*QUEUES, PREVIEWS)), key("trial"),
    }  # fmt: skip
