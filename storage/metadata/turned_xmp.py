"""Turn an XMP packet with the pixels: orientation, sizes, resolutions, and regions of faces.

Regions are those of the Metadata Working Group, Microsoft, ACDSee and IPTC. A structure may be
written as child elements, as attributes, or with an rdf:Description between; all are handled.
"""

from collections.abc import Callable
from xml.etree.ElementTree import Element

from storage.formats.turn import TRANSPOSED, Pair, Turn
from storage.metadata.xmp import Packet, name

_WIDTHS, _HEIGHTS = (
    ("tiff:ImageWidth", "exif:PixelXDimension"),
    ("tiff:ImageLength", "exif:PixelYDimension"),
)
_RESOLUTIONS = (
    ("tiff:XResolution", "tiff:YResolution"),
    ("exif:FocalPlaneXResolution", "exif:FocalPlaneYResolution"),
)
_SUBJECTS = ("exif:SubjectArea", "exif:SubjectLocation")
_AREAS = (("mwg-rs:AppliedToDimensions", "stDim", "stArea"),
          ("acdsee-rs:AppliedToDimensions", "acdsee-stDim", "acdsee-stArea"))  # fmt: skip
"""The size that areas apply to, its prefix, and the prefix of the areas: x and y are the centre."""
_IPTC_POINT = ("Iptc4xmpExt:rbX", "Iptc4xmpExt:rbY")
_IPTC_SIDES = ("Iptc4xmpExt:rbW", "Iptc4xmpExt:rbH")
_IPTC_RADIUS = "Iptc4xmpExt:rbRx"
_PANORAMA_WIDTHS = ("FullPanoWidthPixels", "CroppedAreaImageWidthPixels", "CroppedAreaLeftPixels")
_PANORAMA_HEIGHTS = ("FullPanoHeightPixels", "CroppedAreaImageHeightPixels", "CroppedAreaTopPixels")

_EDITS = frozenset(name(f"crs:{short}") for short in (
    "GradientBasedCorrections", "CircularGradientBasedCorrections", "PaintBasedCorrections",
    "MaskGroupBasedCorrections", "RetouchInfo", "RetouchAreas", "RedEyeInfo",
))  # fmt: skip
"""Camera Raw's edits of places, whose many forms are not turned."""

Turned = Callable[[float, float], Pair]


def unturnable(packet: Packet) -> str | None:
    """Return what a packet says about places that `turn_packet` leaves as it is; None if nothing."""
    if packet.text("crs:AlreadyApplied") == "True":
        return None
    edited = packet.text("crs:HasCrop") == "True" or not _EDITS.isdisjoint(packet.names())
    return "a crop or masks of Camera Raw, which cannot be turned" if edited else None


def turn_packet(packet: Packet, turn: Turn) -> None:
    """Turn all that a packet says about places and sizes; what is not there is not added."""
    if packet.text("tiff:Orientation") is not None:
        packet.set("tiff:Orientation", "1")
    for side, names in zip(turn.size, (_WIDTHS, _HEIGHTS), strict=True):
        for short in names:
            if packet.text(short) is not None:
                packet.set(short, str(side))
    if turn.orientation in TRANSPOSED:
        _exchange_resolutions(packet)
    for short in _SUBJECTS:
        for listed in packet.root.iter(name(short)):
            _turn_subject(listed, turn)
    _turn_areas(packet, turn)
    for part in packet.root.iter():
        _turn_rectangle(part, turn)
    for part in packet.root.iter(name("Iptc4xmpExt:RegionBoundary")):
        _turn_boundary(_holder(part), turn)
    _enlarge_panorama(packet, turn)


def _exchange_resolutions(packet: Packet) -> None:
    for pair in _RESOLUTIONS:
        values = [packet.text(short) for short in pair]
        for short, value in zip(pair, reversed(values), strict=True):
            packet.remove(name(short))
            if value is not None:
                packet.set(short, value)


def _turn_subject(listed: Element, turn: Turn) -> None:
    items = list(listed.iter(name("rdf:li")))
    try:
        values = tuple(int(item.text or "") for item in items)
    except ValueError:
        return
    for item, value in zip(items, turn.subject(values), strict=True):
        item.text = str(value)


def _turn_areas(packet: Packet, turn: Turn) -> None:
    for applied, dimensions, area in _AREAS:
        for part in packet.root.iter(name(applied)):
            _change(_holder(part), (f"{dimensions}:w", f"{dimensions}:h"), turn.sides)
        for part in packet.root.iter():
            point, sides = _units(turn, _field(part, f"{area}:unit"))
            _change(part, (f"{area}:x", f"{area}:y"), point)
            _change(part, (f"{area}:w", f"{area}:h"), sides)


def _turn_rectangle(part: Element, turn: Turn) -> None:
    """Turn a region of Microsoft: "x, y, width, height" with its upper left corner."""
    try:
        x, y, width, height = map(float, (_field(part, "MPReg:Rectangle") or "").split(","))
    except ValueError:
        return
    box = _box((x, y), (width, height), _units(turn))
    _set_field(part, "MPReg:Rectangle", ", ".join(map(_number, box)))


def _turn_boundary(part: Element, turn: Turn) -> None:
    """Turn a region of IPTC: a rectangle with its corner, a circle or a polygon."""
    unit = _field(part, "Iptc4xmpExt:rbUnit")
    box = [_numbers(part, pair) for pair in (_IPTC_POINT, _IPTC_SIDES)]
    if box[0] is not None and box[1] is not None:
        made = _box(box[0], box[1], _units(turn, unit))
        for short, value in zip(_IPTC_POINT + _IPTC_SIDES, made, strict=True):
            _set_field(part, short, _number(value))
        return
    for place in part.iter():
        _change(place, _IPTC_POINT, _units(turn, unit)[0])
    # A radius is a part of the width, which was the height.
    radius = turn.size[0] if unit == "pixel" else turn.stored[0]
    _change(part, (_IPTC_RADIUS,) * 2, lambda x, y: (x * radius / turn.source[0],) * 2)


def _box(corner: Pair, sides: Pair, units: tuple[Turned, Turned]) -> tuple[float, ...]:
    """Return upper left corner, width and height of a turned area."""
    across, down = units[0](corner[0] + sides[0] / 2, corner[1] + sides[1] / 2)
    wide, high = units[1](*sides)
    return across - wide / 2, down - high / 2, wide, high


def _units(turn: Turn, unit: str | None = None) -> tuple[Turned, Turned]:
    """Return the turns of a point and of two sides, in pixels or in parts of the whole."""
    if unit == "pixel":
        return turn.pixel_point, turn.pixel_sides
    return turn.point, turn.sides


def _enlarge_panorama(packet: Packet, turn: Turn) -> None:
    for side, fields in enumerate((_PANORAMA_WIDTHS, _PANORAMA_HEIGHTS)):
        for field in fields:
            value = packet.text(f"GPano:{field}") or ""
            if value.isdecimal():
                scaled = round(int(value) * turn.size[side] / turn.source[side])
                packet.set(f"GPano:{field}", str(scaled))


def _holder(part: Element) -> Element:
    """Return the element that holds the fields of a structure."""
    found = part.find(name("rdf:Description"))
    return part if found is None else found


def _field(holder: Element, short: str) -> str | None:
    """Return a field of a structure, None if it is not there."""
    full = name(short)
    found = holder.find(full)
    return holder.get(full) if found is None else found.text


def _set_field(holder: Element, short: str, value: str) -> None:
    found = holder.find(name(short))
    if found is None:
        holder.set(name(short), value)
    else:
        found.text = value


def _numbers(holder: Element, pair: tuple[str, str]) -> Pair | None:
    try:
        return float(_field(holder, pair[0]) or ""), float(_field(holder, pair[1]) or "")
    except ValueError:
        return None


def _change(holder: Element, pair: tuple[str, str], turned: Turned) -> None:
    """Turn a pair of fields; one that is not there or no number stays."""
    found = _numbers(holder, pair)
    for short, value in zip(pair, turned(*found) if found else (), strict=False):
        _set_field(holder, short, _number(value))


def _number(value: float) -> str:
    return f"{value:.8g}"
