import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, IptcImagePlugin, JpegImagePlugin
from PIL import Image as Pillow

from storage import photos
from storage.formats import content_hash
from storage.formats.containers import exif, jpeg, png
from storage.formats.detect import Format
from storage.formats.safe_open import Limits
from storage.formats.turn import Turn
from storage.metadata import blocks, provenance, xmp
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
SUFFIXES = (".jpg", ".png", ".webp", ".heic", ".avif")


def mend(source: Path, origin: Provenance, limits: Limits) -> Path:
    output = source.with_name(f"output{source.suffix}")
    copier.write(photos.read(source, limits), output, origin, limits)
    return output


def packet_of(path: Path, limits: Limits) -> xmp.Packet:
    return xmp.parse(photos.read(path, limits).metadata.xmp)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_xmp_and_icc_survive(
    suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes], packet: bytes,
    icc: bytes, origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    source = make(tmp_path / f"photo{suffix}", exif=block(), xmp=packet, profile=icc)
    output = mend(source, origin, limits)
    with Pillow.open(output) as file:
        told = file.getexif()
        assert told[ExifTags.Base.Make] == "Canon"
        assert told[ExifTags.Base.Software] == "Firmware 1.2"
        assert told[0x4746] == 4  # Rating
        below, gps = told.get_ifd(ExifTags.IFD.Exif), told.get_ifd(ExifTags.IFD.GPSInfo)
        assert below[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
        assert below[ExifTags.Base.SubsecTimeOriginal] == "123"
        assert below[ExifTags.Base.OffsetTimeOriginal] == "+02:00"
        assert below[ExifTags.Base.MakerNote] == b"Canon\0maker note" * 4
        assert [float(part) for part in gps[2]] == [52.0, 31.0, 12.5]
        assert file.info["icc_profile"] == icc
    found = packet_of(output, limits)
    assert found.text("xmp:Rating") == "4"
    assert found.text("xmp:CreatorTool") == "Firmware 1.2"
    words = found.everything()
    assert "Oma & Opa" in words
    assert "Grün" in words
    assert "a|b" in words


def test_the_tags_of_a_tiff_survive(
    tmp_path: Path, make: Make, packet: bytes, icc: bytes, origin: Provenance, limits: Limits
) -> None:
    told = Pillow.Exif()
    told[ExifTags.Base.Make], told[ExifTags.Base.ImageDescription] = "Canon", "Oma"
    told.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    told.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    told[700] = packet
    source = make(tmp_path / "photo.tif", exif=told.tobytes()[6:], profile=icc)
    with Pillow.open(mend(source, origin, limits)) as file:
        after = file.getexif()
        assert after[ExifTags.Base.Make] == "Canon"
        assert after[ExifTags.Base.ImageDescription] == "Oma"
        below = after.get_ifd(ExifTags.IFD.Exif)
        assert below[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
        assert after.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert file.info["icc_profile"] == icc
        assert b'Rating="4"' in file.info["xmp"]


@pytest.mark.parametrize("order", "<>")
def test_a_tiff_keeps_its_byte_order_with_its_tags(
    order: str, tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    from storage.formats import lossless
    from storage.formats.containers import tiff

    pixels = photos.read(make(tmp_path / "scene.png"), limits).image
    coded = lossless.encode_tiff((pixels * 65535).astype("uint16"), order)
    file = tiff.Tiff(io.BytesIO(coded))
    described = blocks.Metadata(
        tiff.serialise(tiff.Tree({271: (2, 6, b"Canon\0")}), order), b"<x/>"
    )
    source = tmp_path / "photo.tif"
    source.write_bytes(blocks.splice(coded, Format.TIFF, described))
    assert file.order == order
    photo = photos.read(mend(source, origin, limits), limits)
    assert photo.coding.order == order
    assert photo.metadata.facts.make == "Canon"
    assert abs(photo.image - pixels).max() < 1e-4


def test_the_makers_note_of_real_cameras_survives_byte_for_byte(
    clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    names = ("Canon_40D", "Nikon_D70", "Pentax_K10D", "Panasonic_DMC-FZ30", "Olympus_C8080WZ")
    for name in names:
        source = clear / f"robust/exif_samples/jpg/{name}.jpg"
        output = tmp_path / "output.jpg"
        copier.write(photos.read(source, limits), output, origin, limits)
        with Pillow.open(source) as before, Pillow.open(output) as after:
            old, new = (file.getexif().get_ifd(ExifTags.IFD.Exif) for file in (before, after))
            assert new.pop(0xA002, 1) and new.pop(0xA003, 1)
            assert old.pop(0xA002, 1) and old.pop(0xA003, 1)
            assert old == new
            assert before.info.get("icc_profile") == after.info.get("icc_profile")


def test_iptc_and_comments_of_a_jpeg_survive(
    clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    output = tmp_path / "output.jpg"
    source = clear / "robust/pillow/iptc.jpg"
    copier.write(photos.read(source, limits), output, origin, limits)
    with Pillow.open(source) as before, Pillow.open(output) as after:
        assert isinstance(before, JpegImagePlugin.JpegImageFile)
        assert isinstance(after, JpegImagePlugin.JpegImageFile)
        assert IptcImagePlugin.getiptcinfo(after) == IptcImagePlugin.getiptcinfo(before)
        assert before.info.get("comment") == after.info.get("comment")


def test_the_old_thumbnail_goes_with_all_its_bytes(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits
) -> None:
    thumbnail = b"\xff\xd8old face\xff\xd9"
    source = make(tmp_path / "photo.jpg", exif=_with_thumbnail(block(), thumbnail))
    with Pillow.open(source) as file:
        assert file.getexif().get_ifd(ExifTags.IFD.IFD1)
    output = mend(source, origin, limits)
    assert b"old face" not in output.read_bytes()
    with Pillow.open(output) as file:
        assert not file.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert file.getexif()[ExifTags.Base.Make] == "Canon"


def _with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    file = exif.Tiff(io.BytesIO(block))
    first = file.directory(file.first)
    place, order = len(block), file.order
    table = struct.pack(order + "H", 2)
    table += struct.pack(order + "HHII", 513, 4, 1, place + 30)
    table += struct.pack(order + "HHII", 514, 4, 1, len(thumbnail)) + bytes(4)
    made = bytearray(block) + table + thumbnail
    struct.pack_into(order + "I", made, first.following_position, place)
    return bytes(made)


def test_what_ties_a_live_photo_to_its_film_goes_and_the_rest_of_apples_note_stays() -> None:
    block = _apple_block()
    assert exif.facts(block).content_identifier
    made = exif.clean(block)
    assert not exif.facts(made).content_identifier
    assert b"FILM-UUID" not in made
    assert b"KEEP-ME" in made
    assert len(made) == len(block)


def _apple_block() -> bytes:
    """An EXIF block whose maker note has the tags 17 (to drop), 21 (to keep) and 23."""
    values = b"FILM-UUID-0123\0\0" + b"KEEP-ME-45678\0\0\0"
    start = 14 + 2 + 3 * 12 + 4
    note = b"Apple iOS\0\0\x01MM" + struct.pack(">H", 3)
    note += struct.pack(">HHII", 17, 2, 15, start) + struct.pack(">HHII", 21, 2, 14, start + 16)
    note += struct.pack(">HHII", 23, 4, 1, 99) + bytes(4) + values
    head = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0)
    return head + struct.pack(">HHHIII", 1, 0x927C, 7, len(note), 44, 0) + note


def test_identifiers_of_films_and_maps_go_from_xmp() -> None:
    packet = xmp.parse(
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        b' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MicroVideo="1"'
        b' xmlns:a="http://ns.apple.com/live/" a:ContentIdentifier="X" a:MediaGroupUUID="Y"'
        b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="3">'
        b'<c:Directory xmlns:c="http://ns.google.com/photos/1.0/container/"/>'
        b"<xmp:Thumbnails>old</xmp:Thumbnails></rdf:Description></rdf:RDF>"
    )
    packet.drop_ties()
    assert list(packet.names()) == [xmp.name("xmp:Rating")]


def test_mpf_c2pa_and_unknown_segments_are_not_carried_along(
    tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    source = make(tmp_path / "photo.jpg")
    file = io.BytesIO(source.read_bytes())
    parts = jpeg.metadata(file)
    extra = [(0xE2, b"MPF\0II*\0"), (0xEB, b"JP\0\1jumb c2pa"), (0xE5, b"vendor")]
    source.write_bytes(jpeg.splice(file, parts + extra))
    data = mend(source, origin, limits).read_bytes()
    assert not any(word in data for word in (b"MPF\0", b"jumb", b"vendor"))
    picture = make(tmp_path / "photo.png")
    coded = io.BytesIO(picture.read_bytes())
    picture.write_bytes(png.splice(coded, [(b"caBX", b"jumb c2pa"), (b"gAMA", b"\0\0\xb1\x8f")]))
    data = mend(picture, origin, limits).read_bytes()
    assert b"jumb" not in data
    assert b"gAMA" in data


@pytest.mark.parametrize("generative", (False, True))
def test_a_copy_says_where_it_comes_from_and_what_was_done(
    generative: bool, tmp_path: Path, make: Make, packet: bytes, origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    source = make(tmp_path / "photo.jpg", xmp=packet)
    output = mend(source, replace(origin, generative=generative), limits)
    found = packet_of(output, limits)
    kind = provenance.GENERATIVE if generative else provenance.ENHANCED
    assert found.text("Iptc4xmpExt:DigitalSourceType") == kind
    assert (found.text("Iptc4xmpExt:AISystemUsed") == "photomend") == generative
    assert found.text("xmpMM:OriginalDocumentID") == "xmp.did:source"
    document = found.text("xmpMM:DocumentID")
    assert document is not None and document != "xmp.did:source"
    assert found.text("xmp:ModifyDate") == found.text("xmp:MetadataDate")
    words = found.everything()
    assert "motion-blur: NAFNet" in words
    assert "xmp.iid:source" in words
    assert photos.ours(output) == replace(
        origin,
        generative=generative,
        image_hash=content_hash.of_file(io.BytesIO(output.read_bytes())),
    )


def test_the_history_of_a_photo_is_continued(origin: Provenance) -> None:
    packet = xmp.Packet()
    provenance.stamp(packet, origin)
    first = packet.text("xmpMM:DocumentID")
    again = xmp.parse(packet.serialise())
    provenance.stamp(again, replace(origin, job_id=8))
    final = xmp.parse(again.serialise())
    assert final.everything().count("photomend 0.1.0") == 3  # two events and the tag of ours
    assert final.text("xmpMM:OriginalDocumentID") == first
    read = provenance.of(final)
    assert read is not None and read.job_id == 8


def test_a_jpeg_says_its_size_after_turning(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits
) -> None:
    output = mend(make(tmp_path / "photo.jpg", exif=block(6)), origin, limits)
    with Pillow.open(output) as file:
        below = file.getexif().get_ifd(ExifTags.IFD.Exif)
        assert (below[0xA002], below[0xA003]) == file.size == (120, 160)


def test_a_prefix_that_a_packet_uses_for_something_else_is_kept_apart() -> None:
    packet = xmp.parse(
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        b' xmlns:xmp="http://example.org/other/" xmp:Rating="other"/></rdf:RDF>'
    )
    packet.set("xmp:Rating", "5")
    again = xmp.parse(packet.serialise())
    assert again.text("xmp:Rating") == "5"
    assert "other" in again.everything()


@pytest.mark.parametrize(
    "data",
    (
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>',
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        b"<a>" * 100 + b"</a>" * 100,
        b"<r/>",
        b"<r",
        b"",
        b"\xff\xfe\0",
        b"<r>" + b"x" * (5 << 20) + b"</r>",
        b"<a:b/>",
    ),
    ids=range(9),
)
def test_a_hostile_packet_is_refused_and_the_photo_mended_without_it(
    data: bytes, origin: Provenance
) -> None:
    with pytest.raises(xmp.MalformedPacket):
        xmp.parse(data)
    made = blocks.Metadata(xmp=data).mended(Turn(1, (10, 10), (10, 10)), origin)
    assert provenance.of(xmp.parse(made.xmp)) == origin
    assert b"passwd" not in made.xmp


@pytest.mark.parametrize(
    "block",
    (
        b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff",
        b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08",
        b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\xff\xff\xff\xff\0\6\0\0\0\0\0\0",
    ),
    ids=range(6),
)  # fmt: skip
def test_a_hostile_exif_block_neither_hangs_nor_raises(block: bytes) -> None:
    assert exif.facts(block).orientation == 1
    assert len(exif.clean(block)) <= len(block)


ODD_NAME = "a\x01\udcff\ufffe\n%20<&\"'>/ö.jpg"


def test_texts_that_xml_cannot_hold_come_back_as_they_were(origin: Provenance) -> None:
    packet = xmp.Packet()
    named = replace(origin, category=ODD_NAME, steps="\0")
    provenance.stamp(packet, named)
    assert provenance.of(xmp.parse(packet.serialise())) == named


def test_the_place_of_a_source_is_read_of_copies_that_hold_its_names(origin: Provenance) -> None:
    packet = xmp.Packet()
    provenance.stamp(packet, origin)
    packet.remove(xmp.name("photomend:PhotomendPlace"))
    assert provenance.of(xmp.parse(packet.serialise())) is None
    packet.set("photomend:PhotomendGallery", "fam%C3%AFly")
    packet.set("photomend:PhotomendSource", "2024/a%FF%20b.jpg")
    place = provenance.place_of("famïly", Path("2024/a\udcff b.jpg"))
    assert provenance.of(xmp.parse(packet.serialise())) == replace(origin, place=place)
    provenance.stamp(packet, origin)
    again = packet.serialise()
    assert b"2024" not in again and b"fam" not in again


def test_old_ways_of_a_png_to_hold_exif_are_read(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits
) -> None:
    source = make(tmp_path / "photo.png")
    raw = exif.PREFIX + block()
    text = b"Raw profile type exif\0\nexif\n%8d\n" % len(raw) + raw.hex().encode()
    source.write_bytes(png.splice(io.BytesIO(source.read_bytes()), [(b"tEXt", text)]))
    with Pillow.open(mend(source, origin, limits)) as file:
        assert file.getexif()[ExifTags.Base.Make] == "Canon"
