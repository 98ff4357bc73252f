"""Names of files and folders that are always ignored: hidden, unfinished, of other programs."""

_NAMES = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", "#recycle", "#snapshot",
        "~snapshot", "$recycle.bin", "system volume information", "lost+found",
    }
)  # fmt: skip
_UNFINISHED = (
    ".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".opdownload",
    ".aria2", ".!qb", ".!ut", ".bts", "~",
)  # fmt: skip


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is always ignored.

    A dot in front hides AppleDouble files, trash, snapshots, Syncthing's folders and our own
    temporary files.
    """
    lower = name.lower()
    return lower.startswith((".", "~$")) or lower in _NAMES or lower.endswith(_UNFINISHED)
