"""Write the report of a trial: one HTML page that loads nothing, and a JPEG sheet."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from daemon.reports import contact_sheet, words
from daemon.reports.trial import Pair
from storage import private_files
from storage.enums import Category
from storage.photos import Image
from storage.text import printable

_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>photomend trial</title>
<style>
body { font: 16px sans-serif; margin: 1rem; color-scheme: light dark }
figure { display: inline-block; margin: 0 1rem 1.5rem 0; max-width: 320px; vertical-align: top }
figure div { position: relative } img { display: block; max-width: 100% }
img + img { position: absolute; top: 0; left: 0; clip-path: inset(0 0 0 var(--at, 50%)) }
input { width: 100% } figcaption { overflow-wrap: anywhere }
</style>
<h1>photomend trial</h1>
"""
_SCRIPT = """<script>
document.addEventListener("input", event => event.target.closest("figure")
  .style.setProperty("--at", event.target.value + "%"));
</script>
</html>
"""


def write(lines: Sequence[str], pairs: Sequence[Pair], folder: Path) -> list[Path]:
    """Write the page and, if a photo was mended, the sheet; return the files."""
    private_files.make_folder(folder)
    page, sheet = folder / "trial.html", folder / "trial.jpg"
    told = "".join(f"<p>{_escaped(line)}</p>\n" for line in lines)
    text = _HEAD + told + "".join(map(_figure, pairs)) + _SCRIPT
    private_files.make_file(page)
    page.write_text(text, "utf-8")
    if not pairs:
        sheet.unlink(missing_ok=True)
        return [page]
    private_files.make_file(sheet)
    contact_sheet.write([_strip(pair) for pair in pairs], sheet)
    return [page, sheet]


def _figure(pair: Pair) -> str:
    name = _escaped(f"{pair.tried.source}: {_found(pair)}")
    return (
        f'<figure><div><img alt="before" src="{_data(pair.before)}">'
        f'<img alt="after" src="{_data(pair.after)}"></div>'
        f'<input type="range" value="50" aria-label="before or after: {name}">'
        f"<figcaption>{name}</figcaption></figure>\n"
    )


def _found(pair: Pair) -> str:
    return words.CATEGORIES[Category(pair.tried.category)]


def _strip(pair: Pair) -> contact_sheet.Strip:
    title = f"{Path(pair.tried.source).name}: {_found(pair)}"
    return contact_sheet.Strip(title, ("before", "after"), (pair.before, pair.after))


def _data(image: Image) -> str:
    file = io.BytesIO()
    Picture.fromarray(np.rint(image * 255).astype(np.uint8)).save(file, "webp", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _escaped(text: str) -> str:
    return html.escape(printable(text))
