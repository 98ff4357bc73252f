"""A small immich: it keeps assets, stacks and albums, and checks each request and answer by the contract.

It does what immich does where photomend relies on it: an asset of a missing file goes to the trash at
the next scan and stays in its stack, a search finds paths that contain the one that is looked for, and a
new stack takes in the members of the stacks whose first asset it gets.
"""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.immich.contract import Contract

KEY = "a-key-of-immich-0123456789"
NEEDED = {
    "getServerVersion": None, "getMyApiKey": None, "searchAssets": "asset.read",
    "getAssetInfo": "asset.read", "getStack": "stack.read", "createStack": "stack.create",
    "updateStack": "stack.update", "deleteStack": "stack.delete", "removeAssetFromStack": "stack.update",
    "getAllAlbums": "album.read", "addAssetsToAlbum": "albumAsset.create", "updateAssets": "asset.update",
    "updateAssetMetadata": "asset.update", "getAllLibraries": "library.read",
    "scanLibrary": "library.update",
}  # fmt: skip
"""The permission of each call (the controllers of immich 3)."""
DATE = "2026-12-01T00:00:00.000Z"


class FakeImmich(ThreadingHTTPServer):
    """An immich on this machine, whose external library shows a folder."""

    daemon_threads = True

    def __init__(self, folder: Path, import_path: str = "/mnt/media") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.folder, self.import_path = folder, import_path
        self.contract = Contract()
        self.user, self.library = str(uuid.uuid4()), str(uuid.uuid4())
        self.permissions = ["all"]
        self.assets: dict[str, dict[str, Any]] = {}
        self.stacks: dict[str, str] = {}
        """The first asset of each stack; members name their stack."""
        self.albums: dict[str, set[str]] = {}
        self.notes: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path with query, and body of each request."""
        self.wrong: list[str] = []
        """What of a request or an answer is not as the contract says."""
        self.ways: list[Any] = []
        """Each answers one request in place of immich."""
        self.scans = True
        """Whether a scan that is asked for finds files."""

    def handle_error(self, *_: object) -> None:
        """Ignore a client that disconnects."""

    def add(self, path: str, **values: Any) -> str:
        """Add an asset; return its id."""
        asset = {"id": str(uuid.uuid4()), "path": path, "owner": self.user, "stack": None,
                 "favourite": False, "visibility": "timeline", "trashed": False} | values  # fmt: skip
        self.assets[asset["id"]] = asset
        return str(asset["id"])

    def by_name(self, name: str) -> dict[str, Any]:
        """Return the asset of a path that ends like this."""
        [found] = [each for each in self.assets.values() if each["path"].endswith(name)]
        return found

    def scan(self) -> None:
        """Import the files of the folder; what is missing goes to the trash."""
        known = {asset["path"]: asset for asset in self.assets.values()}
        files = {
            f"{self.import_path}/{file.relative_to(self.folder)}"
            for file in self.folder.rglob("*.jpg")
            if not any(part.startswith(".") for part in file.relative_to(self.folder).parts)
        }
        for path in files - set(known):
            self.add(path)
        for path, asset in known.items():
            asset["trashed"] = path not in files

    def stack(self, *ids: str) -> str:
        """Stack assets, with the members of the stacks whose first asset is among them."""
        merged = [stack for stack, front in self.stacks.items() if front in ids]
        everyone = [*ids, *(each for stack in merged for each in self.members(stack))]
        for stack in merged:
            del self.stacks[stack]
        made = str(uuid.uuid4())
        self.stacks[made] = ids[0]
        for each in everyone:
            self.assets[each]["stack"] = made
        return made

    def members(self, stack: str) -> list[str]:
        return [each["id"] for each in self.assets.values() if each["stack"] == stack]


class Handler(BaseHTTPRequestHandler):
    server: FakeImmich

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        body = json.loads(raw) if raw else None
        here = self.server
        path = self.path.removeprefix("/api")
        here.asked.append((self.command, path, body))
        if here.ways:
            return here.ways.pop(0)(self)
        status, answer = self._answer(path, body)
        return self.reply(status, answer)

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, address: str, body: Any) -> tuple[int, Any]:
        here, parts = self.server, urlsplit(address)
        found = here.contract.find(self.command, parts.path)
        if found is None:
            here.wrong.append(f"{self.command} {address} is no call")
            return 404, {"message": "Cannot find it"}
        name, endpoint, values = found
        if self.headers.get("x-api-key") != KEY:
            return 401, {"message": "Invalid API key", "statusCode": 401}
        if (needed := NEEDED[name]) and not {needed, "all"} & set(here.permissions):
            return 403, {"message": f"Missing required permission: {needed}", "statusCode": 403}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        wrong = here.contract.fields_wrong(endpoint["query"], query, f"{name} ?")
        if endpoint["body"] is not None:
            wrong += here.contract.wrong(endpoint["body"], body, name)
        elif body is not None:
            wrong.append(f"{name} has a body")
        here.wrong += wrong
        if wrong:
            return 400, {"message": wrong, "statusCode": 400}
        status, answer = getattr(self, name)(
            **values, **query, **({} if body is None else {"body": body})
        )
        if status in (200, 201):
            here.wrong += here.contract.wrong(endpoint["answer"], answer, f"the answer of {name}")
        return status, answer

    def getServerVersion(self):
        return 200, {"major": 3, "minor": 2, "patch": 2, "prerelease": None}

    def getMyApiKey(self):
        about = {"id": str(uuid.uuid4()), "name": "photomend", "createdAt": DATE, "updatedAt": DATE}
        return 200, about | {"permissions": self.server.permissions}

    def searchAssets(self, body):
        path = body["originalPath"].replace("\\\\", "\\").casefold()
        found = [
            each for each in self.server.assets.values()
            if path in each["path"].casefold() and (body.get("withDeleted") or not each["trashed"])
        ]  # fmt: skip
        start, size = (body.get("page", 1) - 1) * body["size"], body["size"]
        page = [self._asset(each) for each in found[start : start + size]]
        following = str(body.get("page", 1) + 1) if len(found) > start + size else None
        empty = {"total": 0, "count": 0, "items": [], "facets": []}
        return 200, {"albums": empty, "assets": {
            "total": len(page), "count": len(page), "items": page, "facets": [],
            "nextPage": following, "nextCursor": None,
        }}  # fmt: skip

    def getAssetInfo(self, id):
        asset = self.server.assets.get(id)
        return self._no("asset.read") if asset is None else (200, self._asset(asset, stack=True))

    def getStack(self, id):
        return self._no("stack.read") if id not in self.server.stacks else (200, self._stack(id))

    def createStack(self, body):
        here, ids = self.server, body["assetIds"]
        if len(ids) < 2 or any(here.assets.get(each, {}).get("owner") != here.user for each in ids):
            return self._no("asset.update")
        return 201, self._stack(here.stack(*ids))

    def updateStack(self, id, body):
        here = self.server
        if body["primaryAssetId"] not in here.members(id):
            return 400, {"message": "Primary asset must be in the stack"}
        here.stacks[id] = body["primaryAssetId"]
        return 200, self._stack(id)

    def deleteStack(self, id):
        for each in self.server.members(id):
            self.server.assets[each]["stack"] = None
        del self.server.stacks[id]
        return 204, None

    def removeAssetFromStack(self, id, assetId):
        if self.server.stacks[id] == assetId:
            return 400, {"message": "Cannot remove stack's primary asset"}
        self.server.assets[assetId]["stack"] = None
        return 204, None

    def getAllAlbums(self, assetId):
        albums = self.server.albums.items()
        return 200, [self._album(each, ids) for each, ids in albums if assetId in ids]

    def addAssetsToAlbum(self, id, body):
        [asset] = body["ids"]
        known = asset in self.server.albums[id]
        self.server.albums[id].add(asset)
        return 200, [
            {"id": asset, "success": not known} | ({"error": "duplicate"} if known else {})
        ]

    def updateAssets(self, body):
        for each in body["ids"]:
            asset = self.server.assets[each]
            asset["favourite"] = body.get("isFavorite", asset["favourite"])
            asset["visibility"] = body.get("visibility", asset["visibility"])
        return 204, None

    def updateAssetMetadata(self, id, body):
        self.server.notes[id] = {item["key"]: item["value"] for item in body["items"]}
        return 200, [item | {"updatedAt": DATE} for item in body["items"]]

    def getAllLibraries(self):
        return 200, [{
            "id": self.server.library, "ownerId": self.server.user, "name": "Photos", "assetCount": 1,
            "importPaths": [self.server.import_path], "exclusionPatterns": [], "createdAt": DATE,
            "updatedAt": DATE, "refreshedAt": None,
        }]  # fmt: skip

    def scanLibrary(self, id):
        assert id == self.server.library
        if self.server.scans:
            self.server.scan()
        return 204, None

    def _no(self, permission):
        return 400, {"message": f"Not found or no {permission} access", "statusCode": 400}

    def _stack(self, stack):
        here = self.server
        inside = [here.assets[each] for each in here.members(stack)]
        assets = [self._asset(each) for each in inside if not each["trashed"]]
        return {"id": stack, "primaryAssetId": here.stacks[stack], "assets": assets}

    def _asset(self, asset, *, stack=False):
        shown = {
            "id": asset["id"], "ownerId": asset["owner"], "originalPath": asset["path"],
            "originalFileName": Path(asset["path"]).name, "isFavorite": asset["favourite"],
            "isArchived": asset["visibility"] == "archive", "visibility": asset["visibility"],
            "isTrashed": asset["trashed"], "isOffline": asset["trashed"], "type": "IMAGE",
            "libraryId": self.server.library, "checksum": "MDEyMzQ1Njc4OTAxMjM0NTY3ODk=",
            "duration": None, "hasMetadata": True, "height": 1, "width": 1, "isEdited": False,
            "thumbhash": None,
        }  # fmt: skip
        dates = ("createdAt", "fileCreatedAt", "fileModifiedAt", "localDateTime", "updatedAt")
        shown |= dict.fromkeys(dates, DATE)
        if stack:
            mine = asset["stack"]
            shown["stack"] = mine and {
                "id": mine, "primaryAssetId": self.server.stacks[mine],
                "assetCount": len(self.server.members(mine)),
            }  # fmt: skip
        return shown

    def _album(self, album, ids):
        return {
            "id": album, "albumName": "Holidays", "albumThumbnailAssetId": None, "albumUsers": [],
            "assetCount": len(ids), "createdAt": DATE, "updatedAt": DATE, "description": "",
            "hasSharedLink": False, "isActivityEnabled": True, "shared": False,
        }  # fmt: skip

    def reply(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        raw = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def drop(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True

    def wait(self) -> None:
        """Answer nothing for a while."""
        time.sleep(1)
        self.drop()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def serve(server: FakeImmich) -> threading.Thread:
    """Answer in a thread."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    return thread
