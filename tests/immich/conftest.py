"""An immich that shows the galleries and outputs of a test, and the settings for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.settings import settings
from tests.immich.fake_immich import KEY, FakeImmich, serve


@pytest.fixture
def immich(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeImmich]:
    key = home / "immich.key"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    with FakeImmich(home) as server:
        thread = serve(server)
        libraries = [{"folder": str(home), "immich_path": "/mnt/media"}]
        known = {"url": server.url, "api_key_file": str(key), "libraries": libraries}
        monkeypatch.setenv("PHOTOMEND_IMMICH", json.dumps(known))
        settings.cache_clear()
        yield server
        server.shutdown()
        thread.join()
    assert server.wrong == []
