"""The errors this application raises on purpose; each message says what, where and what to do."""


class PhotomendError(Exception):
    """Base class of all errors that photomend raises on purpose."""


class SettingsError(PhotomendError):
    """A setting is unknown or has a wrong value; the message names file and key."""


class UnreadablePhoto(PhotomendError):
    """The file cannot be decoded: it is still being copied, or is not an image."""


class PhotoChanged(PhotomendError):
    """The file is not the version that was recorded; the next scan of its folder records it."""


class PathRefused(PhotomendError):
    """A row of the database names a file outside of its gallery or output; it is not touched."""


class TooLarge(PhotomendError):
    """The photo has more bytes or pixels than the settings allow; trying again does not help."""


class DecoderDied(PhotomendError):
    """The process that decodes photos died with this one, which may have caused it."""


class DecodingFailed(PhotomendError):
    """Reading or coding a photo met an error that no photo should cause; it has the traceback."""


class OutputTaken(PhotomendError):
    """What photomend did not write, or its owner changed, has the name of an output or its folder."""


class GalleryOffline(PhotomendError):
    """The gallery or its output root is missing or is another folder; it may come back by itself."""


class OutputFull(PhotomendError):
    """The disk of a gallery's output has no room for results; it may become free."""


class OutputReadOnly(PhotomendError):
    """A gallery's output may not be written to: it is read-only, or another user's."""


class NameRefused(PhotomendError):
    """The file system of the output cannot hold a file of this name; trying again does not help."""


class GpuLost(PhotomendError):
    """The GPU answers this process no more; only a new process can use it again."""


class GpuBusy(PhotomendError):
    """The memory of the GPU is too small beside what other programs hold; it may become free."""


class ClaimLost(PhotomendError):
    """The claim ended meanwhile: the job was cancelled, or its worker counted as lost."""


class DatabaseNewer(PhotomendError):
    """A newer photomend migrated the database: install that version, or use another database."""


class DatabaseGone(PhotomendError):
    """The file of the database was deleted or replaced: this process ends, and the next one begins anew."""


class DatabaseOlder(PhotomendError):
    """The database lacks migrations: run `photomend migrate` or `photomend up`."""


class RedisMissing(PhotomendError):
    """No Redis is set and none can be started here."""


class AlreadyRunning(PhotomendError):
    """Another `photomend up` runs with the same state folder."""


class NoWorker(PhotomendError):
    """Every worker ends soon after its start, so no photo can be mended."""


class WeightsUnknown(PhotomendError):
    """No weights have this name; the message names the most similar one."""


class WeightsMissing(PhotomendError):
    """A file of these weights is not in the weights folder: pull it, or put it there."""


class WeightsWrong(PhotomendError):
    """A file is wrong, or cannot be checked; it is not used."""


class WeightsUnreachable(PhotomendError):
    """The file could not be fetched; the received part is kept, and the next pull resumes there."""


class WeightsBusy(PhotomendError):
    """Another process is fetching this file."""


class LicenceNotAccepted(PhotomendError):
    """The licence limits the use, for example to non-commercial use: the user must pass --accept."""


class NoRoom(PhotomendError):
    """The disk is full, or would have less free space than the settings ask for."""


class PageRefused(PhotomendError):
    """The page may not be shown at the address of the settings; the message says what to do."""
