"""The process of a jail: it loads all libraries, confines itself, and runs operations to its end."""

import importlib
import os
import pkgutil
import socket
import sys
from typing import Any

import numpy as np

from storage import memory
from storage.jail import confinement, failures, messages, values
from storage.jail.shared import Incoming, Outgoing

OPERATIONS = (
    "storage.coded_photos", "storage.coded_previews", "storage.eligibility", "storage.metadata.sidecar",
)  # fmt: skip
"""The modules with operations; whatever they need is imported with them."""


def main(number: int, parent: int, megabytes: int | None) -> None:
    """Serve operations over the socket `number` until the parent closes it or ends."""
    confinement.die_with(parent)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, number) as connection:
        load()
        if megabytes is not None:
            memory.limit(megabytes)
        confined = confinement.confine(number)
        messages.send(connection, values.pack(confined, Outgoing()), Outgoing())
        try:
            while True:
                _serve(connection)
        except messages.Ended:
            os._exit(0)


def load() -> None:
    """Import and start all that decoding may need, because nothing can be opened later.

    Libraries open more when they are first used, so a small picture of each format is coded.
    """
    for name in OPERATIONS:
        importlib.import_module(name)
    for module in pkgutil.iter_modules(importlib.import_module("encodings").__path__):
        if module.name not in ("mbcs", "oem"):  # of another system
            importlib.import_module(f"encodings.{module.name}")
    from storage import coded_previews, colours
    from storage.formats import decode, encode, headers
    from storage.formats.detect import Format

    pixels = np.zeros((16, 16, 3), np.uint8)
    coded_previews.picture(pixels, colours.srgb())
    table = tuple([1] * 64)
    for kind in Format:
        lossless = kind in (Format.PNG, Format.TIFF)
        tables = (table, table) if kind is Format.JPEG else ()
        for bits in (8, 16) if lossless else (8,):
            coding = decode.Coding(kind, bits, lossless=lossless, tables=tables)
            shown = pixels.astype(np.uint16) if bits == 16 else pixels
            made = encode.encode(shown, coding, b"", 1 << 16).data
            decode.decode(made, kind, headers.Header(16, 16, bits, 3))


def _serve(connection: socket.socket) -> None:
    asked, came = messages.receive(connection)
    along = Outgoing()
    try:
        answer = {"value": values.pack(_run(asked, came), along)}
    except Exception as error:  # noqa: BLE001  the parent decides what it means
        answer = {"failure": values.pack(failures.of(error), along)}
    finally:
        came.close()
    messages.send(connection, answer, along)


def _run(asked: dict[str, Any], came: Incoming) -> Any:
    operation = getattr(sys.modules[asked["module"]], asked["name"])
    kinds = [kind for name, kind in values.hints(operation).items() if name != "return"]
    given = zip(asked["values"], kinds, strict=True)
    return operation(*[values.unpack(raw, kind, came) for raw, kind in given])
