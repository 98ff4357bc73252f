"""Commands that fit nets to photos of the owner's, for which no weights are published."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def train() -> None:
    """Fit nets to your own photos; it takes a GPU some hours.

    Example: photomend train reflection-detector ~/Photos --out ~/fit
    """


@app.command("reflection-detector")
def reflection_detector(
    photos: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A folder of clean photos.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where all is kept that is made.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches that each net sees; 20000 if not given.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only show on a CPU, in minutes, that all parts work.")
    ] = False,
    yolo: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="A YOLO, or an architecture, to begin with."),
    ] = None,
    yoso: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A YOSO to begin with.")
    ] = None,
) -> None:
    """Fit a YOLO and a YOSO to strong reflections, which are laid over clean photos.

    It may be stopped, and goes on if it is called again. What ultralytics makes, the YOLO, is under
    the AGPL-3.0.

    Examples: photomend train reflection-detector ~/Photos --out ~/fit

    photomend train reflection-detector ~/Photos --out ~/fit --yoso yoso_res50_coco.pth
    """
    from dataclasses import replace

    from tasks.training.reflection_detector.fit import FULL, SMOKE, fit

    size = SMOKE if smoke else FULL
    size = replace(size, steps=steps or size.steps)
    detector, segmenter = fit(photos, out, size, _tell, yolo=yolo, yoso=yoso)
    typer.echo("For the settings:\n\n[paper]")
    for name, file in (("detector", detector), ("segmenter", segmenter)):
        typer.echo(f"reflection_{name} = {_quoted(file.absolute())}")


def _tell(words: str) -> None:
    typer.echo(words, err=True)


def _quoted(file: Path) -> str:
    """Give a path as TOML has it."""
    import json

    return json.dumps(str(file))
