"""Let a worker's chain copy its input in memory, and take the photo itself out of the measure.

Python imports this in the workers of tests/bench.py: nothing is decoded or encoded, so that what
is left is the queue, the claims, the commits and publishing.
"""

import hashlib
import os
import sys
from contextlib import nullcontext


def _arm() -> None:
    import numpy as np

    from storage import eligibility, file_attributes, inspection, photos
    from storage.enums import Category, Degradation
    from storage.formats.turn import Turn
    from storage.metadata import sidecar
    from tasks import guard
    from tasks.verdict import Verdict
    from tasks.worker import runtime

    image = np.zeros((16, 16, 3), np.float32)
    verdict = Verdict(
        scores={kind: float(kind is Category.MOTION_BLUR) for kind in Category},
        severities=dict.fromkeys(Degradation, 0.0),
        confident=True,
    )

    class Classifier:
        name = "bench"

        def __call__(self, image, *, jpeg_quality=None):
            return verdict

    class Chain:
        scale = 1

        def __call__(self, image, verdict, receipt):
            return image.copy()

    class Photo:
        jpeg_quality, wraps, orientation, source_bytes = None, False, 1, 0
        source_sha256 = ""

        def __init__(self):
            self.image = image

        def with_image(self, image):
            return self

    def write(photo, file, mark, limits):
        return photos.Written(hashlib.sha256().hexdigest(), Turn(1, (16, 16), (16, 16)))

    class Seen:
        size = (16, 16)

        def __init__(self, source, limits):
            self.content_hash = str(source)

    inspection.opened = lambda source, limits: nullcontext(Seen(source, limits))
    eligibility.left_alone = lambda seen, allowed=(): None
    photos.read = lambda source, limits: Photo()
    photos.decoded = lambda seen: Photo()
    photos.output_suffix = lambda source: source.suffix
    photos.ours = lambda path: None
    photos.write = write
    file_attributes.keep = sidecar.copy_sidecar = lambda source, output, *_: None
    guard.judge = lambda before, after, *_, **__: guard.Judgement(True, "", {}, after)
    runtime.classifier = lambda: Classifier()
    runtime.classifier.cache_info = lambda: type("", (), {"currsize": 0})
    runtime.chain = lambda category, faces: Chain()


if "BENCH" in os.environ and "spawn_main" in " ".join(sys.orig_argv):
    _arm()
