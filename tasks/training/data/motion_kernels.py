"""Draw the kernels of camera shake, and of the double reflection of a thick pane.

Trajectories as in Boracchi and Foi, "Modeling the performance of image restoration from motion
blur", 2012: a point with inertia, a pull to the origin, random pushes and rare jolts.
"""

import math

import torch
from torch import Tensor

SIDE = 41
"""Side of a kernel in pixels, enough for the longest movement."""
STEPS = 96


def kernels(count: int, shortest: float, longest: float, rng: torch.Generator) -> Tensor:
    """Draw kernels (count, SIDE, SIDE), sum 1, whose extent is `shortest` to `longest` pixels."""
    return kernels_and_extents(count, shortest, longest, rng)[0]


def kernels_and_extents(
    count: int, shortest: float, longest: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw kernels like `kernels`; return them and their extents in pixels, (count,)."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=rng, device=rng.device)

    heading = 2 * math.pi * draw(count)
    velocity = torch.stack([heading.cos(), heading.sin()], 1)
    pull, push = 0.7 * draw(count, 1) / STEPS, 10 * draw(count, 1) / STEPS
    place, places = torch.zeros(count, 2, device=rng.device), []
    for _ in range(STEPS):
        jolted = (draw(count, 1) < 0.2 * draw(count, 1) / 10).to(velocity)
        random = torch.randn(count, 2, generator=rng, device=rng.device)
        velocity = velocity + push * random - pull * place - 2 * jolted * velocity
        velocity = velocity / velocity.norm(dim=1, keepdim=True).clamp(min=1e-6)
        place = place + velocity
        places.append(place)
    path = torch.stack(places, 1)  # (count, STEPS, 2)
    low, high = path.amin(1, keepdim=True), path.amax(1, keepdim=True)
    extent = (high - low).amax(2, keepdim=True).clamp(min=1e-6)
    lengths = shortest + (longest - shortest) * draw(count, 1, 1)
    points = (path - (low + high) / 2) * lengths / extent
    return _splat(points, torch.ones(count, STEPS, device=points.device)), lengths.flatten()


def ghosts(count: int, rng: torch.Generator) -> Tensor:
    """Draw kernels of a point and its second image, 3 to 12 pixels apart."""
    spans = torch.rand((count, 3), generator=rng, device=rng.device)
    angle, distance, weight = (
        2 * math.pi * spans[:, 0],
        3 + 9 * spans[:, 1],
        0.3 + 0.7 * spans[:, 2],
    )
    shift = torch.stack([angle.cos(), angle.sin()], 1) * distance[:, None]
    points = torch.stack([torch.zeros_like(shift), shift], 1)
    return _splat(points, torch.stack([torch.ones_like(weight), weight], 1))


def _splat(points: Tensor, weights: Tensor) -> Tensor:
    """Draw points (B, N, 2), x and y from the middle, each over its four nearest pixels."""
    count = len(points)
    at = (points + SIDE // 2).clamp(0, SIDE - 1.001)
    low = at.floor()
    high_share = at - low
    canvas = torch.zeros(count, SIDE * SIDE, device=points.device)
    for x in (0, 1):
        for y in (0, 1):
            share = (high_share[..., 0] if x else 1 - high_share[..., 0]) * (
                high_share[..., 1] if y else 1 - high_share[..., 1]
            )
            index = (low[..., 1] + y) * SIDE + low[..., 0] + x
            canvas.scatter_add_(1, index.long(), share * weights.to(share))
    return (canvas / canvas.sum(1, keepdim=True)).reshape(count, SIDE, SIDE)
