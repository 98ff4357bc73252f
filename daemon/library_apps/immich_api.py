"""The requests to immich that photomend makes, as its package @immich/sdk describes them.

Nothing of an answer is trusted: what has another type than it should is an error, and an id is
only used in an address if it is one.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from daemon.library_apps.errors import Refused
from daemon.library_apps.server import Server
from storage.settings_libraries import ImmichSettings

TIMEOUT_SECONDS = 30.0
"""Longest wait for a whole answer; a search in a large library takes a few seconds."""
PERMISSIONS = (
    "asset.read", "asset.update", "stack.create", "stack.read", "stack.update", "stack.delete",
    "album.read", "albumAsset.create",
)  # fmt: skip
"""What the key must allow."""
SCAN_PERMISSIONS = ("library.read", "library.update")
"""What the key of an administrator must allow to start scans."""
ALL = "all"
"""The permission of a key that allows everything."""
PAGE = 250
"""Assets of one page of a search: those whose path contains the one that is looked for."""
MOST_PAGES = 4
NOTE = "photomend"
"""The key of our entry in an asset's metadata, which immich keeps and does not show."""

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """A stack of assets, of which immich shows the primary one."""

    id: str
    primary: str
    assets: tuple[str, ...] = ()
    """The ids of those that are not in the trash; empty if it was read from an asset."""


@dataclass(frozen=True)
class Asset:
    """A photo in immich."""

    id: str
    owner: str
    path: str
    favourite: bool
    archived: bool
    stack: Stack | None
    """None also in the answer of a search."""


@dataclass(frozen=True)
class ExternalLibrary:
    """An external library of immich."""

    id: str
    paths: tuple[str, ...]


class Immich:
    """An immich, reached with the key of one user."""

    def __init__(self, known: ImmichSettings) -> None:
        self.settings = known
        address = known.url.rstrip("/").removesuffix("/api")
        self.server = Server(
            "immich", f"{address}/api", "api_key_file", known.api_key_file, ("x-api-key", ""),
            TIMEOUT_SECONDS,
        )  # fmt: skip

    def version(self) -> tuple[int, int, int]:
        """Return the version of immich."""
        found = self.server.get("/server/version")
        major, minor, patch = (
            self._field(found, name, int) for name in ("major", "minor", "patch")
        )
        return major, minor, patch

    def permissions(self) -> list[str]:
        """Return what the key allows."""
        return self._texts(self.server.get("/api-keys/me"), "permissions")

    def find(self, path: str, *, deleted: bool = False) -> list[Asset]:
        """Return the assets with exactly this path, perhaps of several users."""
        # immich looks for paths that contain it, by ILIKE: of its signs, only this one must be escaped.
        wanted: dict[str, Any] = {"originalPath": path.replace("\\", "\\\\"), "size": PAGE}
        if deleted:
            wanted["withDeleted"] = True
        found: list[Asset] = []
        for page in range(1, MOST_PAGES + 1):
            answer = self.server.ask(
                "POST", "/search/metadata", wanted | {"page": page}, "asset.read"
            )
            assets = self._field(answer, "assets", dict)
            found += [self._asset(each) for each in self._field(assets, "items", list)]
            if assets.get("nextPage") is None:
                break
        return [asset for asset in found if _same(asset.path, path)]

    def shows(self, folder: str) -> bool:
        """Return whether immich has photos below a folder."""
        wanted = {"originalPath": folder.replace("\\", "\\\\") + "/", "size": PAGE}
        answer = self.server.ask("POST", "/search/metadata", wanted, "asset.read")
        items = self._field(self._field(answer, "assets", dict), "items", list)
        return any(self._asset(each).path.startswith(f"{folder}/") for each in items)

    def asset(self, asset_id: str) -> Asset | None:
        """Return an asset with its stack; None if there is none."""
        try:
            return self._asset(
                self.server.ask("GET", f"/assets/{asset_id}", permission="asset.read")
            )
        except Refused:
            return None

    def stack(self, stack_id: str) -> Stack | None:
        """Return a stack; None if there is none."""
        try:
            found = self.server.ask("GET", f"/stacks/{stack_id}", permission="stack.read")
        except Refused:
            return None
        return self._stack(found)

    def make_stack(self, assets: list[str]) -> str:
        """Stack assets, the first one in front; return the id of the stack."""
        made = self.server.ask("POST", "/stacks", {"assetIds": assets}, "stack.create")
        return self._id(made)

    def set_front(self, stack_id: str, asset_id: str) -> None:
        """Put an asset of a stack in front."""
        body = {"primaryAssetId": asset_id}
        self.server.ask("PUT", f"/stacks/{stack_id}", body, "stack.update")

    def remove_from_stack(self, stack_id: str, asset_id: str) -> None:
        """Take an asset, which is not in front, out of a stack."""
        path = f"/stacks/{stack_id}/assets/{asset_id}"
        self.server.ask("DELETE", path, permission="stack.update")

    def delete_stack(self, stack_id: str) -> None:
        """Dissolve a stack; its assets stay."""
        self.server.ask("DELETE", f"/stacks/{stack_id}", permission="stack.delete")

    def albums(self, asset_id: str) -> list[str]:
        """Return the albums that hold an asset."""
        found = self.server.ask("GET", f"/albums?assetId={asset_id}", permission="album.read")
        return [self._id(album) for album in self._typed(found, list)]

    def add_to_album(self, album: str, asset_id: str) -> None:
        """Add an asset to an album, if its user may."""
        body = {"ids": [asset_id]}
        self.server.ask("PUT", f"/albums/{album}/assets", body, "albumAsset.create")

    def update(self, asset_id: str, **changes: object) -> None:
        """Change an asset: `isFavorite`, `visibility`."""
        self.server.ask("PUT", "/assets", {"ids": [asset_id]} | changes, "asset.update")

    def note(self, asset_id: str, value: dict[str, object]) -> None:
        """Keep an entry of ours with an asset; versions before 3 refuse it."""
        body = {"items": [{"key": NOTE, "value": value}]}
        self.server.ask("PUT", f"/assets/{asset_id}/metadata", body, "asset.update")

    def libraries(self) -> list[ExternalLibrary]:
        """Return the external libraries; only an administrator may."""
        found = self.server.ask("GET", "/libraries", permission="library.read")
        return [
            ExternalLibrary(self._id(each), tuple(self._texts(each, "importPaths")))
            for each in self._typed(found, list)
        ]

    def scan(self, library: str) -> None:
        """Start a scan of a library; only an administrator may."""
        self.server.ask("POST", f"/libraries/{library}/scan", permission="library.update")

    def _asset(self, value: Any) -> Asset:
        stack = self._typed(value, dict).get("stack")
        return Asset(
            self._id(value),
            self._id(value, "ownerId"),
            self._field(value, "originalPath", str),
            self._field(value, "isFavorite", bool),
            self._field(value, "isArchived", bool),
            None if stack is None else self._stack(stack),
        )

    def _stack(self, value: Any) -> Stack:
        assets = self._typed(value, dict).get("assets", [])
        inside = tuple(self._id(each) for each in self._typed(assets, list))
        return Stack(self._id(value), self._id(value, "primaryAssetId"), inside)

    def _id(self, value: Any, name: str = "id") -> str:
        found: str = self._field(value, name, str)
        return found if _ID.fullmatch(found) else self._unexpected()

    def _texts(self, value: Any, name: str) -> list[str]:
        return [self._typed(each, str) for each in self._field(value, name, list)]

    def _field(self, value: Any, name: str, kind: type[T]) -> T:
        return self._typed(self._typed(value, dict).get(name), kind)

    def _typed(self, value: Any, kind: type[T]) -> T:
        return value if isinstance(value, kind) else self._unexpected()

    def _unexpected(self) -> NoReturn:
        raise self.server.unexpected()


def _same(one: str, other: str) -> bool:
    """Return whether two paths are the same, however each writes its accents."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
