"""Types of the requests to immich that photomend makes, derived from the package @immich/sdk.

`python tests/immich/contract.py FOLDER`, with the folder of the unpacked package, writes contract.json.
The generated code of the package is regular, so patterns read it. `Contract` checks values by it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("contract.json")
FUNCTIONS = (
    "getServerVersion", "getMyApiKey", "searchAssets", "getAssetInfo", "getStack", "createStack",
    "updateStack", "deleteStack", "removeAssetFromStack", "getAllAlbums", "addAssetsToAlbum",
    "updateAssets", "updateAssetMetadata", "getAllLibraries", "scanLibrary",
)  # fmt: skip
KEPT = ("AssetStackResponseDto",)
"""Types of optional fields that photomend reads; those of others are left out."""
SIMPLE = {"string", "number", "boolean", "null", "any", "never", "object"}


def derive(package: Path) -> dict[str, Any]:
    """Return the endpoints and types of an unpacked package."""
    types = (package / "build/fetch-client.d.ts").read_text()
    code = (package / "build/fetch-client.js").read_text()
    found: dict[str, Any] = {"types": {}, "enums": {}}
    endpoints = {name: _endpoint(name, types, code) for name in FUNCTIONS}
    for endpoint in endpoints.values():
        for expression in (endpoint["body"], endpoint["answer"], *endpoint["query"].values()):
            _collect(expression, types, found)
    about = json.loads((package / "package.json").read_text())
    return {"package": about["name"], "version": about["version"], "endpoints": endpoints} | found


def _endpoint(name: str, types: str, code: str) -> dict[str, Any]:
    [body] = re.findall(rf"export function {name}\(.*?\n}}", code, re.DOTALL)
    [path] = re.findall(r'fetch(?:Json|Text)\((?:"|`)(/.*?)(?:\$\{QS|"|`)', body)
    [(fields, answer)] = re.findall(
        rf"export declare function {name}\((?:{{[^}}]*}}: {{(.*?)\n}}, )?opts[^;]*?Promise<([^;]*)>;",
        types, re.DOTALL,
    )  # fmt: skip
    given = _fields(fields)
    inside = re.findall(r"encodeURIComponent\((\w+)\)", path)
    method = (re.findall(r'method: "(\w+)"', body) or ["GET"])[0]
    sent = (re.findall(r"body: (\w+)", body) or [None])[0]
    query = {n: t for n, t in given.items() if n.rstrip("?") not in (*inside, sent)}
    path = re.sub(r"\$\{encodeURIComponent\((\w+)\)\}", r"{\1}", path)
    return {
        "method": method, "path": path, "query": query, "body": given.get(sent), "answer": answer,
    }  # fmt: skip


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a type; the name of an optional one ends with ?."""
    text = re.sub(r"/\*\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\s*\[key: string\]: any;\s*\}", "object", text)
    return {
        name.replace('"', "") + optional: kind
        for name, optional, kind in re.findall(r'([\w"$]+)(\??): ([^;{]+);', text)
    }


def _collect(expression: str | None, types: str, found: dict[str, Any]) -> None:
    for name in set(re.findall(r"\b[A-Za-z]\w*\b", expression or "")) - SIMPLE:
        if name in found["types"] or name in found["enums"]:
            continue
        if members := re.search(rf"export declare enum {name} {{(.*?)\n}}", types, re.DOTALL):
            found["enums"][name] = re.findall(r'= "(.*?)"', members[1])
            continue
        [text] = re.findall(rf"export type {name} = {{(.*?)\n}};", types, re.DOTALL)
        fields = _fields(text)
        for field, kind in fields.items():
            refers = set(re.findall(r"\b[A-Z]\w*(?:Dto|Filter|Order)\b", kind)) - set(KEPT)
            if field.endswith("?") and refers:
                fields[field] = "any"
        found["types"][name] = fields
        for kind in fields.values():
            _collect(kind, types, found)


class Contract:
    """Checks requests and answers by the derived types."""

    def __init__(self) -> None:
        self.known = json.loads(FILE.read_text())

    def find(self, method: str, path: str) -> tuple[str, dict[str, Any], dict[str, str]] | None:
        """Return the endpoint of a request, and the values in its path."""
        for name, endpoint in self.known["endpoints"].items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint["path"])
            if endpoint["method"] == method and (match := re.fullmatch(pattern, path)):
                return name, endpoint, match.groupdict()
        return None

    def fields_wrong(self, fields: dict[str, str], value: dict[str, Any], where: str) -> list[str]:
        """Return what of an object is not as its type says: unknown, missing and wrong fields."""
        names = {name.rstrip("?"): kind for name, kind in fields.items()}
        wrong = [f"{where}.{name} is unknown" for name in value if name not in names]
        wrong += [
            f"{where}.{name} is missing" for name in fields if name[-1] != "?" and name not in value
        ]
        return wrong + [
            each
            for name, item in value.items()
            if name in names
            for each in self.wrong(names[name], item, f"{where}.{name}")
        ]

    def wrong(self, kind: str, value: Any, where: str) -> list[str]:
        """Return what of a value is not as a type expression says."""
        kind = kind.strip().removeprefix("(").removesuffix(")") if "|" not in kind else kind
        if "|" in kind:
            ways = [self.wrong(part, value, where) for part in kind.split("|")]
            return [] if [] in ways else ways[0]
        if kind.endswith("[]"):
            if not isinstance(value, list):
                return [f"{where} is no list"]
            inner = kind.removesuffix("[]")
            return [
                w for n, each in enumerate(value) for w in self.wrong(inner, each, f"{where}[{n}]")
            ]
        if kind in self.known["types"]:
            if not isinstance(value, dict):
                return [f"{where} is no {kind}"]
            return self.fields_wrong(self.known["types"][kind], value, where)
        if kind in self.known["enums"]:
            return (
                [] if value in self.known["enums"][kind] else [f"{where} is no {kind}: {value!r}"]
            )
        plain = {
            "string": str, "boolean": bool, "object": dict, "null": type(None), "any": object,
            "number": (int, float),
        }  # fmt: skip
        fits = isinstance(value, plain[kind]) and not (kind == "number" and isinstance(value, bool))
        return [] if fits else [f"{where} is no {kind}: {value!r}"]


if __name__ == "__main__":
    FILE.write_text(json.dumps(derive(Path(sys.argv[1])), indent=1) + "\n")
