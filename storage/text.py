"""Show texts and paths to people: names of files may hold any bytes."""


def printable(value: object) -> str:
    r"""Return a value as text that any terminal can show on one line.

    Bytes of a file name that are not UTF-8 are shown as \xe9, control characters as \n or \x1b.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(value))


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte, as `os.fsdecode` gives it
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
