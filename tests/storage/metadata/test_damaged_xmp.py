"""Packets that are not well-formed XML, and what is still read of them."""

import time

import pytest

from storage.metadata import damaged_xmp, xmp

PLAIN = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmp:Rating="4"><dc:title>Gr\u00fcn &amp; blau</dc:title></rdf:Description></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
)


def changed(old: str, new: str) -> bytes:
    assert old in PLAIN
    return PLAIN.replace(old, new).encode()


@pytest.mark.parametrize(
    "data",
    (
        PLAIN.encode("utf-16-le"), b"\xfe\xff" + PLAIN.encode("utf-16-be") + b"\0x",
        PLAIN.encode("utf-16"), PLAIN.encode("utf-32-le"), PLAIN.encode("utf-32-be"),
        PLAIN.encode() + b"\xff\xd8 bytes behind", b"bytes before" + PLAIN.encode(),
        PLAIN.encode() + PLAIN.encode(),
        changed("Gr\u00fcn", "Gr\udcfcn".encode("utf-8", "surrogateescape").decode("latin-1"))
        .replace("\u00fc".encode(), b"\xfc"),
        changed("<dc:title>", "<dc:title>\x00\x01\x0b"), changed("<dc:title>", "<dc:title>&#1;&#0;"),
        changed(' xmp:Rating="4"', ' xmp:Rating="4" xmp:Rating="5"'),
        changed(' xmp:Rating="4"', ' xmp:Rating="4" photoshop:Credit="me"'),
        changed(' xmlns:xmp="http://ns.adobe.com/xap/1.0/"', ""),
        changed("</dc:title>", "</dc:title></dc:nothing><crs:Look>1 < 2 & 3</crs:Look>"),
        changed(' xmp:Rating="4"', '\0xmp:Rating="4"'), changed(' xmp:Rating="4"', " xmp:Rating=4"),
        changed(' xmp:Rating="4"', ' xmp:Label xmp:Rating="4" ='),
        changed("<dc:title>", "<crs:Look a=b =/><dc:title>"),
        changed("</rdf:Description>", '<crs:Look/><crs:Group crs:a="1') + b"\0",
        changed("</rdf:Description>", ""), PLAIN.encode()[: PLAIN.index("</rdf:Desc") + 3],
    ),
    ids=range(22),
)  # fmt: skip
def test_a_damaged_packet_keeps_what_it_says(data: bytes) -> None:
    packet = xmp.parse(data)
    assert packet.mended
    assert packet.text("xmp:Rating") == "4"
    assert packet.text("dc:title") == "Gr\u00fcn & blau"
    again = xmp.parse(packet.serialise())
    assert not again.mended
    assert again.text("xmp:Rating") == "4"


@pytest.mark.parametrize("attribute", ("xmp:Ra:ting", "1st", "xmp:Ra\0:t:ing"))
def test_a_packet_with_an_attribute_that_cannot_be_read_is_not_mended(attribute: str) -> None:
    with pytest.raises(xmp.MalformedPacket):
        xmp.parse(changed("xmp:Rating", attribute))


def test_a_packet_with_another_one_behind_it_is_not_mended() -> None:
    with pytest.raises(xmp.MalformedPacket):
        xmp.parse(PLAIN.encode() + changed('xmp:Rating="4"', 'xmp:Rating="5"'))


@pytest.mark.parametrize(
    "data", (b"<x:xmpmeta><a:b", b"<x:xmpmeta>\0</x:xmpmeta>", b"<rdf:RDF \0>")
)
def test_a_packet_of_which_nothing_is_left_is_not_replaced_by_an_empty_one(data: bytes) -> None:
    with pytest.raises(xmp.MalformedPacket, match="nothing in it can be read"):
        xmp.parse(data)


def test_a_packet_may_lie_in_another_wrapper() -> None:
    inner = PLAIN.partition("?>")[2].rpartition("<?")[0]
    packet = xmp.parse(f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{inner}</x:xmpmeta>".encode())
    assert (packet.text("xmp:Rating"), packet.mended) == ("4", "")


def test_a_well_formed_packet_is_not_mended() -> None:
    assert not xmp.parse(PLAIN.encode()).mended


def test_an_undeclared_prefix_gets_its_usual_namespace() -> None:
    packet = xmp.parse(changed("<dc:title>", "<photoshop:Credit>me</photoshop:Credit><dc:title>"))
    assert "{http://ns.adobe.com/photoshop/1.0/}Credit" in list(packet.names())
    packet = xmp.parse(changed("<dc:title>", "<my:own>me</my:own><dc:title>"))
    assert "{urn:unknown:my}own" in list(packet.names())


@pytest.mark.parametrize(
    "data",
    (
        b"<x:xmpmeta " + b"<!--" * 100_000, b"<x:xmpmeta>" + b"<a>" * 100_000,
        b"<x:xmpmeta>" + b"<![CDATA[" * 90_000, b"<x:xmpmeta>" + b"<?" * 100_000,
        b"<x:xmpmeta>" + b'<a b="' * 100_000, b"<x:xmpmeta>" + b"<a b='x' " * 100_000,
        b"<x:xmpmeta " + b"".join(b" p%d:a='1'" % n for n in range(50_000)) + b">",
        b"<x:xmpmeta>" + b"&" * 900_000, b"<x:xmpmeta" + b" a=" * 200_000,
    ),
    ids=range(9),
)  # fmt: skip
def test_a_hostile_packet_is_mended_or_refused_at_once(data: bytes) -> None:
    begun = time.monotonic()
    with pytest.raises(xmp.MalformedPacket):
        xmp.parse(data)
    assert time.monotonic() - begun < 5


def test_a_packet_with_a_dtd_is_not_mended() -> None:
    data = b'<!DOCTYPE r [<!ENTITY a "a">]>' + changed("blau", "&a;")
    with pytest.raises(damaged_xmp.Beyond):
        damaged_xmp.mended(data, xmp.NAMESPACES)
