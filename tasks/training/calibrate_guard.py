"""Print the guard's figures for results that are known to be good or bad.

`python -m tasks.training.calibrate_guard PHOTOS [PAIRS]` degrades 22 photos of a folder of good
ones, adds real noisy photos of a folder of pairs (`*_real.*`, `*_mean.*`), and judges what the lite
chains make of them, and results with every fault of `guard_cases`. The limits of
`tasks.guarding.limits` were chosen from its tables.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from storage.photos import Image
from tasks.evaluation.run import likeness
from tasks.evaluation.summary import is_worse
from tasks.guard import Judgement, judge
from tasks.imaging.text_detection import find_text
from tasks.training.data.photo_pool import photos_of
from tasks.training.guard_cases import Case, Degraded, cases, degraded, read, real_noise

PHOTOS = 22
SHARES = (5, 50, 95)
"""The percentiles that are printed."""


def main(photos: Path, pairs: Path | None) -> None:
    """Print the figures and the decisions for each kind of result, then the shares of all."""
    rng, total = np.random.default_rng(0), Counter[str]()
    for of_a_kind in _photos(photos, pairs, rng):
        by_name: dict[str, list[tuple[str, Judgement]]] = {}
        for case in cases(of_a_kind, rng):
            by_name.setdefault(case.name, []).append(_judged(case))
        for name, judged in by_name.items():
            outcomes = Counter(outcome for outcome, _ in judged)
            total += outcomes
            print(f"\n{name}: {dict(outcomes)}")
            _print(judged)
    good, bad = total["good, kept"], total["bad, stopped"]
    print(f"\ngood ones kept: {good} of {good + total['good, refused']}")
    print(f"bad ones stopped: {bad} of {bad + total['bad, passed']}")


def _photos(folder: Path, pairs: Path | None, rng: np.random.Generator) -> Iterator[list[Degraded]]:
    """Yield the degraded photos, those of one kind together."""
    paths = photos_of([folder])
    kinds: dict[str, list[Degraded]] = {}
    for path in paths[:: max(1, len(paths) // PHOTOS)][:PHOTOS]:
        for each in degraded(read(path), rng):
            kinds.setdefault(each.name, []).append(each)
    yield from kinds.values()
    if pairs is not None:
        yield list(real_noise(pairs, 2))


def _judged(case: Case) -> tuple[str, Judgement]:
    """Judge a case; a fault that makes nothing worse is no bad result, nor is a loss a good one."""
    judgement = judge(case.before, case.after, case.category, text=find_text(case.before))
    if _harmed(case, case.after) != case.made_badly or judgement.failed == "change":
        return "neither", judgement
    if not case.made_badly:
        return ("good, kept" if judgement.kept else "good, refused"), judgement
    stopped = not judgement.kept or not _harmed(case, judgement.image)
    return ("bad, stopped" if stopped else "bad, passed"), judgement


def _harmed(case: Case, image: Image) -> bool:
    return is_worse(likeness(case.before, case.truth), likeness(image, case.truth))


def _print(judged: list[tuple[str, Judgement]]) -> None:
    failed = Counter(judgement.failed for _, judgement in judged if judgement.failed)
    names = dict.fromkeys(name for _, judgement in judged for name in judgement.figures)
    for name in names:
        values = [each.figures[name] for _, each in judged if name in each.figures]
        spread = " ".join(f"{value:8.3f}" for value in np.percentile(values, SHARES))
        print(f"  {name:>16}: {spread}   refused {failed[name]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
