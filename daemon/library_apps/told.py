"""What an app was told in one turn of a follow-up."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from storage.database.records import Followup, Job
from storage.settings_gallery import GallerySettings


@dataclass(frozen=True)
class Told:
    """What a turn did."""

    event: str | None = None
    """A line of the job's history; None if nothing had to be done."""
    known: dict[str, Any] | None = field(default=None)
    """What the app knows of the result from now on; None if nothing."""


class App(Protocol):
    """An app that shows photos."""

    name: str

    def tell(self, taken: Followup, job: Job, gallery: GallerySettings) -> Told:
        """Tell the app what holds of a result now; this may happen twice.

        Raises:
            Trouble, Refused, NotThere, Unmapped: it was not told.

        """
