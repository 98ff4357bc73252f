"""Files whose metadata are damaged or do not fit, and what of them a copy still has."""

import hashlib
import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ExifTags
from PIL import Image as Pillow

from storage import eligibility, inspection, photos
from storage.formats.containers import damaged_exif, exif, jpeg, png, tiff
from storage.formats.safe_open import Limits
from storage.metadata import extended_xmp, jpeg_blocks, provenance, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
CASES = Path(__file__).parents[3] / "../shared/cases/files"


@pytest.fixture
def case() -> Callable[[str], Path]:
    def found(name: str) -> Path:
        if not (CASES / name).exists():
            pytest.skip("the files that go wrong elsewhere are not on this machine")
        return CASES / name

    return found


@pytest.fixture
def mended(tmp_path: Path, origin: Provenance, limits: Limits) -> Callable[[Path], Path]:
    def written(source: Path) -> Path:
        output = tmp_path / f"output{source.suffix}"
        copier.write(photos.read(source, limits), output, origin, limits)
        assert photos.ours(output) is not None
        assert photos.untouched(output)
        return output

    return written


def metadata_of(path: Path, limits: Limits) -> Metadata:
    with inspection.opened(path, limits) as seen:
        return seen.metadata


def left_alone(path: Path, limits: Limits) -> str:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen) or "mended"


def with_segments(path: Path, *parts: tuple[int, bytes]) -> Path:
    """Write these segments into a JPEG after those that it has."""
    file = io.BytesIO(path.read_bytes())
    path.write_bytes(jpeg.splice(file, [*jpeg.metadata(file), *parts]))
    return path


def test_a_bad_offset_costs_its_tag(
    case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    source = case("b16e-bad-offset-make.jpg")
    found = metadata_of(source, limits)
    assert found.dropped == ("IFD0 0x010F",)
    assert found.orientation == 6
    with Pillow.open(mended(source)) as file:
        told = file.getexif()
        assert told[ExifTags.Base.Model] == "Canon EOS 40D"
        assert told[ExifTags.Base.Orientation] == 1
        assert ExifTags.Base.Make not in told
        assert told.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        assert told.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


def test_a_count_that_is_too_large_costs_nothing(
    case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    source = case("b17-ifd0-count-too-large.jpg")
    found = metadata_of(source, limits)
    assert found.orientation == 6
    assert found.facts.make == "Canon"
    assert found.dropped == ("60 entries of IFD0, which are not there",)
    with Pillow.open(mended(source)) as file:
        assert file.getexif()[ExifTags.Base.Model] == "Canon EOS 40D"
        assert file.getexif().get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


@pytest.mark.parametrize("order", "<>")
def test_what_is_left_of_a_cut_block_is_read(order: str, block: Callable[..., bytes]) -> None:
    whole, _ = damaged_exif.repaired(_in_order(order))
    assert whole == _in_order(order)
    for length in range(1, len(whole)):
        made, lost = damaged_exif.repaired(whole[:length])
        assert lost
        facts = exif.facts(made)
        assert (facts.orientation == 6) == (length >= 34)
        assert (facts.make == "Canon") == (length >= 44)
        assert damaged_exif.repaired(made)[0] == made
    assert damaged_exif.repaired(block())[0] == block()


def _in_order(order: str) -> bytes:
    """A block with orientation, make and a directory of one tag."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    table = struct.pack(order + "HHHII", 2, 0x010F, 2, 6, 38)
    table += struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    return head + table + b"Canon\0"


def test_entries_that_are_taken_out_leave_the_others_where_they_were() -> None:
    whole = _in_order(">")
    broken = whole.replace(b"\0\0\0\x26", b"\xff\0\0\0")
    made, lost = damaged_exif.repaired(broken)
    assert lost == ("IFD0 0x010F",)
    assert len(made) == len(whole)
    assert made[38:] == b"Canon\0"
    assert exif.facts(made).orientation == 6


def test_exif_over_several_segments_is_one_block(
    case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    source = case("b20-exif-multi-segment.jpg")
    before, after = (metadata_of(path, limits) for path in (source, mended(source)))
    assert len(before.exif) == len(after.exif) > jpeg.MOST_BYTES
    with Pillow.open(io.BytesIO(source.read_bytes())) as old, Pillow.open(mended(source)) as new:
        wanted, told = (dict(file.getexif().get_ifd(ExifTags.IFD.GPSInfo)) for file in (old, new))
        assert told and told == wanted
        comment = ExifTags.Base.UserComment
        old_comment, new_comment = (
            file.getexif().get_ifd(ExifTags.IFD.Exif)[comment] for file in (old, new)
        )
        assert old_comment == new_comment


def test_no_piece_of_a_large_block_begins_like_a_block() -> None:
    room = jpeg.MOST_BYTES - 6
    block = b"MM\0*\0\0\0\x08" + bytes(3) + b"II*\0" * 100_000
    assert exif.bare(block[room:])
    parts = jpeg_blocks.segments(block[: room * 4], b"", b"", (), b"")
    assert jpeg_blocks.read(parts).exif == block[: room * 4]


def test_extended_xmp_is_joined_and_written_back(
    case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    source = case("b25b-extended-xmp-faces.jpg")
    assert left_alone(source, limits) == "mended"
    output = mended(source)
    packet = xmp.parse(metadata_of(output, limits).xmp)
    names = [f"Person Number {number} of the school" for number in (1, 163, 328)]
    assert all(name in packet.everything() for name in names)
    assert packet.text("xmp:Rating") == "3"
    with output.open("rb") as file:
        bodies = [body for _, body in jpeg.metadata(file)]
    main = next(body for body in bodies if body.startswith(jpeg_blocks.XMP))
    further = [body for body in bodies if body.startswith(extended_xmp.PREFIX)]
    guid = xmp.parse(main.removeprefix(jpeg_blocks.XMP)).text("xmpNote:HasExtendedXMP")
    joined = b"".join(body[75:] for body in further)
    assert guid == hashlib.md5(joined).hexdigest().upper()
    assert all(body[35:67].decode() == guid for body in further)


def test_a_second_packet_is_merged_into_the_first_or_a_reason(
    tmp_path: Path, make: Make, packet: bytes, limits: Limits
) -> None:
    second = xmp.Packet()
    second.set("xmp:Rating", "1")
    second.set("xmp:Label", "Green")
    path = make(tmp_path / "photo.jpg", xmp=packet)
    with_segments(path, (0xE1, jpeg_blocks.XMP + second.serialise()))
    found = xmp.parse(metadata_of(path, limits).xmp)
    assert (found.text("xmp:Rating"), found.text("xmp:Label")) == ("4", "Green")
    assert left_alone(path, limits) == "mended"
    assert "would be lost" in left_alone(
        with_segments(path, (0xE1, jpeg_blocks.XMP + b"no packet")), limits
    )


def test_a_depth_map_in_extended_xmp_is_left_alone(
    case: Callable[[str], Path], limits: Limits
) -> None:
    assert "depth map" in left_alone(case("m09-depth-only-in-extended.jpg"), limits)


@pytest.mark.parametrize("lost", (0, 1, 2))
def test_extended_xmp_that_lacks_a_piece_is_left_alone(
    lost: int, tmp_path: Path, make: Make, limits: Limits
) -> None:
    packet = xmp.Packet()
    packet.set("xmp:Label", "x" * 200_000)
    main, bodies = extended_xmp.split(packet.serialise())
    del bodies[lost]
    parts = [(0xE1, jpeg_blocks.XMP + main), *((0xE1, body) for body in bodies)]
    path = with_segments(make(tmp_path / "photo.jpg"), *parts)
    assert "incomplete" in left_alone(path, limits)


def test_a_full_packet_loses_nothing_of_the_owners(
    case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    output = mended(case("x01-xmp-65k-keywords.jpg"))
    with output.open("rb") as file:
        packets = [body for _, body in jpeg.metadata(file) if body.startswith(jpeg_blocks.XMP)]
    words = xmp.parse(packets[0].removeprefix(jpeg_blocks.XMP)).everything()
    assert all(f"Stichwort {number:06}" in words for number in range(1970))
    assert provenance.of(xmp.parse(metadata_of(output, limits).xmp)) is not None


@pytest.mark.parametrize("kilobytes", (1, 60, 64, 66, 200))
def test_a_packet_of_any_size_keeps_all_that_it_says(
    kilobytes: int, origin: Provenance, tmp_path: Path, make: Make,
    mended: Callable[[Path], Path], limits: Limits,
) -> None:  # fmt: skip
    packet = xmp.Packet()
    packet.set("xmp:Rating", "4")
    packet.set("dc:description", "d" * (kilobytes * 500))
    packet.set("tiff:Artist", "a" * (kilobytes * 500))
    main, bodies = extended_xmp.split(packet.serialise())
    parts = [(0xE1, jpeg_blocks.XMP + main), *((0xE1, body) for body in bodies)]
    path = with_segments(make(tmp_path / "photo.jpg"), *parts)
    found = xmp.parse(metadata_of(mended(path), limits).xmp)
    assert found.text("xmp:Rating") == "4"
    assert found.text("dc:description") == "d" * (kilobytes * 500)
    assert found.text("tiff:Artist") == "a" * (kilobytes * 500)
    assert (len(found.serialise()) > extended_xmp.ROOM) == (kilobytes > 60)


def test_what_photomend_writes_gives_way_first(origin: Provenance) -> None:
    packet = xmp.Packet()
    packet.set("tiff:Artist", "a" * 65_000)
    provenance.stamp(packet, origin)
    main, bodies = extended_xmp.split(packet.serialise())
    assert bodies
    assert xmp.parse(main).text("tiff:Artist") == "a" * 65_000
    assert provenance.of(xmp.parse(main)) is None
    assert provenance.of(extended_xmp.joined(main, bodies)) == origin


def test_pieces_of_extended_xmp_that_do_not_meet_are_not_joined() -> None:
    packet = xmp.Packet()
    packet.set("xmp:Label", "x" * 200_000)
    main, bodies = extended_xmp.split(packet.serialise())
    start = len(extended_xmp.PREFIX) + 36
    moved = int.from_bytes(bodies[1][start : start + 4], "big") + 1
    bodies[1] = bodies[1][:start] + moved.to_bytes(4, "big") + bodies[1][start + 4 :]
    with pytest.raises(xmp.MalformedPacket, match="incomplete"):
        extended_xmp.joined(main, bodies)


def test_a_packet_of_very_many_properties_is_split_at_once(origin: Provenance) -> None:
    packet = xmp.Packet()
    for number in range(20_000):
        packet.block().set(f"{{urn:many}}p{number}", "x")
    provenance.stamp(packet, origin)
    begun = time.monotonic()
    main, bodies = extended_xmp.split(packet.serialise())
    assert time.monotonic() - begun < 10
    assert len(main) <= extended_xmp.ROOM
    again = extended_xmp.joined(main, bodies)
    assert set(again.names()) == set(packet.names())


@pytest.mark.parametrize("name", ("b26-xmp-undeclared-prefix.jpg", "b29b-xmp-utf16le.jpg"))
def test_a_packet_that_is_not_perfect_keeps_what_it_says(
    name: str, case: Callable[[str], Path], mended: Callable[[Path], Path], limits: Limits
) -> None:
    assert left_alone(case(name), limits) == "mended"
    assert any("XMP" in text for text in metadata_of(case(name), limits).dropped)
    found = xmp.parse(metadata_of(mended(case(name)), limits).xmp)
    assert found.text("xmp:Rating") == "4"
    assert "Oma" in found.everything()


@pytest.mark.parametrize("missing", (1, 2, 3, None))
def test_a_profile_that_lacks_a_piece_is_not_written(
    missing: int | None, tmp_path: Path, make: Make, icc: bytes,
    mended: Callable[[Path], Path], limits: Limits,
) -> None:  # fmt: skip
    third = len(icc) // 3 + 1
    pieces = [icc[at : at + third] for at in range(0, len(icc), third)]
    parts = [
        (0xE2, jpeg_blocks.ICC + bytes((number, 3)) + piece)
        for number, piece in enumerate(pieces, 1)
        if number != missing
    ]
    path = with_segments(make(tmp_path / "photo.jpg"), *parts)
    wanted = icc if missing is None else b""
    assert metadata_of(path, limits).icc == wanted
    assert metadata_of(path, limits).dropped == (("an incomplete ICC profile",) * (not wanted))
    with Pillow.open(mended(path)) as file:
        assert file.info.get("icc_profile", b"") == wanted


@pytest.mark.parametrize("kind", (b"zTXt", b"tEXt"))
def test_a_raw_profile_of_a_png_is_a_profile(
    kind: bytes, tmp_path: Path, make: Make, icc: bytes, mended: Callable[[Path], Path]
) -> None:
    text = b"\nicm\n%8d\n" % len(icc) + icc.hex().encode()
    body = b"\0" + zlib.compress(text) if kind == b"zTXt" else text
    path = make(tmp_path / "photo.png")
    data = b"Raw profile type icm\0" + body
    path.write_bytes(png.splice(io.BytesIO(path.read_bytes()), [(kind, data)]))
    with Pillow.open(mended(path)) as file:
        assert file.info["icc_profile"] == icc
        assert "Raw profile type icm" not in file.info


def test_what_cannot_be_read_of_a_tiff_is_noted(
    tmp_path: Path, make: Make, mended: Callable[[Path], Path], limits: Limits
) -> None:
    told = Pillow.Exif()
    told[ExifTags.Base.Make], told[ExifTags.Base.Model] = "Canon", "Canon EOS 40D"
    told.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    path = make(tmp_path / "photo.tif", exif=told.tobytes()[6:])
    data = bytearray(path.read_bytes())
    file = tiff.Tiff(io.BytesIO(bytes(data)))
    entries = file.directory(file.first).entries
    for tag in (tiff.MAKE, tiff.EXIF):
        at = entries[tag].position + 8
        data[at : at + 4] = b"\xf0\xff\xff\x7f"
    path.write_bytes(data)
    assert metadata_of(path, limits).dropped == ("tag 0x010F", "tag 0x8769")
    with Pillow.open(mended(path)) as output:
        assert output.getexif()[ExifTags.Base.Model] == "Canon EOS 40D"


@pytest.mark.parametrize("suffix", (".png", ".webp", ".heic", ".avif"))
def test_damaged_exif_is_repaired_in_each_format(
    suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes],
    mended: Callable[[Path], Path], limits: Limits,
) -> None:  # fmt: skip
    path = make(tmp_path / f"photo{suffix}", exif=block())
    data = path.read_bytes()
    start = data.index(b"MM\0*")
    file = tiff.Tiff(io.BytesIO(data[start:]))
    at = start + file.directory(file.first).entries[tiff.MODEL].position + 8
    broken = data[:at] + b"\x7f\xff\xff\xff" + data[at + 4 :]
    if suffix == ".png":
        kept = png.metadata(io.BytesIO(broken))
        broken = png.splice(io.BytesIO(data), kept)
    path.write_bytes(broken)
    assert metadata_of(path, limits).dropped == ("IFD0 0x0110",)
    with Pillow.open(mended(path)) as output:
        assert output.getexif()[ExifTags.Base.Make] == "Canon"
        assert output.getexif().get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
