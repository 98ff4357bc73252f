"""The words for what a copy cannot carry."""

FILM = "a motion or Live photo, whose film belongs to it"
DEPTH = "it carries a depth map, which would be lost"
GAIN = "it carries an HDR gain map, which would be lost"
SECOND = "it carries a second view, which would be lost"
SOUND = "it carries sound, which would be lost"
THERMAL = "it carries thermal data, which would be lost"
LAYERS = "it carries layers, which would be lost"


def part(what: str) -> str:
    """Return the reason for a part that nobody here knows."""
    return f"it carries a part that would be lost ({what})"


def is_padding(data: bytes) -> bool:
    """Return whether bytes hold nothing: zeros, ones, white space."""
    return not data.strip(b"\0\xff\r\n\t ")


def shown(name: bytes) -> str:
    """Return the printable start of a name."""
    text = name[:24].split(b"\0")[0].decode("latin-1")
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable()).strip()
