"""Why an app could not be told of a result, and for how long that may last."""

from storage.errors import PhotomendError


class Trouble(PhotomendError):
    """The app cannot be told of anything: it is away, or a setting is wrong. All follow-ups wait."""


class Refused(PhotomendError):
    """The app refuses a request that concerns one result; later it may not."""


class NotThere(PhotomendError):
    """The app does not know a photo or its result yet; it may after its next scan."""


class Unmapped(PhotomendError):
    """The app does not show this photo or its result: no follow-up is needed."""
