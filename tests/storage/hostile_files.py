"""Small files that ask for much: a generator for each kind, whose size grows with a number."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pillow_heif
from PIL import Image as Pillow

from storage.formats.containers import jpeg, png, webp

Generator = Callable[[int], bytes]
KINDS: dict[str, Generator] = {}
"""Generators by the names of their files."""
RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
)
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"


def kind(*names: str) -> Callable[[Callable[[int, str], bytes]], Callable[[int, str], bytes]]:
    """Add a generator under the names of its files."""

    def added(made: Callable[[int, str], bytes]) -> Callable[[int, str], bytes]:
        for name in names:
            assert name not in KINDS
            KINDS[name] = lambda number, name=name: made(number, name)  # type: ignore[misc]
        return made

    return added


def pixels(side: int = 64) -> Pillow.Image:
    """A picture that is not flat."""
    made = np.random.default_rng(5).integers(0, 255, (side, side, 3), np.uint8)
    return Pillow.fromarray(made)


def plain(suffix: str, side: int = 64, **options: object) -> bytes:
    held = io.BytesIO()
    formats = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}
    pixels(side).save(held, formats[suffix], **options)
    return held.getvalue()


# HEIC and AVIF


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, name) + body


def infe(number: int, name: bytes, rest: bytes = b"\0") -> bytes:
    return box(b"infe", struct.pack(">IHH4s", 2 << 24, number, 0, name), rest)


def iloc(entries: Sequence[tuple[int, Sequence[tuple[int, int]]]]) -> bytes:
    """Items and their extents, of four bytes each."""
    made = [struct.pack(">IHH", 0, 0x4400, len(entries))]
    for number, extents in entries:
        made.append(struct.pack(">HHH", number, 0, len(extents)))
        made += [struct.pack(">II", *extent) for extent in extents]
    return box(b"iloc", *made)


ISPE = box(b"ispe", struct.pack(">III", 0, 64, 64))


def boxed(
    name: str, items: Sequence[bytes], places: bytes, *, properties: Sequence[bytes] = (ISPE,),
    associated: bytes = struct.pack(">IIHB", 0, 1, 1, 1) + b"\x81", more: Sequence[bytes] = (),
    data: bytes = bytes(1000), top: Sequence[bytes] = (),
) -> bytes:  # fmt: skip
    """A HEIC or AVIF of these items; its first one is the photo."""
    brand = b"heic" if name.endswith("heic") else b"avif"
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    meta = box(
        b"meta", bytes(4), box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iinf", struct.pack(">IH", 0, min(len(items), 65535)), *items), places,
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", associated)), *more,
    )  # fmt: skip
    return b"".join([ftyp, meta, *top, box(b"mdat", data)])


def both(stem: str) -> tuple[str, str]:
    return f"{stem}.heic", f"{stem}.avif"


def image(name: str) -> bytes:
    return infe(1, b"hvc1" if name.endswith("heic") else b"av01")


@kind(*both("exif-extents"))
def exif_extents(number: int, name: str) -> bytes:
    extents = [(0, 1_000_000)] * min(number, 65535)
    places = iloc([(1, [(0, 16)]), (2, extents)])
    return boxed(name, [image(name), infe(2, b"Exif")], places, data=b"\1" * 1_000_000)


@kind(*both("xmp-extents"))
def xmp_extents(number: int, name: str) -> bytes:
    mime = infe(2, b"mime", b"\0application/rdf+xml\0\0")
    places = iloc([(1, [(0, 16)]), (2, [(0, 10_000)] * min(number, 65535))])
    return boxed(name, [image(name), mime], places, data=b"\1" * 100_000)


@kind(*both("image-extents"))
def image_extents(number: int, name: str) -> bytes:
    """The photo itself lies a thousand times at the same place."""
    places = iloc([(1, [(0, 500_000)] * min(number, 65535))])
    return boxed(name, [image(name)], places, data=b"\1" * 1_000_000)


@kind(*both("overlapping-items"))
def overlapping_items(number: int, name: str) -> bytes:
    """Each item is the whole file."""
    count = min(number, 60_000)
    items = [infe(at, b"hvc1") for at in range(1, count + 1)]
    places = iloc([(at, [(0, 1_000_000)]) for at in range(1, count + 1)])
    return boxed(name, items, places, data=b"\1" * 1_000_000)


@kind(*both("extents-without-width"))
def extents_without_width(number: int, name: str) -> bytes:
    entry = struct.pack(">HHH", 1, 0, 65535)
    places = box(b"iloc", struct.pack(">IHH", 0, 0, min(number, 65535)), entry * number)
    return boxed(name, [image(name)], places)


@kind(*both("items-without-extents"))
def items_without_extents(number: int, name: str) -> bytes:
    entry = struct.pack(">IHHH", 1, 0, 0, 0)
    places = box(b"iloc", struct.pack(">IHI", 2 << 24, 0, number), entry * number)
    return boxed(name, [image(name)], places)


@kind(*both("empty-extents"))
def empty_extents(number: int, name: str) -> bytes:
    places = iloc([(1, [(0, 0)] * min(number, 65535))] * (1 + number // 65535))
    return boxed(name, [image(name)], places)


@kind(*both("associations"))
def associations(number: int, name: str) -> bytes:
    entry = struct.pack(">HB", 1, 255) + b"\x81" * 255
    count = number // 10 + 1
    given = struct.pack(">II", 0, count) + entry * count
    return boxed(name, [image(name)], iloc([(1, [(0, 16)])]), associated=given)


@kind(*both("references"))
def references(number: int, name: str) -> bytes:
    one = box(b"dimg", struct.pack(">HH", 1, 1000), struct.pack(">H", 2) * 1000)
    more = [box(b"iref", bytes(4), *[one] * (number // 100 + 1))]
    return boxed(name, [image(name)], iloc([(1, [(0, 16)])]), more=more)


@kind(*both("properties-of-nothing"))
def properties_of_nothing(number: int, name: str) -> bytes:
    auxiliary = box(b"auxC", bytes(4), b"urn:x\0")
    return boxed(
        name, [image(name)], iloc([(1, [(0, 16)])]), properties=[ISPE, *[auxiliary] * number]
    )


@kind(*both("boxes"))
def boxes(number: int, name: str) -> bytes:
    top = [box(b"free")] * number
    return boxed(name, [image(name)], iloc([(1, [(0, 16)])]), top=top)


@kind(*both("metas"))
def metas(number: int, name: str) -> bytes:
    one = box(b"meta", bytes(4), *[box(b"free")] * 1000)
    return boxed(name, [image(name)], iloc([(1, [(0, 16)])]), top=[one] * (number // 100 + 1))


@kind(*both("long-name"))
def long_name(number: int, name: str) -> bytes:
    mime = infe(2, b"mime", bytes(number * 10))
    return boxed(name, [image(name), mime], iloc([(1, [(0, 16)])]))


def tiled(number: int, name: str, derived: bytes, payload: bytes, lie: int) -> bytes:
    """A derived picture of many copies of one small one; it says that it is `lie` pixels wide."""
    held = io.BytesIO()
    file = pillow_heif.from_pillow(pixels(1024))
    file.save(held, quality=5)
    coded = held.getvalue()
    at = coded.index(b"hvcC") - 4
    config = coded[at : at + int.from_bytes(coded[at : at + 4], "big")]
    at = coded.index(b"mdat") + 4
    tile = coded[at : at - 8 + int.from_bytes(coded[at - 8 : at - 4], "big")]
    size = box(b"ispe", struct.pack(">III", 0, 1024, 1024))
    said = box(b"ispe", struct.pack(">III", 0, lie, lie))
    clap = box(b"clap", struct.pack(">IIIIIIII", 64, 1, 64, 1, 0, 1, 0, 1))
    given = struct.pack(">II", 0, 2) + struct.pack(">HB", 1, 2) + b"\x03\x84"
    given += struct.pack(">HB", 2, 2) + b"\x81\x02"
    refer = box(b"dimg", struct.pack(">HH", 1, number), struct.pack(">H", 2) * number)

    def built(start: int) -> bytes:
        places = iloc([(1, [(start, len(payload))]), (2, [(start + len(payload), len(tile))])])
        return boxed(
            name, [infe(1, derived), infe(2, b"hvc1")], places, associated=given,
            properties=[config, size, said, clap], data=payload + tile,
            more=[box(b"iref", bytes(4), refer)],
        )  # fmt: skip

    return built(built(0).index(b"mdat") + 4)


def _side(number: int) -> int:
    return min(max(2, int(number**0.5)), 200)


@kind("grid.heic", "grid-that-lies.heic")
def grid(number: int, name: str) -> bytes:
    side = _side(number)
    payload = struct.pack(">BBBBII", 0, 1, side - 1, side - 1, side * 1024, side * 1024)
    return tiled(side * side, name, b"grid", payload, 64 if "lies" in name else side * 1024)


@kind("overlay.heic", "overlay-that-lies.heic")
def overlay(number: int, name: str) -> bytes:
    count, side = min(number, 60_000), _side(number) * 1024
    payload = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 0, side, side) + bytes(8) * count
    return tiled(count, name, b"iovl", payload, 64 if "lies" in name else side)


# XMP


def described(inner: str, attributes: str = "") -> bytes:
    return RDF.format(
        f'<rdf:Description rdf:about="" {attributes}>{inner}</rdf:Description>'
    ).encode()


def _names(number: int) -> Iterator[str]:
    return (f"p{at:x}" for at in range(number))


PACKETS: dict[str, Callable[[int], bytes]] = {
    "elements": lambda n: described("".join(f"<{p}/>" for p in _names(n)), 'xmlns="u"'),
    "attributes": lambda n: described(
        "", 'xmlns:u="u" ' + " ".join(f'u:{p}=""' for p in _names(n))
    ),
    "prefixes": lambda n: described("".join(f'<a xmlns:{p}="u"/>' for p in _names(n))),
    "namespaces": lambda n: described("".join(f'<{p}:a xmlns:{p}="{p}"/>' for p in _names(n))),
    "default-namespaces": lambda n: described("".join(f'<a xmlns="{p}"/>' for p in _names(n))),
    "namespaces-of-one": lambda n: described(
        "", " ".join(f'xmlns:{p}="{p}" {p}:a=""' for p in _names(n))
    ),
    "nested": lambda n: described("<a>" * n + "</a>" * n, 'xmlns="u"'),
    "nested-below": lambda n: described(("<a>" * 50 + "</a>" * 50) * (n // 50), 'xmlns="u"'),
    "descriptions": lambda n: RDF.format(
        "".join(f'<rdf:Description xmlns:u="u" u:{p}="1"/>' for p in _names(n))
    ).encode(),
    "items": lambda n: described(
        "<dc:subject><rdf:Bag>" + "<rdf:li>a</rdf:li>" * n + "</rdf:Bag></dc:subject>",
        'xmlns:dc="http://purl.org/dc/elements/1.1/"',
    ),
    "large-items": lambda n: described(
        "".join(f"<{p}>{'x' * 700}</{p}>" for p in _names(min(n, 20_000))), 'xmlns="u"'
    ),
    "entities": lambda n: described(f"<a>{'&lt;' * n * 4}</a>", 'xmlns="u"'),
    "regions": lambda n: described(
        '<s:RegionBoundary s:rbX="1">' * 50 + "</s:RegionBoundary>" * 50 + "<a/>" * n,
        'xmlns:s="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns="u"',
    ),
    "broken-open": lambda n: described("<a b" * n),
    "broken-attributes": lambda n: described("", 'a="' * n),
    "broken-spaces": lambda n: described("<a " + " " * n * 4 + "<a"),
    "broken-names": lambda n: described("<a:" + "b" * n * 4 + " <"),
    "broken-comments": lambda n: described("<!--" * n),
    "broken-ends": lambda n: described("</a>" * n + "<a>" * n),
    "broken-prefixes": lambda n: described("".join(f"<{p}:a {p}:b=1/>" for p in _names(n))),
    "broken-equals": lambda n: described("<a " + "a=" * n * 2 + ">"),
    "broken-references": lambda n: described("&" * n * 4),
    "broken-roots": lambda n: described("<rdf:RDF " * n),
}
"""Packets whose number of parts is given."""


def with_packet(suffix: str, packet: bytes) -> bytes:
    """A photo with this packet, compressed where the format allows it."""
    if suffix == "png":
        text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet, 1)
        return png.splice(io.BytesIO(plain("png")), [(b"iTXt", text)])
    coded = plain("webp")
    return webp.splice(io.BytesIO(coded), {b"XMP ": packet})


for _name, _packet in PACKETS.items():
    for _suffix in ("png", "webp"):

        def _made(number: int, packet=_packet, suffix: str = _suffix) -> bytes:
            return with_packet(suffix, packet(number))

        KINDS[f"xmp-{_name}.{_suffix}"] = _made


# PNG


def pngs(parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    return png.splice(io.BytesIO(plain("png")), parts)


@kind("comments.png")
def many_texts(number: int, name: str) -> bytes:
    return pngs([(b"tEXt", b"a\0b")] * number)


@kind("orientations.png")
def many_orientations(number: int, name: str) -> bytes:
    return pngs([(b"zTXt", b"exif:Orientation\0\0" + zlib.compress(b"9"))] * number)


@kind("empty-pixels.png")
def empty_pixels(number: int, name: str) -> bytes:
    coded = plain("png")
    at = coded.index(b"IDAT") - 4
    return coded[:at] + png.build(b"IDAT", b"") * number + coded[at:]


@kind("unknown-chunks.png")
def unknown_chunks(number: int, name: str) -> bytes:
    return pngs([(b"tIME", b"")] * number)


def _bomb(number: int) -> bytes:
    return zlib.compress(bytes(16_000_000), 9)


@kind("text-bombs.png")
def text_bombs(number: int, name: str) -> bytes:
    return pngs([(b"zTXt", b"a\0\0" + _bomb(number))] * (number // 200 + 1))


@kind("international-bombs.png")
def international_bombs(number: int, name: str) -> bytes:
    return pngs([(b"iTXt", b"a\0\1\0\0\0" + _bomb(number))] * (number // 200 + 1))


@kind("packet-bombs.png")
def packet_bombs(number: int, name: str) -> bytes:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + _bomb(number)
    return pngs([(b"iTXt", text)] * (number // 200 + 1))


@kind("raw-profile-bombs.png")
def raw_profile_bombs(number: int, name: str) -> bytes:
    bomb = zlib.compress(b"\nexif\n8\n" + b"00" * 8_000_000, 9)
    return pngs([(b"zTXt", b"Raw profile type exif\0\0" + bomb)] * (number // 200 + 1))


@kind("profile-bombs.png")
def profile_bombs(number: int, name: str) -> bytes:
    return pngs([(b"iCCP", b"a\0\0" + _bomb(number)[:-4])] * (number // 200 + 1))


@kind("packets.png")
def many_packets(number: int, name: str) -> bytes:
    texts = (described(f"<{p}>{'v' * 20}</{p}>", 'xmlns="u"') for p in _names(number))
    return pngs([(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text) for text in texts])


@kind("exifs.png")
def many_exifs(number: int, name: str) -> bytes:
    return pngs([(b"eXIf", _exif(at)) for at in range(number)])


# EXIF


def _exif(value: int) -> bytes:
    entry = struct.pack(">HHII", 0x0100, 4, 1, value)
    return b"MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)


def directories_everywhere(number: int) -> bytes:
    """Each entry points to another directory, which overlaps with the others."""
    made = bytearray(b"MM\0*\0\0\0\x08" + struct.pack(">H", 4095))
    room = 8 + number * 4
    for at in range((room - 10) // 12):
        made += struct.pack(">HHII", 34665, 4, 4095, 8 + (at * 12) % max(12, room - 60_000))
    return bytes(made)


def chained_directories(number: int) -> bytes:
    made = bytearray(b"MM\0*\0\0\0\x08")
    for at in range(number):
        entry = struct.pack(">HHII", 34665, 4, 1, 8 + (at + 1) * 18)
        made += struct.pack(">H", 1) + entry + bytes(4)
    return bytes(made)


def looped_directories(number: int) -> bytes:
    entries = b"".join(
        struct.pack(">HHII", tag, 4, 1, 8) for tag in (34665, 34853, 40965)
    ) * (min(number, 1300))  # fmt: skip
    count = len(entries) // 12
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + struct.pack(">I", 8)


def apple_note(number: int) -> bytes:
    """A maker note in which each entry links the photo to a film."""
    count = min(number, 65535)
    table = struct.pack(">HHII", 17, 2, 4, 0) * count
    note = b"Apple iOS\0\0\1MM" + struct.pack(">H", count) + table + bytes(4)
    first = struct.pack(">H", 1) + struct.pack(">HHII", 34665, 4, 1, 26) + bytes(4)
    below = struct.pack(">H", 1) + struct.pack(">HHII", 37500, 7, len(note), 44) + bytes(4)
    return b"MM\0*\0\0\0\x08" + first + below + note


def _pieces(block: bytes) -> list[tuple[int, bytes]]:
    pieces = [block[at : at + 65000] for at in range(0, len(block), 65000)]
    return [(0xE1, b"Exif\0\0" + piece) for piece in pieces]


def jpegs(parts: Sequence[tuple[int, bytes]], **options: object) -> bytes:
    return jpeg.splice(io.BytesIO(plain("jpg", **options)), parts)


for _name, _block in {
    "exif-everywhere": directories_everywhere, "exif-chain": chained_directories,
    "exif-loop": looped_directories, "exif-apple": apple_note,
}.items():  # fmt: skip

    def _photo(number: int, block=_block) -> bytes:
        return jpegs(_pieces(block(number)))

    def _png(number: int, block=_block) -> bytes:
        return pngs([(b"eXIf", block(number))])

    KINDS[f"{_name}.jpg"], KINDS[f"{_name}.png"] = _photo, _png


# JPEG


@kind("comments.jpg")
def comments(number: int, name: str) -> bytes:
    return jpegs([(0xFE, b"a")] * number)


@kind("exif-pieces.jpg")
def exif_pieces(number: int, name: str) -> bytes:
    return jpegs([(0xE1, b"Exif\0\0" + b"x" * 100)] * number)


@kind("profile-pieces.jpg")
def profile_pieces(number: int, name: str) -> bytes:
    return jpegs([(0xE2, b"ICC_PROFILE\0\1\xff" + b"x" * 100)] * number)


@kind("photoshop-pieces.jpg")
def photoshop_pieces(number: int, name: str) -> bytes:
    return jpegs([(0xED, b"Photoshop 3.0\0" + b"8BIM" + b"\4\1\0\0" + bytes(4))] * number)


@kind("resources.jpg")
def resources(number: int, name: str) -> bytes:
    block = (b"8BIM" + b"\4\1\0\0" + bytes(4)) * number
    parts = [block[at : at + 60_000] for at in range(0, len(block), 60_000)]
    return jpegs([(0xED, b"Photoshop 3.0\0" + part) for part in parts])


@kind("packets.jpg")
def jpeg_packets(number: int, name: str) -> bytes:
    texts = (described(f"<{p}>{'v' * 20}</{p}>", 'xmlns="u"') for p in _names(number))
    return jpegs([(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text) for text in texts])


@kind("properties.jpg")
def properties(number: int, name: str) -> bytes:
    """A packet of one segment that cannot hold a word more, and an extension of many properties."""
    text = described("".join(f"<{p}/>" for p in _names(min(number, 5000))), 'xmlns="u"')
    data = described("".join(f"<{p}/>" for p in _names(number)), 'xmlns="v"')
    size = 60_000
    parts = [
        (0xE1, EXTENSION + b"0" * 32 + struct.pack(">II", len(data), at) + data[at : at + size])
        for at in range(0, len(data), size)
    ]
    return jpegs([(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text), *parts])


@kind("extension-pieces.jpg")
def extension_pieces(number: int, name: str) -> bytes:
    data = described("<a>" + "x" * number * 10 + "</a>", 'xmlns="v"')
    pieces = [
        (0xE1, EXTENSION + b"0" * 32 + struct.pack(">II", len(data), at) + data[at : at + 10])
        for at in range(0, len(data), 10)
    ]
    return jpegs([(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + described("")), *pieces])


@kind("fill-bytes.jpg")
def fill_bytes(number: int, name: str) -> bytes:
    coded = plain("jpg")
    return coded[:2] + b"\xff" * number * 40 + coded[2:]


@kind("restarts.jpg")
def restarts(number: int, name: str) -> bytes:
    coded = plain("jpg")
    return coded[:2] + b"\xff\xd0" * number * 20 + coded[2:]


@kind("junk.jpg")
def junk(number: int, name: str) -> bytes:
    coded = plain("jpg")
    return coded[:2] + b"aaaa\xff\xfe\0\2" * number + bytes(1_000_000) + coded[2:]


def _scans(coded: bytes, number: int) -> bytes:
    at = coded.rindex(b"\xff\xda")
    return coded[:-2] + coded[at:-2] * number + coded[-2:]


@kind("scans.jpg")
def scans(number: int, name: str) -> bytes:
    return _scans(plain("jpg", side=16, progressive=True), number)


@kind("scans-of-many-pixels.jpg")
def large_scans(number: int, name: str) -> bytes:
    held = io.BytesIO()
    Pillow.new("RGB", (6000, 6000)).save(held, "JPEG", progressive=True)
    return _scans(held.getvalue(), min(number, 480))


@kind("baseline-scans.jpg")
def baseline_scans(number: int, name: str) -> bytes:
    return _scans(plain("jpg", side=16), number)


@kind("height-defined-later.jpg")
def height_defined_later(number: int, name: str) -> bytes:
    coded = bytearray(plain("jpg"))
    at = coded.index(b"\xff\xc0") + 5
    coded[at : at + 2] = b"\0\0"
    return bytes(coded[:-2]) + b"\xff\xdc\0\4\xff\xff" * number + b"\xff\xd9"


@kind("previews.jpg")
def previews(number: int, name: str) -> bytes:
    """An index of many further images, each of which is the whole file."""
    count, length = min(number, 4000), 3_000_000
    row = struct.pack(">IIIHH", 0x20002, length, 0, 0, 0)
    head = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0xB002, 7, 16 * (count + 1), 26)
    body = b"MPF\0" + head + bytes(4) + row * (count + 1)
    return jpegs([(0xE2, body)]) + bytes(length)


@kind("trailing-images.jpg")
def trailing_images(number: int, name: str) -> bytes:
    small = jpegs([(0xFE, b"")] * number, side=16)
    return plain("jpg") + small * 70


# WebP


@kind("chunks.webp")
def chunks(number: int, name: str) -> bytes:
    coded = plain("webp")
    body = coded[8:] + (b"C2PA" + bytes(4)) * number
    return b"RIFF" + struct.pack("<I", len(body)) + body


@kind("exifs.webp")
def webp_exifs(number: int, name: str) -> bytes:
    coded = webp.splice(io.BytesIO(plain("webp")), {b"EXIF": _exif(1)})
    one = coded[coded.index(b"EXIF") :]
    body = coded[8:] + one * number
    return b"RIFF" + struct.pack("<I", len(body)) + body


# TIFF


def tiff(entries: Sequence[tuple[int, int, int, int]], data: bytes, *, following: int = 0) -> bytes:
    """A TIFF of 64 pixels a side; entries are tag, type, count and value."""
    own = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8 << 16), (259, 3, 1, 1 << 16),
           (262, 3, 1, 1 << 16), (277, 3, 1, 1 << 16)]  # fmt: skip
    given = {entry[0]: entry for entry in (*own, *entries)}
    table = b"".join(struct.pack(">HHII", *entry) for _, entry in sorted(given.items()))
    head = b"MM\0*" + struct.pack(">I", 8 + len(data)) + data
    return head + struct.pack(">H", len(given)) + table + struct.pack(">I", following)


STRIPS = [(273, 4, 1, 8), (278, 4, 1, 64), (279, 4, 1, 4096)]


@kind("strips-at-one-place.tif")
def strips_at_one_place(number: int, name: str) -> bytes:
    offsets, lengths = struct.pack(">I", 8) * number, struct.pack(">I", 1_000_000) * number
    data = bytes(1_000_000) + offsets + lengths
    at = 8 + 1_000_000
    entries = [(273, 4, number, at), (278, 4, 1, 1), (279, 4, number, at + len(offsets))]
    return tiff(entries, data)


@kind("values-at-one-place.tif")
def values_at_one_place(number: int, name: str) -> bytes:
    many = [(40_000 + at, 7, 2_000_000, 8) for at in range(min(number, 4000))]
    return tiff([*STRIPS, *many], bytes(2_000_000))


@kind("pages.tif")
def pages(number: int, name: str) -> bytes:
    first = tiff(STRIPS, bytes(4096))
    made = bytearray(first)
    for _ in range(number):
        made[-4:] = struct.pack(">I", len(made))
        table = struct.pack(">HHII", 254, 4, 1, 1) + struct.pack(">HHII", 347, 7, 4000, 8)
        made += struct.pack(">H", 2) + table + bytes(4)
    return bytes(made)


@kind("looped-pages.tif")
def looped_pages(number: int, name: str) -> bytes:
    return tiff(STRIPS, bytes(4096), following=8 + 4096)


@kind("tags.tif")
def tags(number: int, name: str) -> bytes:
    """A BigTIFF of many tags."""
    entry = struct.pack(">HHQQ", 40_000, 4, 1, 1)
    head = b"MM\0+\0\x08\0\0" + struct.pack(">Q", 16)
    return head + struct.pack(">Q", number) + entry * number + bytes(8)


@kind("sub-directories.tif")
def sub_directories(number: int, name: str) -> bytes:
    data = bytes(4096) + struct.pack(">I", 8 + 4096 + 4 * number) * number
    return tiff([*STRIPS, (330, 4, number, 8 + 4096)], data)


@kind("large-tile.tif")
def large_tile(number: int, name: str) -> bytes:
    side = min(16 * number, 100_000)
    entries = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, 4096)]
    return tiff(entries, bytes(4096))


@kind("many-values.tif")
def many_values(number: int, name: str) -> bytes:
    data = bytes(4096) + struct.pack(">I", 64) * number * 10
    return tiff([*STRIPS, (256, 4, number * 10, 8 + 4096)], data)
