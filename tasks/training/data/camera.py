"""Simulate a camera: sensor noise of a scene, and what the camera makes of it before it saves.

The sensor makes noise of single pixels. Demosaicing, noise reduction, sharpening and the tone curve
then make it coarse, blotchy and dependent on brightness. Clean photos are taken back to the light
on the sensor, and developed again with noise and without. After Brooks et al., "Unprocessing images
for learned raw denoising", 2019, with the noise reduction and sharpening of a camera added. Images
are float32 tensors (B, 3, H, W), RGB; H and W are even.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.light import GAMMA
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.compression import TO_YCBCR
from tasks.training.data.random_draws import log_uniform, one_in, uniform

SHOT_NOISE = (1e-4, 1.2e-2)
"""Variance of shot noise per unit of light: ISO 100 to 25,600 (Brooks et al., section 3.1)."""
MIN_LIGHT = 1e-6
"""Smallest light of which a root is taken."""
LOW_RADIUS = 24
"""Pixels from the middle of a window to its border, whose mean stands for low frequencies."""
READ_SLOPE, READ_OFFSET, READ_DEVIATION = 2.18, 1.2, 0.26
"""The logarithm of the variance of read noise by that of shot noise: a line, and the normal
deviation from it (Brooks et al., section 3.1)."""
MIDDLE_LIGHT, MIDDLE_SLOPE = 0.15, 2.2
"""Light of a photo's middle tones, and about how steeply its values rise with the light there, by
gains, colour matrix and gamma."""


@dataclass(frozen=True)
class Camera:
    """The settings of one camera for each image of a batch; (B, 1, 1, 1) where nothing is said."""

    gains: Tensor
    """White balance and digital gain, (B, 3, 1, 1)."""
    matrix: Tensor
    """From the sensor's colours to sRGB, linear, (B, 3, 3); its rows add up to 1."""
    has_curve: Tensor
    """Whether a tone curve raises the contrast."""
    shot: Tensor
    """Variance of shot noise per unit of light."""
    read: Tensor
    """Variance of read noise."""
    is_directed: Tensor
    """Whether demosaicing corrects by the slopes of the pixel's own colour, or is bilinear."""
    colour_smoothing: Tensor
    """Share of the noise reduction of the colours, 0 to 1."""
    fine_sigma: Tensor
    """Sigma in pixels of the blur that removes the finest noise, (B,)."""
    smoothing: Tensor
    """Share of the noise reduction of the brightness, 0 to 1."""
    tolerance: Tensor
    """Deviation that noise reduction takes for noise."""
    colour_radius: int
    """Pixels from the middle of a window of the colours' noise reduction to its border."""
    radius: int
    """The same of the brightness."""
    sharpening: Tensor
    """Amount of unsharp masking."""
    sharpening_sigma: Tensor
    """Its radius as a sigma in pixels, (B,)."""

    @classmethod
    def draw(
        cls, images: Tensor, is_noisy: Tensor, rng: torch.Generator, max_shot: float = SHOT_NOISE[1]
    ) -> Self:
        """Draw a camera for each image of a batch; where it is not `is_noisy`, nearly noiseless.

        `max_shot` is the largest variance of shot noise per unit of light.
        """
        one = (len(images), 1, 1, 1)
        shot = log_uniform(one, SHOT_NOISE[0], max_shot, rng, images)
        shot = torch.where(is_noisy, shot, SHOT_NOISE[0] / 10)
        noise = torch.randn(one, generator=rng, device=images.device)
        read = torch.exp(READ_SLOPE * shot.log() + READ_OFFSET + READ_DEVIATION * noise)
        return cls(
            gains=_gains(images, rng), matrix=_matrices(images, rng),
            has_curve=one_in(2, images, rng), shot=shot, read=read,
            is_directed=one_in(2, images, rng),
            colour_smoothing=uniform(one, 0.2, 2.5, rng, images).clamp(max=1),
            fine_sigma=uniform((len(images),), 0.4, 1.5, rng, images),
            smoothing=uniform(one, 0, 0.9, rng, images),
            tolerance=uniform(one, 0.5, 2.0, rng, images) * _visible_noise(shot),
            colour_radius=int(uniform((), 3, 13, rng, images)),
            radius=int(uniform((), 1, 6, rng, images)),
            sharpening=uniform(one, -0.4, 1.2, rng, images).clamp(min=0),
            sharpening_sigma=uniform((len(images),), 0.5, 1.3, rng, images),
        )  # fmt: skip

    def scene(self, images: Tensor) -> Tensor:
        """Return the light on the sensor that gives these images, in [0, 1].

        The inverse of `developed`: tone curve, gamma, colour matrix, gains.
        """
        uncurved = torch.where(self.has_curve, uncurve(images), images)
        return coloured(uncurved.clamp(0, 1) ** GAMMA, torch.linalg.inv(self.matrix)) / self.gains

    def photo(self, scene: Tensor, rng: torch.Generator | None) -> Tensor:
        """Return the photo of a scene; without a generator, as an ideal sensor would take it."""
        raw = mosaic(scene)
        if rng is not None:
            raw = noised(raw, self.shot, self.read, rng)
        photo = self.developed(demosaiced(raw.clamp(0, 1), self.is_directed))
        return self.sharpened(self.smoothed(photo)).clamp(0, 1)

    def noisy_and_clean(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return photos of the images with the sensor's noise, and the same without it.

        Noise that is clipped at black brightens the shadows. Both photos have that brightness,
        since a restorer keeps the low frequencies of a photo.
        """
        scene = self.scene(images)
        noisy, clean = self.photo(scene, rng), self.photo(scene, None)
        return noisy, (clean + averaged(noisy - clean, LOW_RADIUS)).clamp(0, 1)

    def developed(self, light: Tensor) -> Tensor:
        """Apply gains, colour matrix, gamma and tone curve to the sensor's light."""
        balanced = (light * self.gains).clamp(0, 1)
        values = coloured(balanced, self.matrix).clamp(MIN_LIGHT, 1) ** (1 / GAMMA)
        return torch.where(self.has_curve, curve(values), values)

    def smoothed(self, images: Tensor) -> Tensor:
        """Reduce noise as cameras do: most of the colours', less of the brightness's."""
        images = spread(images, gaussians(self.fine_sigma))
        brightness = grey(images)
        guide = edge_preserved(brightness, brightness, self.radius, self.tolerance)
        colours = images - brightness
        even = edge_preserved(colours, guide, self.colour_radius, 3 * self.tolerance)
        colours = colours + self.colour_smoothing * (even - colours)
        return brightness + self.smoothing * (guide - brightness) + colours

    def sharpened(self, images: Tensor) -> Tensor:
        """Sharpen the brightness by unsharp masking, which leaves halos beside edges."""
        brightness = grey(images)
        detail = brightness - spread(brightness, gaussians(self.sharpening_sigma))
        return images + self.sharpening * detail


def curve(values: Tensor) -> Tensor:
    """Apply a tone curve: a smooth step (Brooks et al., section 3.5)."""
    return 3 * values**2 - 2 * values**3


def uncurve(values: Tensor) -> Tensor:
    """Invert `curve`, for values in [0, 1]."""
    return 0.5 - torch.sin(torch.asin(1 - 2 * values.clamp(0, 1)) / 3)


def coloured(light: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the colours of each image by its matrix (B, 3, 3)."""
    return torch.einsum("bdc,bchw->bdhw", matrices, light)


def mosaic(light: Tensor) -> Tensor:
    """Keep of each pixel the colour of its place in a Bayer mosaic, (B, 1, H, W)."""
    return (light * _sites(light)).sum(1, keepdim=True)


def noised(raw: Tensor, shot: Tensor, read: Tensor, rng: torch.Generator) -> Tensor:
    """Add shot noise, whose variance grows with the light, and read noise."""
    drawn = torch.randn(raw.shape, generator=rng, device=raw.device)
    return raw + drawn * (shot * raw.clamp(min=0) + read).sqrt()


def demosaiced(raw: Tensor, is_directed: Tensor) -> Tensor:
    """Return all three colours of each pixel of a mosaic (B, 1, H, W), by one of two methods.

    Bilinear, or corrected by the slopes of the pixel's own colour: Malvar, He and Cutler,
    "High-quality linear interpolation for demosaicing of Bayer-patterned color images", 2004.
    """
    padded = functional.pad(raw, (2, 2, 2, 2), mode="reflect")
    kernels = torch.tensor(_DEMOSAIC, device=raw.device)[:, None] / 8
    bilinear, directed = functional.conv2d(padded, kernels).chunk(2, 1)  # (B, 4, H, W) each
    return torch.where(is_directed, _assembled(raw, directed), _assembled(raw, bilinear))


def _assembled(raw: Tensor, filtered: Tensor) -> Tensor:
    """Put together the colours of a mosaic from its pixels and four filters of them."""
    sites = _sites(raw)
    red, green, blue = sites[:, :1], sites[:, 1:2], sites[:, 2:]
    cross, along, across, corners = (filtered[:, at : at + 1] for at in range(4))
    red_rows = (red.sum(3, keepdim=True) > 0).to(raw)
    beside = red_rows * along + (1 - red_rows) * across
    above = red_rows * across + (1 - red_rows) * along
    colours = [
        red * raw + green * beside + blue * corners,
        green * raw + (1 - green) * cross,
        blue * raw + green * above + red * corners,
    ]
    return torch.cat(colours, 1)


_DEMOSAIC = (
    # Bilinear: from the four neighbours, the two beside, the two above, the four corners.
    ((0, 0, 0, 0, 0), (0, 0, 2, 0, 0), (0, 2, 0, 2, 0), (0, 0, 2, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 4, 0, 4, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, 4, 0, 0), (0, 0, 0, 0, 0), (0, 0, 4, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0)),
    # The same, corrected by the slopes of the pixel's own colour.
    ((0, 0, -1, 0, 0), (0, 0, 2, 0, 0), (-1, 2, 4, 2, -1), (0, 0, 2, 0, 0), (0, 0, -1, 0, 0)),
    ((0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 4, 5, 4, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0)),
    ((0, 0, -1, 0, 0), (0, -1, 4, -1, 0), (0.5, 0, 5, 0, 0.5), (0, -1, 4, -1, 0), (0, 0, -1, 0, 0)),
    ((0, 0, -1.5, 0, 0), (0, 2, 0, 2, 0), (-1.5, 0, 6, 0, -1.5), (0, 2, 0, 2, 0),
     (0, 0, -1.5, 0, 0)),
)  # fmt: skip


def edge_preserved(planes: Tensor, guide: Tensor, radius: int, tolerance: Tensor) -> Tensor:
    """Average planes in windows, except across the edges of a guide (B, 1, H, W).

    Edges are stronger than `tolerance`. He, Sun and Tang, "Guided image filtering", 2013.
    """
    mean_guide, mean = averaged(guide, radius), averaged(planes, radius)
    variance = averaged(guide * guide, radius) - mean_guide**2
    shared = averaged(guide * planes, radius) - mean_guide * mean
    slope = shared / (variance + tolerance**2)
    return averaged(slope, radius) * guide + averaged(mean - slope * mean_guide, radius)


def grey(images: Tensor) -> Tensor:
    """Return the brightness, (B, 1, H, W)."""
    weights = torch.tensor(TO_YCBCR[0], device=images.device)[:, None, None]
    return (images * weights).sum(1, keepdim=True)


def averaged(planes: Tensor, radius: int) -> Tensor:
    """Return the means of windows of 2 radius + 1 pixels a side; the border is mirrored."""
    side = 2 * radius + 1
    sums = functional.pad(planes, (radius,) * 4, mode="reflect")
    for axis in (2, 3):
        upto = functional.pad(sums.cumsum(axis), (1, 0) if axis == 3 else (0, 0, 1, 0))
        length = upto.shape[axis] - side
        sums = upto.narrow(axis, side, length) - upto.narrow(axis, 0, length)
    return sums / side**2


def _sites(planes: Tensor) -> Tensor:
    """Return where the mosaic has red, green and blue pixels, (1, 3, H, W), 0 or 1."""
    height, width = planes.shape[2:]
    row = torch.arange(height, device=planes.device)[:, None] % 2
    column = torch.arange(width, device=planes.device) % 2
    red, blue = (row == 0) & (column == 0), (row == 1) & (column == 1)
    return torch.stack([red, ~(red | blue), blue])[None].to(planes)


def _gains(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the gains of red, green and blue (Brooks et al., section 3.3)."""
    one = (len(images), 1, 1, 1)
    red, blue = uniform(one, 1.9, 2.4, rng, images), uniform(one, 1.5, 1.9, rng, images)
    return torch.cat([red, torch.ones_like(red), blue], 1) * uniform(one, 1, 1.6, rng, images)


def _matrices(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw colour matrices like those of current cameras: they subtract the other colours."""
    low = torch.tensor([[0, 0.3, -0.1], [0.1, 0, 0.2], [-0.05, 0.3, 0]], device=images.device)
    high = torch.tensor([[0, 0.8, 0.2], [0.4, 0, 0.5], [0.1, 0.8, 0]], device=images.device)
    others = low + (high - low) * uniform((len(images), 3, 3), 0, 1, rng, images)
    return torch.diag_embed(1 + others.sum(2)) - others


def _visible_noise(shot: Tensor) -> Tensor:
    """Return about the deviation of noise in a photo's middle tones, before its reduction."""
    return MIDDLE_SLOPE * (MIDDLE_LIGHT * shot).sqrt()
