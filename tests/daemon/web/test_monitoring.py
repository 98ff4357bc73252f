"""What programs read at the address of the page: /health and /metrics."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from daemon.console import session
from daemon.web import app
from daemon.web.credentials import Credentials
from storage.database import galleries, processes
from storage.database import workers as worker_rows
from storage.enums import QUEUES, ErrorKind, Status
from storage.settings import settings
from tasks.worker import redis_client

BOTH = ["/health", "/metrics"]


@pytest.fixture
def from_(browse, web_settings):
    """Return a client that asks from an address."""

    def client(address: str, web: str = "{}", **headers: str) -> TestClient:
        web_settings(web)
        return TestClient(
            app.build(settings()), base_url="http://127.0.0.1:8484", client=(address, 50000),
            headers=headers, follow_redirects=False,
        )  # fmt: skip

    return client


@pytest.fixture
def here(from_):
    return from_("127.0.0.1")


@pytest.fixture
def healthy(jobs, monkeypatch, redis_server):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "600")
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    redis_client.client.cache_clear()
    processes.heartbeat(jobs.engine, "watcher", "maintenance", "gallery g")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    yield
    redis_client.client.cache_clear()


def values(client):
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


@pytest.mark.parametrize("path", BOTH)
def test_this_machine_may_read_it_also_with_a_password_and_gets_no_cookie(from_, path, healthy):
    Credentials(settings().state_dir).set_password("long enough")
    answer = from_("127.0.0.1").get(path)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", BOTH)
def test_others_need_a_token_also_through_a_proxy_on_this_machine(from_, path, healthy):
    kept = Credentials(settings().state_dir)
    kept.set_password("long enough")
    for client in (from_("192.0.2.7"), from_("127.0.0.1", **{"X-Forwarded-For": "192.0.2.7"})):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json() == {"error": "a token is needed: photomend web token NAME"}
    bearer = {"Authorization": f"Bearer {kept.add_token('prometheus')}"}
    assert from_("192.0.2.7", **bearer).get(path).status_code == 200
    assert from_("192.0.2.7", Authorization="Bearer photomend_x").get(path).status_code == 401


@pytest.mark.parametrize("path", BOTH)
def test_a_setting_opens_it_for_all_or_for_nobody(from_, path, healthy):
    assert from_("192.0.2.7", '{"monitoring": "public"}').get(path).status_code == 200
    assert from_("127.0.0.1", '{"monitoring": "off"}').get(path).status_code == 404


@pytest.mark.parametrize("path", BOTH)
def test_another_name_of_this_machine_is_refused(here, path):
    assert here.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_all_is_well(here, healthy):
    answer = here.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"healthy": True, "reasons": [], "also": []}


def test_a_share_that_is_away_makes_nobody_unhealthy_and_is_not_touched(
    here, healthy, jobs, opened_files
):
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO galleries (name, host, root, output, filesystem, watching, online, reason, "
            "updated_at) VALUES ('g', 'h', x'2f67', x'2f6f', 'nfs', 'polling', 0, 'it hangs', 1)"
        )
    opened_files.clear()
    answer = here.get("/health")
    assert answer.status_code == 200
    assert answer.json()["also"] == ["gallery g is offline: it hangs"]
    assert not [file for file in opened_files if "gallery" in file or "output" in file]


def test_without_workers_it_is_unhealthy_and_says_why(here, healthy, jobs):
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM workers")
    answer = here.get("/health")
    assert answer.status_code == 503
    assert answer.json()["healthy"] is False
    assert (
        "no worker serves classify; start one: photomend work classify" in answer.json()["reasons"]
    )


def test_a_full_disk_of_the_state_folder_is_unhealthy(from_, healthy, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "999999999")
    answer = from_("127.0.0.1").get("/health")
    assert answer.status_code == 503
    assert answer.json()["reasons"][0].startswith("the state folder ")


def test_a_database_that_cannot_be_used_is_unhealthy(here, healthy, home):
    with session.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE workers RENAME TO gone")
    answer = here.get("/health")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the database cannot be used now; see `photomend doctor`"]
    assert here.get("/metrics").status_code == 503


def test_the_metrics_say_what_status_says(here, healthy, add, add_mended):
    add_mended("a.jpg")
    add("b.jpg", status=Status.FAILED, error_kind=ErrorKind.MEMORY)
    add("c.jpg")
    found = values(here)
    assert found["photomend_jobs", "done"] == found["photomend_jobs", "failed"] == 1
    assert found["photomend_jobs", "queued"] == 1
    assert found["photomend_decisions", "restored"] == 1
    assert found["photomend_errors", "memory", "failed"] == 1
    assert found["photomend_workers", "classify"] == 1
    assert found["photomend_processes_alive",] == 3
    assert found["photomend_problems", "worker"] == 0
    assert found["photomend_state_free_bytes",] > 0


def test_no_label_holds_a_path(here, healthy, jobs, monkeypatch):
    gallery = json.dumps({"/home/anna/Photos": {"path": "/home/anna/Photos"}})
    monkeypatch.setenv("PHOTOMEND_GALLERIES", gallery)
    settings.cache_clear()
    galleries.add(jobs.engine, "/home/anna/Photos", Path("secret"), {"child.jpg": "1"})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO galleries (name, host, root, output, filesystem, watching, online, photos, "
            "updated_at) VALUES ('/home/anna/Photos', 'h', x'2f67', x'2f6f', 'nfs', 'polling', 1, 7, 1)"
        )
    assert values(here)["photomend_gallery_photos", "Photos"] == 7
    text = here.get("/metrics").text
    assert not any(word in text for word in ("anna", "secret", "child", "/"))


def test_promtool_finds_nothing_wrong(here, healthy, add, add_mended):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here (apt install prometheus)")
    add_mended("a.jpg")
    add("b.jpg", status=Status.FAILED, error_kind=ErrorKind.MEMORY)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=here.get("/metrics").content, check=False, capture_output=True
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
