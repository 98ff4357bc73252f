"""The command `train`, for networks whose weights are not published."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train networks on your own photos; it takes hours on a GPU.

    Example: photomend train reflection-detector ~/Photos --out ~/fit
    """


@app.command("reflection-detector")
def reflection_detector(
    photos: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A folder of clean photos.")
    ],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for all files of the training.")
    ],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of batches for each network. Default: 20000.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Test all parts on a CPU, in minutes.")
    ] = False,
    yolo: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="YOLO weights, or an architecture, to start from."),
    ] = None,
    yoso: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YOSO weights to start from.")
    ] = None,
) -> None:
    """Train a YOLO and a YOSO on clean photos with synthetic strong reflections.

    A training that was stopped continues when it is called again. The YOLO is made by ultralytics,
    and therefore under the AGPL-3.0.

    Examples: photomend train reflection-detector ~/Photos --out ~/fit

    photomend train reflection-detector ~/Photos --out ~/fit --yoso yoso_res50_coco.pth
    """
    from dataclasses import replace

    from tasks.training.reflection_detector.fit import FULL, SMOKE, fit

    size = SMOKE if smoke else FULL
    size = replace(size, steps=steps or size.steps)
    detector, segmenter = fit(photos, out, size, _print, yolo=yolo, yoso=yoso)
    typer.echo("Add this to the settings:\n\n[paper]")
    for name, file in (("detector", detector), ("segmenter", segmenter)):
        typer.echo(f"reflection_{name} = {_quoted(file.absolute())}")


def _print(line: str) -> None:
    typer.echo(line, err=True)


def _quoted(file: Path) -> str:
    """Return a path as a TOML string."""
    import json

    return json.dumps(str(file))
