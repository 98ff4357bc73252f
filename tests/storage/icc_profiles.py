"""Colour profiles, made of the numbers of their standards."""

import struct

CURVE = tuple[float, ...]
SRGB_CURVE: CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
COLOURS = {
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}  # fmt: skip
"""The primaries, adapted to D50."""
WHITE = (0.9642, 1.0, 0.8249)


def profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Return a display's profile with these tags."""
    body, table = b"", b""
    start = 132 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x", start + len(body), b"lcms", 0x04300000, b"mntr", space, b"XYZ ", b"acsp"
    )  # fmt: skip
    return head + _numbers(WHITE) + bytes(48) + struct.pack(">I", len(tags)) + table + body


def wide(name: str) -> bytes:
    """Return the profile of Display P3 or Adobe RGB."""
    curve = _curve(SRGB_CURVE if name == "Display P3" else (563 / 256,))
    points = [
        (tag, _point(at))
        for tag, at in zip((b"rXYZ", b"gXYZ", b"bXYZ"), COLOURS[name], strict=True)
    ]
    curves = [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return profile(b"RGB ", [*points, *curves, (b"wtpt", _point(WHITE))])


def grey(gamma: float) -> bytes:
    """Return the profile of grey with a gamma."""
    return profile(b"GRAY", [(b"kTRC", _curve((gamma,))), (b"wtpt", _point(WHITE))])


def endless(steps: int) -> bytes:
    """Return a profile whose chain has many steps, all of them the same few bytes."""
    matrix = b"matf" + bytes(4) + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    places = struct.pack(">II", 16 + 8 * steps, len(matrix)) * steps
    chain = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, steps) + places + matrix
    return profile(b"RGB ", [(b"D2B0", chain), (b"A2B0", b"mft1")])


def _numbers(values: tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _point(at: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(at)


def _curve(numbers: CURVE) -> bytes:
    kind = {1: 0, 5: 3}[len(numbers)]
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _numbers(numbers)
