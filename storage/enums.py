"""The closed sets of words that the database, the tasks and the command line share."""

from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """Where a job stands; `category` tells which step is next."""

    QUEUED = "queued"
    """It waits for a worker, not before `due_at`."""
    RUNNING = "running"
    """A worker works on it."""
    DONE = "done"
    """It has a decision."""
    FAILED = "failed"
    """The photo cannot be mended; `error` says why."""
    CANCELLED = "cancelled"
    """The owner cancelled it, a newer version replaced it, or its source is gone."""


class Category(StrEnum):
    """The result of the classifier (section III of the paper)."""

    SUPER_RESOLUTION = "super-resolution"
    """A: noise, softness, compression."""
    REFLECTION = "reflection"
    """B."""
    MOTION_BLUR = "motion-blur"
    """C."""
    CLEAN = "clean"
    """D."""


class Decision(StrEnum):
    """What was decided for a photo whose job is done."""

    RESTORED = "restored"
    """A mended copy was published, or waits for that (`Review.WAITING`)."""
    CLEAN = "clean"
    """The classifier found nothing wrong, or mending changed nothing that a person would see."""
    UNSURE = "unsure"
    """The classifier was not sure enough."""
    KEPT_ORIGINAL = "kept original"
    """The guard refused the result, or the owner rejected it. A refused one may wait to be looked at."""
    LEFT_ALONE = "left alone"
    """A kind of file that photomend does not mend, or a photo of the backlog."""


class Review(StrEnum):
    """What the owner said of a result."""

    WAITING = "waiting"
    """Nothing yet: it waits in the state folder, and is not published before it is kept."""
    KEPT = "kept"
    REJECTED = "rejected"
    REJECTING = "rejecting"
    """It was rejected, and is about to be removed."""
    RESTORING = "restoring"
    """It was rejected, and is about to come back."""
    DELETING = "deleting"
    """Its photo was deleted, and it is about to go to the trash."""
    DELETED = "deleted"
    """Its photo was deleted, and it is in the trash."""


class WhenDeleted(StrEnum):
    """The setting `when_deleted` of a gallery."""

    KEEP = "keep"
    TRASH = "trash"


class Strength(StrEnum):
    """How much of the change of a photo its result has."""

    GENTLE = "gentle"
    NORMAL = "normal"
    STRONG = "strong"


class RuleMode(StrEnum):
    """The setting `mode` of a rule."""

    OFF = "off"
    """These photos are never mended."""
    ASK = "ask"
    """Their results wait until the owner keeps them."""
    ON = "on"


class Allowed(StrEnum):
    """Photos that are left alone unless the setting `allow` of a rule names them."""

    EDITS = "edits"
    SCREENSHOTS = "screenshots"
    CHATS = "chats"


class Publish(StrEnum):
    """The setting `publish`: when a result appears in the output folder."""

    AT_ONCE = "at once"
    AFTER_REVIEW = "after review"
    """When the owner has kept it."""


class Reaction(StrEnum):
    """The settings `on_battery` and `gpu_in_use`."""

    WAIT = "wait"
    """No photo is started meanwhile."""
    GO_ON = "go on"


class IoPriority(StrEnum):
    """The setting `io_priority`."""

    NORMAL = "normal"
    LOW = "low"
    """The last level of ordinary reads and writes."""
    IDLE = "idle"
    """Only when no other program reads or writes."""


class Degradation(StrEnum):
    """What can be wrong with a photo (the paper's word); each has its own severity."""

    NOISE = "noise"
    COMPRESSION = "compression"
    SOFTNESS = "softness"
    MOTION = "motion"
    REFLECTION = "reflection"


CLASSIFY = "classify"
"""The queue of jobs without a category; the others are named after theirs."""
QUEUES = (CLASSIFY, *(category.value for category in Category if category is not Category.CLEAN))
PREVIEWS = "previews"
"""The queue of jobs whose previews the page asks for; every worker serves it."""

ASKED_FOR, NEW_PHOTO, RETRIED, BACKLOG = range(4)
"""Ranks of jobs, the most urgent first: one that a person named, a new photo, one of many that a
person retried, the backlog."""
AT_ONCE = -1
"""Rank before all of them: the owner asked for this photo alone, so that neither schedule nor battery
stops it. After a failed attempt it is one that a person named."""
LATER = 4
"""What a failed attempt adds to the rank: the job is tried again behind all others."""
ASKED = (AT_ONCE, ASKED_FOR, RETRIED, ASKED_FOR + LATER, RETRIED + LATER)
"""Ranks of jobs that are computed again, also if the content is known."""
OLD = (BACKLOG, BACKLOG + LATER)
"""Ranks of jobs of the backlog."""


class Outcome(StrEnum):
    """What becomes of a job whose claim ended without a result."""

    FAIL = "fail"
    """It fails at once: the photo is at fault, and no attempt helps."""
    ATTEMPT = "attempt"
    """An attempt is counted, since the photo may be at fault; the last one fails the job."""
    WAIT = "wait"
    """It waits and no attempt is counted: the machine is at fault."""


class ErrorKind(StrEnum):
    """What ended a claim without a result; `photomend retry --kind` takes these words."""

    UNREADABLE = "unreadable", Outcome.FAIL
    TOO_LARGE = "too large", Outcome.FAIL
    CRASHED = "crashed", Outcome.ATTEMPT
    DEADLINE = "deadline", Outcome.ATTEMPT
    WORKER_LOST = "worker lost", Outcome.ATTEMPT
    MEMORY = "memory", Outcome.ATTEMPT
    ERROR = "error", Outcome.ATTEMPT
    ARRIVING = "arriving", Outcome.WAIT
    OFFLINE = "offline", Outcome.WAIT
    DISK_FULL = "disk full", Outcome.WAIT
    READ_ONLY = "read-only", Outcome.WAIT
    GPU_LOST = "GPU lost", Outcome.WAIT
    GPU_BUSY = "GPU busy", Outcome.WAIT
    MACHINE = "machine", Outcome.WAIT
    STOPPED = "stopped", Outcome.WAIT

    outcome: Outcome

    def __new__(cls, word: str, outcome: Outcome) -> Self:
        """Make a member whose value is `word`."""
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.outcome = outcome
        return kind


class EngineName(StrEnum):
    """A classifier and its chains."""

    LITE = "lite"
    """Ships with the package and needs no GPU."""
    PAPER = "paper"
    """The networks of the paper; needs fetched weights and a GPU."""


class EngineChoice(StrEnum):
    """The setting `engine`."""

    LITE = "lite"
    PAPER = "paper"
    AUTO = "auto"
    """The paper engine for each step whose weights are here, if there is a GPU; lite for others."""


class LeastChange(StrEnum):
    """The setting `least_change`: which results are kept."""

    VISIBLE = "visible"
    """Those that a person can tell from the photo at native size."""
    ANY = "any"
    """All that the guard accepts."""


class WatchMode(StrEnum):
    """The setting `watch`: how new photos are found."""

    AUTO = "auto"
    """Events on a local filesystem, polling on a network share."""
    EVENTS = "events"
    """The filesystem's events, beside full scans."""
    POLLING = "polling"
    """Full scans only."""


class Digest(StrEnum):
    """The setting `digest`: how often a message says what was done."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """On Monday, or as soon after as this machine runs."""
    OFF = "off"


class Monitoring(StrEnum):
    """The setting `monitoring`: who may read `/metrics` and `/health`."""

    OFF = "off"
    PRIVATE = "private"
    """This machine, and who has a token."""
    PUBLIC = "public"
    """Whoever reaches the address of the page."""


class Baseline(StrEnum):
    """The option `--baseline`."""

    NONE = "none"
    NLM = "nlm"
    """Non-local means, as OpenCV has it."""
    BM3D = "bm3d"
    """CBM3D of the package bm3d, at an estimated strength."""


class EnlargingNet(StrEnum):
    """The setting `enlarging_net`: the network that restores the whole image in super-resolution."""

    INVSR = "InvSR"
    """The paper's; neither it nor sd-turbo is free for commercial use."""
    REAL_ESRGAN = "RealESRGAN_x4plus"
    """Also for commercial use; the one that restores text."""


class DeblurringNet(StrEnum):
    """The setting `deblurring_net`: the network that removes motion blur."""

    REDS = "NAFNet-REDS-width64"
    """Fitted to compressed videos."""
    GOPRO = "NAFNet-GoPro-width64"
    """That of the paper's tables."""
    SMALL_GOPRO = "NAFNet-GoPro-width32"
    """A quarter of its size."""


class FaceNet(StrEnum):
    """The setting `face_net`: the network that restores faces."""

    CODEFORMER = "CodeFormer"
    """Not for commercial use."""
    GFPGAN = "GFPGANv1.4"
