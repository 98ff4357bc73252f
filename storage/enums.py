"""The closed sets of words that the database, the tasks and the command line share."""

from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """Where a job stands; `category` tells which step is next."""

    QUEUED = "queued"
    """Waits for a worker, perhaps until `due_at`."""
    RUNNING = "running"
    """A worker has claimed it."""
    DONE = "done"
    """Its decision stands."""
    FAILED = "failed"
    """The photo cannot be mended; `error` says why."""
    CANCELLED = "cancelled"
    """Its owner, a newer version or the end of its source took it back."""


class Category(StrEnum):
    """What the classifier found, named after section III of the paper."""

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
    """A mended copy lies at the job's output."""
    CLEAN = "clean"
    """Nothing is wrong with it."""
    UNSURE = "unsure"
    """The classifier was not sure enough to touch it."""
    KEPT_ORIGINAL = "kept original"
    """The guard refused the result, or the owner rejected it."""
    LEFT_ALONE = "left alone"
    """A kind of file, or a photo from before our time, that photomend does not mend."""


class Degradation(StrEnum):
    """What can be wrong with a photo (the paper's word), measured each on its own."""

    NOISE = "noise"
    COMPRESSION = "compression"
    SOFTNESS = "softness"
    MOTION = "motion"
    REFLECTION = "reflection"


CLASSIFY = "classify"
"""The queue of jobs without a category; the others are named after theirs."""
QUEUES = (CLASSIFY, *(category.value for category in Category if category is not Category.CLEAN))

NEW_PHOTO, BACKLOG, ASKED_FOR = 1, 2, 0
"""Ranks of jobs, the most urgent lowest: what a person asked for, new photos, the old library."""


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
    """A set of classifier and chains."""

    LITE = "lite"
    """Ships with the package and needs no GPU."""
    PAPER = "paper"
    """The networks of the paper, whose weights are fetched first; made for a GPU."""


class EngineChoice(StrEnum):
    """The setting `engine`."""

    LITE = "lite"
    PAPER = "paper"
    AUTO = "auto"
    """The paper engine for each step whose weights are here, if there is a GPU; lite for others."""


class WatchMode(StrEnum):
    """The setting `watch`: how new photos are found."""

    AUTO = "auto"
    """Events on a local filesystem, polling on a network share."""
    EVENTS = "events"
    """The filesystem's events, beside full scans."""
    POLLING = "polling"
    """Full scans only."""


class FaceNet(StrEnum):
    """The setting `face_net`: the network that restores faces."""

    CODEFORMER = "CodeFormer"
    """Not for commercial use."""
    GFPGAN = "GFPGANv1.4"
