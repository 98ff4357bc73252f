"""Ask PhotoPrism to index the folder in which results were published or removed.

PhotoPrism answers when it has indexed the folder, and groups each result with its original by itself.
"""

from daemon.library_apps.errors import Unmapped
from daemon.library_apps.server import Server
from daemon.library_apps.told import Told
from storage.database.records import Followup, Job
from storage.settings_gallery import GallerySettings
from storage.settings_libraries import PHOTOPRISM, PhotoprismSettings
from storage.text import printable

TIMEOUT_SECONDS = 500.0
"""Longest wait for the end of the indexing of a folder; less than a follow-up is held."""


class PhotoprismApp:
    """The PhotoPrism of the settings."""

    name = PHOTOPRISM

    def __init__(self, known: PhotoprismSettings) -> None:
        self._originals = known.originals
        self._server = Server(
            "PhotoPrism", f"{known.url.rstrip('/')}/api/v1", "token_file", known.token_file,
            ("Authorization", "Bearer "), TIMEOUT_SECONDS,
        )  # fmt: skip

    def tell(self, taken: Followup, job: Job, gallery: GallerySettings) -> Told:
        """Have the folder of a follow-up indexed."""
        folder = gallery.output_root / taken.output
        if self._originals is None or not folder.is_relative_to(self._originals):
            raise Unmapped(f"{printable(folder)} is not in the originals folder of [photoprism]")
        inside = folder.relative_to(self._originals)
        wanted = {"path": "/" if inside.name == "" else f"/{inside}", "rescan": False}
        self._server.ask("POST", "/index", wanted | {"cleanup": True})
        return Told()
