"""The settings of apps that show photos, `[immich]` and `[photoprism]`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from storage.settings_values import Check
from storage.urls import without_password

IMMICH, PHOTOPRISM = "immich", "photoprism"


def _is_server(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        return bool(named) and "@" not in parts.netloc and not (parts.query or parts.fragment)
    return False


def _is_path(text: str) -> bool:
    return text.startswith("/") and "\0" not in text


ServerUrl = Annotated[
    str,
    Check(
        lambda url: not url or (url.isascii() and url.isprintable() and _is_server(url)),
        'an address like "http://nas.example:2283", without a password',
        shown=without_password,
    ),
]
AppPath = Annotated[str, Check(_is_path, 'an absolute path, like "/mnt/media/photos"')]


@dataclass(frozen=True)
class Library:
    """A folder that immich shows, and its path there: one of an external library's import paths."""

    folder: Path
    """The folder on this machine."""
    immich_path: AppPath
    """The path of the same folder in immich."""

    def __str__(self) -> str:
        """Return both as the settings in effect show them."""
        return f"{self.folder} is {self.immich_path}"


@dataclass(frozen=True)
class ImmichSettings:
    """An immich in which results are stacked with their originals."""

    url: ServerUrl = ""
    """The address of immich; "" for none."""
    api_key_file: Path | None = None
    """File that holds an API key of the user who owns the libraries; the key stands nowhere else."""
    libraries: tuple[Library, ...] = ()
    """Folders of galleries and outputs, each with its path in immich, under `[[immich.libraries]]`."""
    scan: bool = True
    """Whether immich is asked to scan a library in which a result is missing; that needs the key of
    an administrator. Otherwise results wait for immich's own scan."""

    def path_of(self, file: Path) -> str | None:
        """Return the path that a file has in immich; None if it has none there."""
        inside = [library for library in self.libraries if file.is_relative_to(library.folder)]
        if not inside:
            return None
        library = max(inside, key=lambda each: len(each.folder.parts))
        path = f"{library.immich_path.rstrip('/')}/{file.relative_to(library.folder)}"
        return path if _is_text(path) else None

    def file_of(self, path: str) -> Path | None:
        """Return the file on this machine that has a path in immich; None if it is in no folder."""
        named = PurePosixPath(path)
        inside = [each for each in self.libraries if named.is_relative_to(each.immich_path)]
        if not inside or ".." in named.parts or "\0" in path:
            return None
        library = max(inside, key=lambda each: len(PurePosixPath(each.immich_path).parts))
        return library.folder / named.relative_to(library.immich_path)


@dataclass(frozen=True)
class PhotoprismSettings:
    """A PhotoPrism that is asked to index the folders of new results."""

    url: ServerUrl = ""
    """The address of PhotoPrism; "" for none."""
    token_file: Path | None = None
    """File that holds an app password or access token of PhotoPrism; it stands nowhere else."""
    originals: Path | None = None
    """The folder on this machine that is PhotoPrism's originals folder."""


def _is_text(path: str) -> bool:
    """Return whether a path is UTF-8: an app cannot name another one."""
    try:
        return bool(path.encode())
    except UnicodeEncodeError:
        return False
