"""Draw the results of an evaluation: contact sheets, and the risk-coverage curve."""

import csv
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from daemon.reports import contact_sheet, words
from storage.formats import arrays
from storage.photos import Image
from tasks.evaluation import summary
from tasks.evaluation.run import Evaluated, Views
from tasks.imaging.crops import changed_cell

EXTREMES = 6
"""Number of the best results that are drawn, and of the worst."""
GROUP_SIZE = 10
"""Number of photos of each group that are drawn."""
BLIND_SIZE = 6
"""Number of photos on one sheet of a blind comparison."""
SIDE, MARGIN = 420, 50
"""Side of the risk-coverage plot and its margin, in pixels."""


def keep(views: Views, folder: Path, number: int) -> None:
    """Write the part of a photo that a sheet shows into a folder, as result `number`.

    So the photo need not be mended again for the sheet, nor stay in memory.
    """
    images = {"before": views.before}
    if views.changed:
        images["after"] = views.after
    if views.truth is not None:
        images["truth"] = views.truth
    cell = changed_cell(views.before, [views.after], contact_sheet.CELL)
    for name, image in images.items():
        part = np.rint(image[cell] * 255).astype(np.uint8)
        Picture.fromarray(part).save(_cell(folder, number, name), compress_level=1)


def _cell(folder: Path, number: int, name: str) -> Path:
    return folder / f"{number}-{name}.png"


def draw(found: Sequence[Evaluated], cells: Path, folder: Path) -> Iterator[Path]:
    """Draw the best and worst results, photos of each group, and the risk-coverage curve.

    `cells` holds what `keep` wrote for each result. Yields each file after it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [number for number, each in enumerate(found) if each.gain is not None]
    pairs.sort(key=lambda number: found[number].gain or 0.0)
    for name, chosen in (("best", pairs[::-1][:EXTREMES]), ("worst", pairs[:EXTREMES])):
        if chosen:
            yield _sheet(found, chosen, cells, folder / f"{name}.jpg")
    for group in sorted({each.row.group for each in found}):
        chosen = [number for number, each in enumerate(found) if each.row.group == group]
        chosen.sort(key=lambda number: not found[number].restored)  # restored first
        name = re.sub(r"[^\w+-]+", "-", group) or "no-group"
        yield _sheet(found, chosen[:GROUP_SIZE], cells, folder / f"group-{name}.jpg")
    yield from _draw_blind(found, cells, folder)
    curve = summary.coverage_and_risk(found)
    if curve:
        yield _plot(curve, folder / "coverage-risk.png")


def _draw_blind(found: Sequence[Evaluated], cells: Path, folder: Path) -> Iterator[Path]:
    """Draw the restored photos and their results in random order, without headings that tell.

    The sheets `blind-1.png` and so on come with `blind-key.csv`, which says which image of each
    photo is the result. The order is the same each time.
    """
    rng, key = random.Random(0), []
    chosen = [n for n in range(len(found)) if _cell(cells, n, "after").is_file()]
    rng.shuffle(chosen)
    for first in range(0, len(chosen), BLIND_SIZE):
        strips, part = [], chosen[first : first + BLIND_SIZE]
        for place, number in enumerate(part, first + 1):
            names = rng.sample(("before", "after"), 2)
            images = [_image(_cell(cells, number, name)) for name in names]
            strips.append(contact_sheet.Strip(f"photo {place}", ("first", "second"), images))
            result = ("first", "second")[names.index("after")]
            key.append((place, result, found[number].row.path))
        file = folder / f"blind-{first // BLIND_SIZE + 1}.png"
        contact_sheet.write(strips, file)
        yield file
    with (folder / "blind-key.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows([("photo", "result", "path"), *key])
    yield folder / "blind-key.csv"


def _sheet(found: Sequence[Evaluated], numbers: Sequence[int], cells: Path, file: Path) -> Path:
    contact_sheet.write([strip(found[number], cells, number) for number in numbers], file)
    return file


def strip(each: Evaluated, cells: Path, number: int) -> contact_sheet.Strip:
    """Return the images that were kept of a photo, and its change if there is one."""
    names = ("before", "after", "truth")
    files = {name: _cell(cells, number, name) for name in names}
    images = {name: _image(file) for name, file in files.items() if file.is_file()}
    if "after" in images:
        change = images["after"] - images["before"]
        images["difference, 4 times"] = np.clip(0.5 + 4 * change, 0, 1)
    else:
        images = {"before, unchanged": images.pop("before"), **images}
    gain = "" if each.gain is None else f", {each.gain:+.2f} dB"
    found, decision = words.CATEGORIES[each.verdict.category], words.DECISIONS[each.decision]
    title = f"{each.row.path.name}: {found}, {decision}{gain}"
    return contact_sheet.Strip(title, list(images), list(images.values()))


def _image(file: Path) -> Image:
    with Picture.open(file) as opened:
        return arrays.to_image(np.asarray(opened), 255)


def _plot(curve: Sequence[tuple[float, float]], file: Path) -> Path:
    picture = Picture.new("RGB", (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    max_risk = max(0.05, *(risk for _, risk in curve))
    for tenth in range(0, 11, 2):
        x, y = MARGIN + SIDE * tenth / 10, MARGIN + SIDE - SIDE * tenth / 10
        pen.line([(x, MARGIN), (x, MARGIN + SIDE)], "lightgrey")
        pen.line([(MARGIN, y), (MARGIN + SIDE, y)], "lightgrey")
        pen.text((x - 12, MARGIN + SIDE + 6), f"{10 * tenth} %", "black", font)
        pen.text((4, y - 8), f"{10 * tenth * max_risk:.1f} %", "black", font)
    points = [(MARGIN + SIDE * c, MARGIN + SIDE - SIDE * risk / max_risk) for c, risk in curve]
    pen.line(points, "firebrick", 3)
    pen.text((MARGIN, MARGIN - 24), "wrong categories among the most certain photos", "black", font)
    pen.text((MARGIN + SIDE / 2, SIDE + 2 * MARGIN - 22), "share of photos", "black", font)
    picture.save(file)
    return file
