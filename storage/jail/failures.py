"""Errors that leave a jail: only those that can be about one photo or its disk keep their class."""

import errno
import traceback
from dataclasses import dataclass

from storage.errors import DecodingFailed, TooLarge, UnreadablePhoto
from storage.text import printable

_OF_PHOTO = {kind.__name__: kind for kind in (UnreadablePhoto, TooLarge, MemoryError, ImportError)}
_OF_DISK = (
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENODATA, errno.EBADMSG,
)  # fmt: skip
"""Numbers of the errors with which a disk or a share refuses a read; others would stop a gallery."""
MOST_LETTERS = 2000


@dataclass(frozen=True)
class Failure:
    """An error of an operation."""

    kind: str
    text: str
    number: int
    """The error number of the operating system, 0 if it has none."""
    trace: str

    def error(self) -> Exception:
        """Return the error to raise."""
        text = printable(self.text[:MOST_LETTERS])
        if self.number == errno.ENOMEM:
            return MemoryError(text)
        if self.number in _OF_DISK:
            return OSError(self.number, text)
        if self.kind in _OF_PHOTO:
            return _OF_PHOTO[self.kind](text)
        made = DecodingFailed(f"{printable(self.kind[:80])}: {text}")
        made.add_note(self.trace[-4 * MOST_LETTERS :])
        return made


def of(error: Exception) -> Failure:
    """Return an error as what is sent of it."""
    kind = next((k for k in type(error).__mro__ if k.__name__ in _OF_PHOTO), type(error))
    number = (isinstance(error, OSError) and error.errno) or 0
    text = (error.strerror or "") if number and isinstance(error, OSError) else str(error)
    return Failure(kind.__name__, text, number, "".join(traceback.format_exception(error)))
