"""Write the source map of ARCHITECTURE.md from the first lines of the modules' docstrings.

`python tests/source_map.py` prints the page; with --write it is written.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
PACKAGES = ("daemon", "tasks", "storage")
HEADING = "## Source map\n"


def page() -> str:
    """Return ARCHITECTURE.md with the source map of the files that are there."""
    before, heading, rest = PAGE.read_text().partition(HEADING)
    introduction = rest.partition("\n### ")[0].rstrip("\n")
    return f"{before}{heading}{introduction}\n\n{source_map()}"


def source_map() -> str:
    """Return a section for each folder with a line for each file, as Markdown."""
    return "\n".join(_section(folder) for package in PACKAGES for folder in _folders(package))


def _folders(package: str) -> list[Path]:
    return sorted(path.parent for path in (ROOT / package).rglob("__init__.py"))


def _section(folder: Path) -> str:
    files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    lines = [f"- `{path.name}`: {_summary(path)}" for path in files]
    name = folder.relative_to(ROOT)
    return "\n".join([f"### {name}/", "", _summary(folder / "__init__.py"), "", *lines, ""])


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(page(), end="")
