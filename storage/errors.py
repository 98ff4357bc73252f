"""The errors this application raises on purpose; each message says what, where and what to do."""


class PhotomendError(Exception):
    """Base class: catch it to mean "any problem the application knows by name"."""


class SettingsError(PhotomendError):
    """A setting is unknown or has a value that cannot be; the message names file and key."""


class UnreadablePhoto(PhotomendError):
    """The file is no image we can decode: too young, perhaps, or never to be one."""


class TooLarge(PhotomendError):
    """The photo has more bytes or pixels than the settings allow; trying again cannot help."""


class OutputTaken(PhotomendError):
    """Something that photomend did not make, or its owner changed, lies where the output would."""


class GalleryOffline(PhotomendError):
    """The gallery or its output root is not the one we know; it may come back by itself."""


class ClaimLost(PhotomendError):
    """The claim ended while we worked (cancelled, or taken for lost): leave the job alone."""


class DatabaseNewer(PhotomendError):
    """The database was migrated by a newer photomend: install that one, or use another database."""


class DatabaseOlder(PhotomendError):
    """The database lacks migrations: `photomend migrate`, or `photomend up`, brings it up."""


class RedisMissing(PhotomendError):
    """No Redis is set and none can be started here."""


class AlreadyRunning(PhotomendError):
    """Another `photomend up` lives with the same state folder."""


class WeightsUnknown(PhotomendError):
    """No weights have this name; the message gives the nearest one."""


class WeightsMissing(PhotomendError):
    """A file of these weights is not in the weights folder: pull it, or put it there."""


class WeightsWrong(PhotomendError):
    """A file is not the one it should be, or nobody could tell: it is not used."""


class WeightsUnreachable(PhotomendError):
    """No origin gave the file; what has arrived is kept, so trying again later goes on from there."""


class WeightsBusy(PhotomendError):
    """Another process fetches this very file."""


class LicenceNotAccepted(PhotomendError):
    """The licence forbids commercial use, or binds the user otherwise: he must say --accept."""


class NoRoom(PhotomendError):
    """The disk is full, or would have less free than the settings want."""
