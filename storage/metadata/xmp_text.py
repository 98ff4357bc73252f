"""Write the elements of an XMP packet as text, in UTF-8."""

from collections.abc import Mapping
from itertools import count
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

_LONGEST_PREFIX = 13
"""Length of the longest usual prefix, "acdsee-stArea"; a new one is shorter."""
_RETURN = {"\r": "&#13;"}
"""A carriage return as it is, which readers would take for the end of a line."""


def of(
    root: Element, own: Mapping[str, str], usual: Mapping[str, str], *, wrapped: bool = True
) -> bytes:
    """Return a packet without padding, in the x:xmpmeta element if it is `wrapped`.

    `own` maps namespaces to the prefixes of the source, `usual` the usual prefixes to namespaces.
    """
    used = {part.tag for part in root.iter()}
    used |= {key for part in root.iter() for key in part.attrib}
    spaces = sorted({full[1:].partition("}")[0] for full in used if full[:1] == "{"})
    prefixes = _prefixes(spaces, own, usual)
    declared = "".join(
        f" xmlns:{prefixes[space]}={quoteattr(space)}" for space in spaces if space != usual["xml"]
    )
    body = _write(root, prefixes, declared)
    if wrapped:
        body = f"<x:xmpmeta xmlns:x={quoteattr(usual['x'])}>{body}</x:xmpmeta>"
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}{body}<?xpacket end="w"?>'.encode()


def length(part: Element, own: Mapping[str, str]) -> int:
    """Return at most how many bytes an element takes; `own` are the prefixes of the source."""
    made = 0
    for each in part.iter():
        made += 2 * _length_of_name(each.tag, own) + len("<></>")
        made += len(escape(each.text or "", _RETURN).encode())
        made += sum(length_of_attribute(*attribute, own) for attribute in each.attrib.items())
    return made


def length_of_attribute(key: str, value: str, own: Mapping[str, str]) -> int:
    """Return at most how many bytes an attribute takes; `own` are the prefixes of the source."""
    return _length_of_name(key, own) + len(quoteattr(value).encode()) + len(" =")


def _length_of_name(full: str, own: Mapping[str, str]) -> int:
    space, _, local = full[1:].rpartition("}")
    return len(local.encode()) + max(len(own.get(space, "").encode()), _LONGEST_PREFIX) + 1


def _prefixes(
    spaces: list[str], own: Mapping[str, str], usual: Mapping[str, str]
) -> dict[str, str]:
    """Return a prefix for each namespace: the usual one, the source's own, or a new one."""
    known = {space: prefix for prefix, space in usual.items()}
    made = {space: known[space] for space in spaces if space in known}
    taken = set(usual)
    for space in spaces:
        if space not in made:
            new = next(new for number in count(len(taken)) if (new := f"ns{number}") not in taken)
            prefix = own.get(space, "")
            made[space] = prefix if prefix and prefix not in taken else new
            taken.add(made[space])
    return made


def _write(part: Element, prefixes: Mapping[str, str], declared: str = "") -> str:
    tag = _short(part.tag, prefixes)
    attributes = "".join(
        f" {_short(key, prefixes)}={quoteattr(value)}" for key, value in part.attrib.items()
    )
    own = part.text or ""
    inner = escape(own, _RETURN) if own.strip() or not len(part) else ""
    inner += "".join(_write(child, prefixes) for child in part)
    return f"<{tag}{declared}{attributes}>{inner}</{tag}>"


def _short(full: str, prefixes: Mapping[str, str]) -> str:
    if full[:1] != "{":
        return full
    space, _, local = full[1:].partition("}")
    return f"{prefixes[space]}:{local}"
