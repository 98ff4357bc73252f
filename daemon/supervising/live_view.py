"""Draw what `photomend up` shows below the lines of finished photos on a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.console.output import cut_to, span
from storage.text import counted, printable

LABEL = 10
"""Columns of the names of the lines."""
BAR = 40
"""Columns of the bar, where there is room."""
OTHERS = 4
"""Rows of the terminal that stay free for the lines above the view, and for its bar."""


@dataclass(frozen=True)
class View:
    """What is shown."""

    outputs: Sequence[PurePath]
    """The folders of results."""
    finished: int
    """Photos that ended since the start."""
    failed: int
    left: int
    """Photos that wait or run."""
    seconds: float
    """Since the start."""
    seconds_left: float | None
    """None if nothing is known of the pace."""
    troubles: Sequence[str]
    """Pauses, and galleries that are offline."""
    running: Sequence[PurePath]

    def draw(self, console: Console) -> RenderableType:
        """Return the view for a terminal of this size; each line has one row."""
        room = console.width - LABEL
        heads = [*self._some("results", self.outputs, 2, room)]
        troubles = [*self._some("", self.troubles, 3, room, style="red")]
        rows = max(1, console.height - OTHERS - len(heads) - len(troubles))
        running = self._some("running", self.running, rows, room)
        return Group(*heads, self._bar(console.width), self._pace(room), *troubles, *running)

    def _some(
        self, label: str, values: Sequence[object], most: int, room: int, *, style: str = ""
    ) -> Iterator[Text]:
        """Yield a line for each value, and one for those that are too many."""
        shown = values if len(values) <= most else values[: max(most - 1, 1)]
        for number, value in enumerate(shown):
            text = cut_to(printable(value), room, from_end=isinstance(value, PurePath))
            yield _line("" if number else label, text, style)
        if len(shown) < len(values):
            yield _line("", f"and {len(values) - len(shown):,} more")

    def _bar(self, width: int) -> RenderableType:
        total = self.finished + self.left
        numbers = f"{self.finished:,} of {counted(total, 'photo')}"
        bar = ProgressBar(
            total=max(total, 1), completed=self.finished, width=min(BAR, width - len(numbers) - 12),
            style="dim", complete_style="default", finished_style="default",
        )  # fmt: skip
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(f"{'done':<{LABEL - 1}}", "bold"), bar, Text(numbers, no_wrap=True))
        return line

    def _pace(self, room: int) -> Text:
        parts = [f"{span(self.seconds)} so far"]
        if self.left and self.seconds_left is not None:
            parts.insert(0, f"about {span(self.seconds_left)} left")
        line = _line("time", cut_to("; ".join(parts), room))
        if self.failed:
            line.append(f"; {self.failed:,} failed", "red")
        return line


def _line(label: str, text: str, style: str = "") -> Text:
    shown = Text(f"{label:<{LABEL}}", "bold", no_wrap=True, overflow="ellipsis")
    return shown.append(text, style or "not bold")
