"""Browsers that show the first screen get what changed, by server-sent events."""

import pytest
from starlette.testclient import TestClient

from daemon.web import app, overview, pages
from storage.settings import settings
from tests.daemon.web.conftest import ADDRESS

MOST_CALLS = 50


@pytest.fixture
def stream(browse, monkeypatch):
    """Return what a browser gets in some rounds; `change` is called before the second one."""
    browse()
    monkeypatch.setattr(pages, "LIVE_SECONDS", 0)
    monkeypatch.setattr(overview, "FRESH_SECONDS", -1)
    rounds = []

    def ending() -> bool:
        rounds.append(len(rounds))
        assert len(rounds) < MOST_CALLS, "the stream does not end"
        if len(rounds) == 2:
            changes[-1]()
        return len(rounds) > 3

    changes = []
    shown = TestClient(app.build(settings(), ending), base_url=f"http://{ADDRESS}")

    def streamed(change=lambda: None):
        rounds.clear()
        changes.append(change)
        return shown.get("/live")

    yield streamed
    shown.close()


def test_parts_are_sent_when_they_change_until_the_page_stops(stream, jobs):
    answer = stream(lambda: jobs.pause("all"))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    sent = [line.removeprefix("event: ") for line in answer.text.splitlines() if "event: " in line]
    assert sent[: len(pages.PARTS)] == list(pages.PARTS)
    again = sent[len(pages.PARTS) :]
    assert "pauses" in again
    assert "galleries" not in again
    assert ": nothing changed" in answer.text
    assert "until you resume it" in answer.text


def test_too_many_browsers_are_not_kept_up_to_date_and_one_that_leaves_makes_room(
    stream, monkeypatch
):
    monkeypatch.setattr(pages, "MOST_LIVE", 1)
    assert [stream().status_code for _ in range(2)] == [200, 200]
    monkeypatch.setattr(pages, "MOST_LIVE", 0)
    assert stream().status_code == 503
