"""immich names a new photo, and the watcher scans its folder."""

import json
import os
from pathlib import Path

import pytest

from daemon.web.credentials import Credentials
from storage.database import asked_folders, search
from storage.settings import settings

PATH = "/mnt/media/gallery/2024/cat.jpg"


@pytest.fixture
def headers(home, monkeypatch):
    libraries = [{"folder": str(home), "immich_path": "/mnt/media"}]
    monkeypatch.setenv("PHOTOMEND_IMMICH", json.dumps({"libraries": libraries}))
    settings.cache_clear()
    return {"Authorization": f"Bearer {Credentials(settings().state_dir).add_token('immich')}"}


@pytest.mark.parametrize(
    "body",
    [{"originalPath": PATH}, {"path": PATH}, {"asset": {"id": "x", "originalPath": PATH}},
     {"trigger": "AssetCreate", "data": {"asset": {"originalPath": PATH}}}],
)  # fmt: skip
def test_the_folder_of_a_new_photo_is_asked_for(page, jobs, headers, body):
    for _ in range(2):
        answer = page.post("/api/v1/immich/asset", json=body, headers=headers)
        assert answer.json() == {"gallery": "g", "folder": "2024"}
    assert asked_folders.take(jobs.engine, "g") == [Path("2024")]
    assert asked_folders.take(jobs.engine, "g") == []


@pytest.mark.parametrize(
    "path", ["/mnt/media/elsewhere/a.jpg", "/mnt/media/gallery", "/mnt/media/gallery/../../x/a.jpg", "/other"]
)  # fmt: skip
def test_a_photo_that_is_in_no_gallery_asks_for_nothing(page, jobs, headers, path):
    answer = page.post("/api/v1/immich/asset", json={"path": path}, headers=headers)
    assert answer.json() == {"gallery": None, "folder": None}
    assert asked_folders.take(jobs.engine, "g") == []


@pytest.mark.parametrize("body", [{}, {"path": 7}, {"asset": {"asset": {"asset": {"path": PATH}}}}])
def test_a_request_without_a_path_is_refused(page, headers, body):
    answer = page.post("/api/v1/immich/asset", json=body, headers=headers)
    assert answer.status_code == 400
    assert "originalPath" in answer.text


def test_a_request_without_a_token_is_refused(page, headers):
    assert page.post("/api/v1/immich/asset", json={"path": PATH}).status_code == 403


def test_a_watcher_without_events_scans_the_folder_that_it_is_asked_for(
    home, jobs, photomend, take_photo, eventually, monkeypatch
):
    gallery = json.loads(os.environ["PHOTOMEND_GALLERIES"])
    gallery["g"] |= {"watch": "polling"}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps(gallery))
    settings.cache_clear()
    take_photo("2024/a.jpg")
    photomend("watch")
    eventually(lambda: search.get(jobs.engine, 1))
    take_photo("2024/b.jpg")
    asked_folders.ask(jobs.engine, "g", Path("2024"))
    eventually(lambda: search.get(jobs.engine, 2))
