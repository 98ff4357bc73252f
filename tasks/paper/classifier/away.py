"""The error of a classifier that cannot be asked."""

import errno

from storage.errors import PhotomendError


class ClassifierAway(PhotomendError, OSError):
    """The classifier cannot be asked now; once the reason that it names is gone, it can.

    It is never the photo's fault. The number makes it one of the machine's errors, so the job waits
    and no attempt is counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, reason)

    def __str__(self) -> str:
        return str(self.strerror)
