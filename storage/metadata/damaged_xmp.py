"""Mend a packet that is not well-formed XML, so that what it says is not lost.

Mended are: UTF-16 and UTF-32, bytes that are not UTF-8, control characters, bytes before and behind the root,
undeclared prefixes, double attributes and those without quotes, stray `<` and `&`, and elements that are
not closed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

USUAL = {
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "darktable": "http://darktable.sf.net/",
    "dcterms": "http://purl.org/dc/terms/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "xmpDM": "http://ns.adobe.com/xmp/1.0/DynamicMedia/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
}
"""Usual prefixes of namespaces that photomend itself does not use."""
MOST_BYTES = 1 << 20
"""Size of the largest packet that is mended, which takes a second."""
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"), (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
    (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip
"""How a packet of wide characters begins: with a mark of its order, or with `<`."""
_MOST_OPEN, _MOST_PREFIXES = 128, 256
_TOKEN = re.compile(
    r"<(?P<end>/?)(?P<tag>[A-Za-z_][\w.-]*+(?::[A-Za-z_][\w.-]*+)?)"
    r"(?P<rest>(?:\s*[^\s=<>/\"']++\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(?P<alone>/?)>"
    r"|<(?P<rough_end>/?)(?P<rough>[A-Za-z_][\w.-]*+:[A-Za-z_][\w.-]*+)(?P<loose>[^<>]*)(?P<closed>>?)"
    r"|(?P<text>[^<]+|<)"
)
_ATTRIBUTE = re.compile(
    r"(?<![\w.:-])([A-Za-z_][\w.-]*+(?::[A-Za-z_][\w.-]*+)?)\s*+=\s*+"
    r"(?:\"([^\"]*)\"|'([^']*)'|([^\s=\"'<>]++)(?!\S))"
)
_VALUE = re.compile(r"\"\s*+[^\"]++\"|'\s*+[^']++'")
"""A quoted text that is not blank."""
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_NUMBER = re.compile(r"&#(x?)([0-9A-Fa-f]+);")
_ROOT = re.compile(r"<(?:\w+:)?(?:xmpmeta|xapmeta|RDF)[\s>]")


class Beyond(ValueError):
    """It cannot be mended."""


def text_of(data: bytes) -> str:
    """Return a packet as text, of UTF-8, UTF-16 or UTF-32 of either order; wrong bytes as Latin-1."""
    wide = next((name for start, name in _WIDE if data.startswith(start)), None)
    if wide is not None:
        text = data.decode(wide, "replace")
    else:
        wrong = data.decode("utf-8", "surrogateescape")
        text = re.sub("[\udc80-\udcff]", lambda found: chr(ord(found[0]) - 0xDC00), wrong)
    return "".join(filter(_allowed, text.lstrip("\ufeff")))


def _allowed(letter: str) -> bool:
    """Return whether XML allows a character."""
    if letter < " ":
        return letter in "\t\n\r"
    return not ("\ud800" <= letter <= "\udfff" or letter in "\ufffe\uffff")


def mended(data: bytes, namespaces: Mapping[str, str]) -> bytes:
    """Return a packet as well-formed XML without what surrounds its root.

    `namespaces` maps usual prefixes to their namespaces, for those that are not declared.

    Raises:
        Beyond: it has no root, or a DTD, or is too large or too deep.

    """
    if len(data) > MOST_BYTES:
        raise Beyond(f"it has {len(data)} bytes")
    text = text_of(data)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Beyond("it has a DTD")
    text = _replaced(text, "<![CDATA[", "]]>", escape)
    for begin, stop in (("<!--", "-->"), ("<?", "?>")):
        text = _replaced(text, begin, stop, lambda _: "")
    root = _ROOT.search(text)
    if root is None:
        raise Beyond("it has no root that can be read")
    made = _Mending({**USUAL, **namespaces})
    for token in _TOKEN.finditer(text, root.start()):
        made.add(token)
        if made.is_done:
            first = text[root.start() : token.end()]
            if _ROOT.search(text[token.end() :].replace(first, "")):
                raise Beyond("it has a second root, which says something else")
            break
    return made.finished()


def _replaced(text: str, begin: str, stop: str, change: Callable[[str], str]) -> str:
    """Replace each part of a text between two marks, with its marks; what is not closed stays."""
    first, *others = text.split(begin)
    made = [first]
    for part in others:
        inner, closed, rest = part.partition(stop)
        made += [change(inner), rest] if closed else [begin, part]
    return "".join(made)


@dataclass
class _Mending:
    """The well-formed text so far, and the open elements."""

    namespaces: Mapping[str, str]
    parts: list[str] = field(default_factory=list)
    opened: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Name and declared prefixes of each open element."""

    @property
    def is_done(self) -> bool:
        return bool(self.parts) and not self.opened

    def add(self, token: re.Match[str]) -> None:
        if token["tag"]:
            if token["end"]:
                self._close(token["tag"])
            else:
                self._open(token["tag"], token["rest"], alone=bool(token["alone"]))
        elif token["rough"]:
            self._add_rough(token)
        else:
            self.parts.append(_escaped(token["text"]).replace("]]>", "]]&gt;"))

    def finished(self) -> bytes:
        for tag, _ in reversed(self.opened):
            self.parts.append(f"</{tag}>")
        return "".join(self.parts).encode()

    def _add_rough(self, token: re.Match[str]) -> None:
        """Add a tag whose attributes are not well-formed; the cut end of a packet may be nothing."""
        tag, loose = token["rough"], token["loose"]
        if token["rough_end"]:
            self._close(tag)
        elif token["closed"] or _ATTRIBUTE.search(loose):
            self._open(tag, loose, alone=loose.rstrip().endswith("/"))

    def _open(self, tag: str, rest: str, *, alone: bool) -> None:
        if _VALUE.search(_ATTRIBUTE.sub("", rest)):
            raise Beyond("it has an attribute that cannot be read")
        found: dict[str, str] = {}
        for key, *values in _ATTRIBUTE.findall(rest):
            found.setdefault(key, _escaped("".join(values)).replace('"', "&quot;"))
        declared = self.opened[-1][1] if self.opened else frozenset({"xml"})
        own = {key[6:] for key, space in found.items() if key.startswith("xmlns:") and space}
        found = {key: space for key, space in found.items() if space or key[:6] != "xmlns:"}
        used = {name.partition(":")[0] for name in (tag, *found) if ":" in name}
        for prefix in sorted(used - declared - own - {"xmlns"}):
            found[f"xmlns:{prefix}"] = self.namespaces.get(prefix, f"urn:unknown:{prefix}")
            own.add(prefix)
        attributes = "".join(f' {key}="{value}"' for key, value in found.items())
        self.parts.append(f"<{tag}{attributes}{'/' if alone else ''}>")
        if not alone:
            self.opened.append((tag, declared | own))
        if len(self.opened) > _MOST_OPEN or len(declared | own) > _MOST_PREFIXES:
            raise Beyond("it is too deep or has too many prefixes")

    def _close(self, tag: str) -> None:
        """Close an element and those left open in it; an end without a beginning is dropped."""
        if not any(tag == name for name, _ in self.opened):
            return
        while True:
            name, _ = self.opened.pop()
            self.parts.append(f"</{name}>")
            if name == tag:
                return


def _escaped(text: str) -> str:
    """Escape what may not stand in a text; entities that XML knows stay."""
    text = _AMPERSAND.sub("&amp;", text)
    return _NUMBER.sub(_number, text).replace("<", "&lt;")


def _number(found: re.Match[str]) -> str:
    value = int(found[2], 16 if found[1] else 10)
    return found[0] if value < 0x110000 and _allowed(chr(value)) else ""
