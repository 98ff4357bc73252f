"""Summarise many evaluated photos as one JSON object."""

import math
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from storage.enums import Category, Degradation
from tasks.evaluation import metrics
from tasks.evaluation.run import Evaluated, Likeness
from tasks.verdict import TREATED

HARM_DECIBELS, HARM_FSIM = 0.3, 0.005
"""A kept output that is worse than its input by more than one of these is harm."""
FOUND = 0.5
"""Severity from which a degradation counts as found."""
POOR_PSNR = 37.0
"""A photo whose PSNR is below this many dB is clearly degraded: noise of 3.6 of 255 or more."""


def summarise(found: Sequence[Evaluated]) -> dict[str, Any]:
    """Return the figures of all photos, of each group and camera; None if there is none to count.

    Photos whose camera is unknown are in no group of `cameras`. Names that begin with `other_` are
    those of the pairs whose ground truth is not the photo itself.
    """
    clean = [each for each in found if each.row.label is Category.CLEAN]

    def by(name: Callable[[Evaluated], str]) -> dict[str, Any]:
        names = sorted({name(each) for each in found})
        return {
            one: _figures([each for each in found if name(each) == one], clean) for one in names
        }

    cameras = by(lambda each: each.camera)
    cameras.pop("", None)
    groups = by(lambda each: each.row.group)
    return {"all": _figures(found, clean), "groups": groups, "cameras": cameras}


def harms(each: Evaluated) -> bool:
    """Return whether the kept image is worse than the photo."""
    return is_worse(each.before, each.after)


def is_worse(before: Likeness | None, after: Likeness | None) -> bool:
    """Return whether an image is less like its ground truth than the photo is; not without one."""
    if before is None or after is None:
        return False
    return before.psnr - after.psnr > HARM_DECIBELS or before.fsim - after.fsim > HARM_FSIM


def lacks(each: Evaluated) -> frozenset[Degradation]:
    """Return the degradations of a photo: those that its group is named for, or all of its label.

    A group may be called `noise`, or `noise+softness`.
    """
    named = frozenset(each.row.group.split("+"))
    if named <= set(Degradation):
        return frozenset(map(Degradation, named))
    return frozenset(TREATED[each.row.label]) if each.row.label else frozenset()


def coverage_and_risk(found: Iterable[Evaluated]) -> list[tuple[float, float]]:
    """Return the risk by coverage: the share of wrong categories among the surest photos."""
    labelled = [each for each in found if each.row.label is not None]
    labelled.sort(key=lambda each: -max(each.verdict.scores.values()))
    wrong, curve = 0, []
    for number, each in enumerate(labelled, 1):
        wrong += each.verdict.category is not each.row.label
        curve.append((number / len(labelled), wrong / number))
    return curve


def _figures(found: Sequence[Evaluated], clean: Sequence[Evaluated]) -> dict[str, Any]:
    labelled = [each for each in found if each.row.label is not None]
    pairs = [each for each in found if each.before is not None]
    others = [each for each in pairs if each.row.has_other_truth]
    touched = [each.restored for each in found if each.row.label is Category.CLEAN]
    restored = [each for each in found if each.restored]
    return {
        "photos": len(found),
        "forced_accuracy": _balanced(labelled),
        "confusion": _confusion(labelled),
        "auc": {kind.value: _auc(kind, labelled, clean) for kind in Degradation},
        "ece": metrics.calibration_error(
            [max(each.verdict.scores.values()) for each in labelled],
            [each.verdict.category is each.row.label for each in labelled],
        ),
        "coverage": _mean([float(each.verdict.confident) for each in found]),
        "acted_on": _acted_on(labelled),
        "all_found": _all_found(labelled),
        "clean_touch_rate": _mean([float(touch) for touch in touched]),
        "restored": len(restored),
        "visible_rate": _mean([float(each.visible) for each in restored]),
        "unseen_rate": _mean([float(each.unseen) for each in found]),
        "shifted_rate": _shifted(found),
        "pairs": len(pairs),
        **_likenesses(pairs),
        **_gains(pairs),
        **_peer(pairs),
        **_harm(pairs),
        "other_pairs": len(others),
        **_harm(others, "other_"),
        "seconds_per_megapixel": _mean([each.seconds / each.megapixels for each in found]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _harm(pairs: Sequence[Evaluated], of: str = "") -> dict[str, Any]:
    """Return the share of harmed pairs and its interval; `of` begins the names."""
    harmed, number = sum(map(harms, pairs)), len(pairs)
    return {
        f"{of}harm_rate": harmed / number if pairs else None,
        f"{of}harm_rate_95": list(metrics.interval(harmed, number)) if pairs else None,
    }


def _balanced(labelled: Sequence[Evaluated]) -> float | None:
    """Return the mean over the labels of the share that is right, before any abstaining."""
    shares = []
    for label in Category:
        of_label = [each for each in labelled if each.row.label is label]
        if of_label:
            shares.append(sum(e.verdict.category is label for e in of_label) / len(of_label))
    return _mean(shares)


def _confusion(labelled: Sequence[Evaluated]) -> dict[str, dict[str, int]]:
    """Count, for each label, the categories that were found."""
    counted = Counter((each.row.label, each.verdict.category) for each in labelled)
    labels = [label for label in Category if any(each.row.label is label for each in labelled)]
    return {
        label.value: {found.value: counted[label, found] for found in Category} for label in labels
    }


def _auc(
    kind: Degradation, labelled: Sequence[Evaluated], clean: Sequence[Evaluated]
) -> float | None:
    """Return the AUC of each severity: photos with the degradation against clean ones."""
    degraded = [each for each in labelled if kind in lacks(each)]
    return metrics.auc(
        [each.verdict.severities[kind] for each in degraded],
        [each.verdict.severities[kind] for each in clean],
    )


def _all_found(labelled: Sequence[Evaluated]) -> float | None:
    """Return the share of the degraded photos of which every degradation was found."""
    return _mean(
        [
            float(all(each.verdict.severities[kind] >= FOUND for kind in lacks(each)))
            for each in labelled
            if lacks(each)
        ]
    )


def _acted_on(labelled: Sequence[Evaluated]) -> dict[str, float]:
    """Return, for each label, the share whose restored copy is kept."""
    shares = {}
    for label in Category:
        of_label = [e.restored for e in labelled if e.row.label is label]
        if of_label:
            shares[label.value] = sum(of_label) / len(of_label)
    return shares


def _shifted(found: Sequence[Evaluated]) -> dict[str, float]:
    """Return, for each figure of the guard, the share of the mended photos that it refused."""
    refused = Counter(each.failed for each in found if each.failed is not None)
    mended = refused.total() + sum(each.restored or each.unseen for each in found)
    return {name: count / mended for name, count in sorted(refused.items())}


def _gains(pairs: Sequence[Evaluated]) -> dict[str, float | None]:
    """Return the mean gain of all pairs in dB, and figures of those that were acted on."""
    acted = [each.gain for each in pairs if each.restored and each.gain is not None]
    poor = [
        float(each.restored)
        for each in pairs
        if each.row.has_other_truth and each.before and each.before.psnr < POOR_PSNR
    ]
    return {
        "gain": _mean([each.gain for each in pairs if each.gain is not None]),
        "gain_acted": _mean(acted),
        "worst_gain_acted": min(acted, default=None),
        "poor_pairs": len(poor),
        "poor_acted_on": _mean(poor),
    }


def _peer(pairs: Sequence[Evaluated]) -> dict[str, Any]:
    """Return gain and harm of the baseline, and the gain of the engine on the same pairs."""
    both = [
        (each, each.before, each.baseline)
        for each in pairs
        if each.before is not None and each.baseline is not None
    ]
    return {
        "baseline_pairs": len(both),
        "baseline_psnr_out": _mean([peer.psnr for _, _, peer in both]),
        "baseline_gain": _mean([peer.psnr - before.psnr for _, before, peer in both]),
        "baseline_harm_rate": _mean([float(is_worse(before, peer)) for _, before, peer in both]),
        "gain_beside_baseline": _mean([each.gain for each, *_ in both if each.gain is not None]),
    }


def _likenesses(pairs: Sequence[Evaluated]) -> dict[str, float | None]:
    measures: dict[str, Callable[[Any], float]] = {
        "psnr": lambda likeness: float(likeness.psnr),
        "ssim": lambda likeness: float(likeness.ssim),
        "fsim": lambda likeness: float(likeness.fsim),
    }
    figures = {}
    for name, read in measures.items():
        figures[f"{name}_in"] = _mean([read(each.before) for each in pairs])
        figures[f"{name}_out"] = _mean([read(each.after) for each in pairs])
    return figures


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
